"""The commands, in the order in which a person meets them. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import terminal

app = typer.Typer(
    name="holdfast",
    help="Keeps machine-learning models and their data in safe custody, from first data check to last prediction.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 safe, 1 policy not met, 2 bad input, 3 tampered, 4 refused, 5 machine, 70 a defect.",
)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The holdfast.toml to carry out.")]
CONFIG_DEFAULT = Path("holdfast.toml")


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
) -> None:
    """Look at a table and write a commented holdfast.toml."""
    from holdfast.cli.job import write_config

    write_config(table, target=target, config=config)


@app.command()
def run(config: ConfigPath = CONFIG_DEFAULT) -> None:
    """Carry out a holdfast.toml, step by step; what has not changed is not done again."""
    from holdfast.cli.job import run_until

    run_until(config, "report")


@app.command()
def check(
    config: ConfigPath = CONFIG_DEFAULT,
    against: Annotated[
        Path | None, typer.Option(metavar="MANIFEST", help="Name the rows that changed since this manifest.")
    ] = None,
) -> None:
    """Look for what is wrong with the data, and make its manifest."""
    from holdfast.cli.job import compare_with, run_until

    if against is None:
        run_until(config, "check")
    else:
        compare_with(config, against)


@app.command()
def train(config: ConfigPath = CONFIG_DEFAULT) -> None:
    """Run up to the training of the model."""
    from holdfast.cli.job import run_until

    run_until(config, "train")


@app.command()
def attack(config: ConfigPath = CONFIG_DEFAULT) -> None:
    """Run up to the attacks on the model."""
    from holdfast.cli.job import run_until

    run_until(config, "attack")


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


SignerPath = Annotated[Path, typer.Option(help="The public key of the one who must have signed.")]
KeyPath = Annotated[Path, typer.Option(help="The private key that the bundle is sealed to.")]
Sealed = Annotated[Path, typer.Argument(metavar="SEALED", help="A sealed bundle, NAME.holdfast.")]


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


ServiceStore = Annotated[Path, typer.Option(help="The database of clients, budgets and the audit log.")]
STORE_DEFAULT = Path("service.db")


@app.command()
def client(
    name: Annotated[str, typer.Argument(help="The client's name, as the audit log shall know it.")],
    budget: Annotated[int, typer.Option(min=1, help="How many rows the client may ask for.")] = 10_000,
    store: ServiceStore = STORE_DEFAULT,
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the client's token away.")] = False,
) -> None:
    """Give a new client a token, shown once, and a query budget; or take it away."""
    from holdfast.cli.service import add_client, revoke_client

    if revoke:
        revoke_client(name, store=store)
    else:
        add_client(name, budget=budget, store=store)


@app.command()
def serve(
    sealed: Sealed,
    signer: SignerPath,
    key: KeyPath,
    config: Annotated[
        Path, typer.Option(help="The holdfast.toml with the policy and the service's settings.")
    ] = CONFIG_DEFAULT,
    store: ServiceStore = STORE_DEFAULT,
) -> None:
    """Serve a sealed bundle that verifies and meets the policy. Stop with Ctrl-C."""
    from holdfast.cli.service import serve_sealed

    serve_sealed(sealed, signer=signer, key=key, config=config, store=store)


@app.command()
def ask(
    table: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV or Parquet table of rows to ask for.")],
    url: Annotated[str, typer.Option(help="The service.")] = "http://127.0.0.1:8460",
    *,
    private: Annotated[
        bool, typer.Option("--private", help="Encrypt the rows, so that the service never sees them.")
    ] = False,
) -> None:
    """Ask a service for predictions, as CSV on stdout. The token is taken from HOLDFAST_TOKEN."""
    from holdfast.cli.service import ask_service

    ask_service(table, url=url, private=private)


@app.command()
def audit(
    store: ServiceStore = STORE_DEFAULT,
    signer: Annotated[
        Path | None,
        typer.Option(help="The log's public key, from elsewhere; the one beside the database if not given."),
    ] = None,
    noted: Annotated[
        str | None, typer.Option(metavar="NUMBER:HASH", help="An entry noted earlier, which the log must contain.")
    ] = None,
) -> None:
    """Verify the audit log of a service: that its entries are whole, in order, and signed."""
    from holdfast.cli.service import verify_audit

    verify_audit(store, signer=signer, noted=noted)


@app.callback(invoke_without_command=True)
def _root(*, version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        from importlib.metadata import version as installed

        terminal.say(f"holdfast {installed('holdfast')}")
        raise typer.Exit
