"""The commands of the main job: init, run and its parts, demo."""

from __future__ import annotations

import tempfile
from pathlib import Path

from holdfast.cli.terminal import reporter, say
from holdfast.pipeline.config import FILE_NAME, read_config


def run_demo(folder: Path | None) -> None:
    """The main job on the tumour data."""
    from holdfast.pipeline.demo import write_demo

    config = write_demo(Path(tempfile.mkdtemp(prefix="holdfast-demo-")) if folder is None else folder)
    say(f"everything is in {config.parent}")
    run_until(config, "report")


def write_config(table: Path, *, target: str, config: Path | None, key: str) -> None:
    """Look at a table, which may be encrypted under a key, and write a holdfast.toml."""
    from holdfast.pipeline.init import write_project

    config = config or table.parent / FILE_NAME
    guess = write_project(table, target=target, config=config, key=key)
    say(f"{guess.rows} rows, {len(guess.features)} features, classes {', '.join(guess.classes)}")
    for column in guess.excluded:
        say(f"left out: {column.name}: {column.reason}")
    say(f"wrote {config}: read it, correct it, then run: holdfast run {config}")


def run_until(config: Path, step: str) -> None:
    """Carry a project out up to a step, and judge the model if there is one.

    Raises:
        PolicyError: the policy is not met.
    """
    settings = read_config(config)  # a file that says nonsense is told before what carries it out is loaded
    from holdfast.cli.verdict import conclude
    from holdfast.pipeline.project import Project
    from holdfast.pipeline.runner import run

    with reporter() as telling:
        outcome = run(Project(config, settings), reporter=telling, until=step)
    if outcome.verdict is not None:
        conclude(outcome.verdict)
