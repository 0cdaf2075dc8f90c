"""Training reads encrypted data, and nothing that it leaves on the disk holds a record in the clear.

Two records have values that occur nowhere else; those of one are the largest of all, as what summarises a table likes
to tell them. After the work, every file below the project, the folder of temporary files and the home folder is
searched for them, in every form that we know of. The same search finds them in a table in the clear: it is not blind.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.data.protect.clear_copies import forms_of_number, forms_of_row, forms_of_text, found

from holdfast.data import read_table
from holdfast.data.protect import DataKey, ProjectKey, open_arrays, write_arrays, write_table

NUMBERS = (73.84129175634, 99.97318462857)
NAMES = ("Canary van der Zand", "Zzabella Canary")
CONFIG = """
format = 1
name = "loans"

[data]
file = "loans.parquet"
key = "file:data.key"
target = "repaid"
classes = ["no", "yes"]
test_fraction = 0.25

[data.features]
"income" = { kind = "real", range = [0, 100] }
"age" = { kind = "integer", range = [18, 100] }

[train]
method = "private"
epsilon = 3.0
delta = 1e-4

[harden]
method = "none"

[attack]
extraction_queries = 60
shadow_models = 8
"""
RUN = """
from pathlib import Path
from holdfast.pipeline import Project, SilentReporter, keyring
from holdfast.pipeline.runner import run
keyring.make_keys(Path("keys"))
run(Project.read(Path("holdfast.toml")), reporter=SilentReporter())
"""


def people(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    income = rng.uniform(0, 99, rows)
    frame = pd.DataFrame({"name": [f"Person {row}" for row in range(rows)], "income": income})
    frame["age"] = rng.integers(18, 90, rows)
    frame["repaid"] = np.where(income > 45, "yes", "no")
    frame.loc[[5, 6], "name"] = NAMES
    frame.loc[[5, 6], "income"] = NUMBERS
    return frame


FORMS = [form for value in NUMBERS for form in forms_of_number(value)]
FORMS += [form for name in NAMES for form in forms_of_text(name)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on an encrypted table, its folders of temporary files and home beside it, carried out to the end."""
    root = tmp_path_factory.mktemp("project")
    key = DataKey.generate()
    key.save(root / "data.key")
    write_table(people(), root / "loans.parquet", key=ProjectKey(service=key))
    (root / "holdfast.toml").write_text(CONFIG)
    for name in ("tmp", "home"):
        (root / name).mkdir()
    environment = {**os.environ, "TMPDIR": str(root / "tmp"), "HOME": str(root / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return root


def test_the_search_finds_what_lies_in_the_clear(tmp_path: Path) -> None:
    people().to_csv(tmp_path / "t.csv.gz")
    people().to_parquet(tmp_path / "t.parquet", compression=None)
    np.savez_compressed(tmp_path / "t.npz", X=people()[["income", "age"]].to_numpy(float))
    (tmp_path / "t.json").write_text(people().to_json())
    assert {name for name, _ in found(FORMS, [tmp_path])} == {"t.csv.gz", "t.parquet", "t.npz", "t.json"}


def test_a_whole_run_on_an_encrypted_table_leaves_no_record_in_the_clear(project: Path) -> None:
    left = {path.name for path in (project / "out").rglob("*") if path.is_file()}
    assert {"manifest.json", "model.onnx", "evidence.json", "report.html", "loans-1.holdfast"} <= left
    assert found(FORMS, [project]) == []
    rows = people()[["income", "age"]].iloc[[5, 6]].to_numpy(float)
    assert found([form for row in rows for form in forms_of_row(row)], [project]) == []


def test_the_run_did_read_the_table(project: Path) -> None:
    key = ProjectKey(service=DataKey.load(project / "data.key"))
    assert read_table(project / "loans.parquet", key=key)["income"][[5, 6]].tolist() == list(NUMBERS)
    assert b'"rows":' in (project / "out" / "check" / "manifest.json").read_bytes()


def test_writing_and_reading_arrays_leaves_no_row_in_the_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    pixels = np.random.default_rng(1).integers(0, 256, (500, 8, 8), dtype=np.uint8)
    key = ProjectKey(service=DataKey.generate())
    write_arrays(tmp_path / "a.hfa", {"pixels": pixels}, key=key)
    with open_arrays(tmp_path / "a.hfa", key=key) as arrays:
        total = sum(int(arrays["pixels"][row].sum()) for row in range(0, 500, 9))
    assert total == int(pixels[::9].sum())
    assert found([row.tobytes() for row in pixels], [tmp_path]) == []
