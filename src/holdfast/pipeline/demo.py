"""The demo: the main job on the records of 569 real patients that ship with scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from holdfast.data import tumour_frame, tumour_schema
from holdfast.errors import UsageError
from holdfast.files import write_atomic
from holdfast.pipeline.config import FILE_NAME
from holdfast.pipeline.init import Template, write_template

TABLE: Final = "tumours.csv"


def write_demo(folder: Path) -> Path:
    """Write the table and its holdfast.toml to a folder; the path of the latter. What is there already is kept.

    Raises:
        UsageError: the folder has other files and no demo in it.
        SystemFault: the disk refuses.
    """
    config = folder / FILE_NAME
    if config.exists():
        return config
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and is no demo", hint="name a new folder")
    write_atomic(folder / TABLE, tumour_frame().to_csv(index=False).encode())
    write_template(_TEMPLATE, config)
    return config


_TEMPLATE: Final = Template(
    file=TABLE,
    schema=tumour_schema(),
    facts="569 rows: measurements of cell nuclei from fine-needle aspirates (Wolberg, Street and Mangasarian 1995)",
    evasion_budget=0.02,
    intended_use="Shows Holdfast at work on real records.",
    not_for="Diagnosis, or any decision about a person.",
    policy={
        "max_epsilon": 8.0,
        "min_accuracy": 0.85,
        "min_robust_accuracy": 0.6,
        "max_membership_advantage": 0.2,
        "require": ["data-checks", "hardening", "extraction"],
    },
)
