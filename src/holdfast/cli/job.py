"""The commands of the main job: init, run and its parts, demo."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from holdfast import limits
from holdfast.cli.bundles import conclude
from holdfast.cli.terminal import reporter, say
from holdfast.data import Manifest, compare
from holdfast.errors import IntegrityError, WireError
from holdfast.files import read_bytes
from holdfast.pipeline import FILE_NAME, Project, write_demo, write_project
from holdfast.pipeline.runner import run


def run_demo(folder: Path | None) -> None:
    """The main job on the tumour data."""
    config = write_demo(Path(tempfile.mkdtemp(prefix="holdfast-demo-")) if folder is None else folder)
    say(f"everything is in {config.parent}")
    run_until(config, "report")


def write_config(table: Path, *, target: str, config: Path | None) -> None:
    """Look at a table and write a holdfast.toml."""
    config = config or table.parent / FILE_NAME
    guess = write_project(table, target=target, config=config)
    say(f"{guess.rows} rows, {len(guess.features)} features, classes {', '.join(guess.classes)}")
    for column in guess.excluded:
        say(f"left out: {column.name}: {column.reason}")
    say(f"wrote {config}: read it, correct it, then run: holdfast run {config}")


def run_until(config: Path, step: str) -> None:
    """Carry a project out up to a step, and judge the model if there is one.

    Raises:
        PolicyError: the policy is not met.
    """
    project = Project.read(config)
    with reporter() as telling:
        outcome = run(project, reporter=telling, until=step)
    if outcome.verdict is not None:
        conclude(outcome.verdict)


def compare_with(config: Path, manifest_path: Path) -> None:
    """Say which rows of the project's table changed since a manifest.

    Raises:
        IntegrityError: some did.
    """
    try:
        data = read_bytes(manifest_path, max_bytes=limits.MAX_DATA_MANIFEST_BYTES, what="a manifest")
        manifest = Manifest.from_json(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise WireError(f"{manifest_path} is not a manifest: {error}") from None
    difference = compare(manifest, Project.read(config).data)
    if not difference.same:
        raise IntegrityError(f"the table is not the one of {manifest_path}: {difference}")
    say(f"no row has changed since {manifest_path}")
