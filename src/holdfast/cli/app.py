"""The commands, in the order in which a person meets them. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import terminal
from holdfast.cli.arguments import CONFIG_DEFAULT, PICTURES, ConfigPath, KeyPath, Sealed, SignerPath
from holdfast.cli.protecting import protect_commands
from holdfast.cli.service_app import service_commands

app = typer.Typer(
    name="holdfast",
    help="Keeps machine-learning models and their data in safe custody, from first data check to last prediction.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 safe, 1 policy not met, 2 bad input, 3 tampered, 4 refused, 5 machine, 70 a defect.",
)


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Argument(help="Where to leave everything; a new temporary folder if not given.")
    ] = None,
) -> None:
    """Run the main job on the records of 569 real patients that ship with scikit-learn."""
    from holdfast.cli.job import run_demo

    run_demo(folder)


@app.command()
def init(
    table: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV or Parquet table.")],
    target: Annotated[str, typer.Option(help="The column that the model shall predict.")],
    config: Annotated[
        Path | None, typer.Option(help="The file to write; holdfast.toml beside the table if not given.")
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            metavar="KEY", help="Where the key of an encrypted table is: file:PATH, env:VARIABLE or vault:URL/KEY."
        ),
    ] = "",
) -> None:
    """Look at a table and write a commented holdfast.toml."""
    from holdfast.cli.job import write_config

    write_config(table, target=target, config=config, key=key)


@app.command()
def run(config: ConfigPath = CONFIG_DEFAULT) -> None:
    """Carry out a holdfast.toml, step by step; what has not changed is not done again."""
    from holdfast.cli.job import run_until

    run_until(config, "report")


@app.command()
def check(
    subject: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The holdfast.toml to carry out, or pictures in an NPZ archive.")
    ] = CONFIG_DEFAULT,
    against: Annotated[
        Path | None,
        typer.Option(metavar="MANIFEST", help="Name what changed since this manifest, or since this earlier version."),
    ] = None,
) -> None:
    """Look for what is wrong with the data, and make its manifest."""
    if against is not None:
        from holdfast.cli.checking import compare_with

        compare_with(subject, against)
    elif subject.suffix == PICTURES:
        from holdfast.cli.checking import check_pictures

        check_pictures(subject)
    else:
        from holdfast.cli.job import run_until

        run_until(subject, "check")


@app.command()
def train(config: ConfigPath = CONFIG_DEFAULT) -> None:
    """Run up to the training of the model."""
    from holdfast.cli.job import run_until

    run_until(config, "train")


@app.command()
def attack(
    config: ConfigPath = CONFIG_DEFAULT,
    *,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with 1 if a demand of the policy on attacks is not met.")
    ] = False,
    sarif: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the results as SARIF 2.1.0, for CI.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write a page for each result.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as JSON.")] = None,
) -> None:
    """Run up to the attacks on the model; write what they found, and let a policy decide."""
    from holdfast.cli.attacking import attack_and_tell

    attack_and_tell(config, gate=gate, sarif=sarif, html=html, json=json)


@app.command()
def harden(config: ConfigPath = CONFIG_DEFAULT) -> None:
    """Run up to the retraining against the evasion found."""
    from holdfast.cli.job import run_until

    run_until(config, "harden")


@app.command()
def seal(config: ConfigPath = CONFIG_DEFAULT) -> None:
    """Run up to the sealing of the model with its evidence."""
    from holdfast.cli.job import run_until

    run_until(config, "seal")


@app.command()
def verify(
    sealed: Sealed,
    signer: SignerPath,
    key: KeyPath,
    policy: Annotated[Path | None, typer.Option(help="A holdfast.toml whose policy the model must meet.")] = None,
) -> None:
    """Check a sealed bundle: who signed it, that no bit changed, and whether it meets a policy."""
    from holdfast.cli.bundles import verify_sealed

    verify_sealed(sealed, signer=signer, key=key, policy=policy)


@app.command(name="open")
def open_(
    sealed: Sealed,
    signer: SignerPath,
    key: KeyPath,
    to: Annotated[Path, typer.Option(help="The folder to write.")],
) -> None:
    """Verify a sealed bundle and write it out as a folder."""
    from holdfast.cli.bundles import open_sealed

    open_sealed(sealed, signer=signer, key=key, to=to)


@app.command()
def keys(
    folder: Annotated[Path, typer.Argument(help="The folder to write four key files to.")] = Path("keys"),
) -> None:
    """Make keys to sign with and to seal to. HOLDFAST_PASSPHRASE, if set, encrypts the private ones."""
    from holdfast.cli.bundles import make_keys

    make_keys(folder)


app.add_typer(service_commands)
app.add_typer(protect_commands)


@app.callback(invoke_without_command=True)
def _root(*, version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        from importlib.metadata import version as installed

        terminal.say(f"holdfast {installed('holdfast')}")
        raise typer.Exit
