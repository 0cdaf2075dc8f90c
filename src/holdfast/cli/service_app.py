"""The commands around a service: clients, serving, asking, planning, the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from holdfast.cli.arguments import CONFIG_DEFAULT, KeyPath, Sealed, SignerPath
from holdfast.limits import MAX_WORKERS

service_commands = typer.Typer()

ServiceStore = Annotated[Path, typer.Option(help="The database of clients, budgets and the audit log.")]
STORE_DEFAULT: Final = Path("service.db")


@service_commands.command()
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


@service_commands.command()
def serve(
    sealed: Sealed,
    signer: SignerPath,
    key: KeyPath,
    config: Annotated[
        Path, typer.Option(help="The holdfast.toml with the policy and the service's settings.")
    ] = CONFIG_DEFAULT,
    store: ServiceStore = STORE_DEFAULT,
    workers: Annotated[int, typer.Option(min=1, max=MAX_WORKERS, help="How many processes answer on the port.")] = 1,
) -> None:
    """Serve a sealed bundle that verifies and meets the policy. Stop with Ctrl-C."""
    from holdfast.cli.service import serve_sealed

    serve_sealed(sealed, signer=signer, key=key, config=config, store=store, workers=workers)


@service_commands.command()
def ask(
    rows: Annotated[
        Path, typer.Argument(metavar="FILE", help="What to ask for: CSV, Parquet, PNG, NPZ, or a folder of PNG files.")
    ],
    url: Annotated[str, typer.Option(help="The service.")] = "http://127.0.0.1:8460",
    *,
    private: Annotated[
        bool, typer.Option("--private", help="Encrypt the rows, so that the service never sees them.")
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option(help="Where keys for --private are kept if HOLDFAST_PASSPHRASE is set; ~/.holdfast/keys."),
    ] = None,
) -> None:
    """Ask a service for predictions, as CSV on stdout. The token is taken from HOLDFAST_TOKEN."""
    from holdfast.cli.asking import ask_service

    ask_service(rows, url=url, private=private, keys=keys)


@service_commands.command()
def plan(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="ONNX, XGBoost .json or .ubj, LightGBM .txt, or a bundle's folder.")
    ],
    data: Annotated[Path, typer.Option(help="Rows like those that will be asked: CSV, Parquet or NPZ.")],
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A column of the data that is no feature.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="The classes in the model's order; networks do not name them.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write the plan to, in its two halves.")] = None,
    seal: Annotated[
        Path | None,
        typer.Option(metavar="CONFIG", help="Seal the plan, to be served under encryption alone, as this file says."),
    ] = None,
    *,
    batch: Annotated[bool, typer.Option("--batch", help="Plan for many rows at once as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compile a model for asking under encryption, and say what that takes and tells."""
    from holdfast.cli.planning import plan_model

    names = tuple(classes.split(",")) if classes else None
    plan_model(model, data=data, target=target, classes=names, out=out, seal=seal, batch=batch, as_json=as_json)


@service_commands.command()
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
