"""One model's folder: its holdfast.toml, its table, its keys, and what the steps have left."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from holdfast import limits
from holdfast.data import Dataset, Manifest, load, read_table
from holdfast.data.protect import ProjectKey
from holdfast.data.protect.sources import find_key
from holdfast.data.protect.tables import digest_table
from holdfast.errors import WireError
from holdfast.evidence import Evidence
from holdfast.files import read_bytes, write_atomic
from holdfast.models import LinearModel, OnnxModel, load_model
from holdfast.pipeline.config import Config, read_config


@dataclass(frozen=True, eq=False)
class Project:
    """A holdfast.toml and the folder that it stands in.

    Args:
        path: of the holdfast.toml; every path inside it is relative to its folder.
        config: what it says.
    """

    path: Path
    config: Config

    @classmethod
    def read(cls, path: Path) -> Project:
        """Read a project.

        Raises:
            ConfigError: see `read_config`.
        """
        return cls(path, read_config(path))

    @property
    def root(self) -> Path:
        """The folder of the holdfast.toml."""
        return self.path.parent

    @property
    def out(self) -> Path:
        """Where the steps leave their files."""
        return self.root / "out"

    @property
    def key_files(self) -> tuple[Path, Path]:
        """The key that signs the model, and the one that it is sealed to."""
        seal = self.config.seal
        return self.root / seal.signing_key, self.root / seal.recipient

    @property
    def table_path(self) -> Path:
        """The table."""
        return self.root / self.config.data.file

    @property
    def ledger_path(self) -> Path:
        """The privacy ledger; beside the table, so that projects share it and deleting results forgets nothing."""
        table = self.table_path.resolve()
        return table.with_name(f"{table.name}.privacy-ledger.json")

    @property
    def table_id(self) -> str:
        """What the table is called outside the house: the root of its manifest, which is salted.

        `Dataset.digest` must stay inside: with it, a guess at a value of a private row can be tested.
        """
        path = self.out / "check" / "manifest.json"
        data = read_bytes(path, max_bytes=limits.MAX_DATA_MANIFEST_BYTES, what="the table's manifest")
        try:
            return Manifest.from_json(json.loads(data)).root
        except ValueError as error:
            raise WireError(f"{path} is not a manifest: {error}") from None

    @cached_property
    def data(self) -> Dataset:
        """The table, checked against the schema."""
        return load(self.table_path, self.config.schema, key=self.data_key)

    @cached_property
    def data_key(self) -> ProjectKey | None:
        """What the table is encrypted under; None where it lies in the clear."""
        source = self.config.data.key
        return find_key(source, folder=self.root) if source else None

    @property
    def table_digest(self) -> str:
        """SHA-256 of the table's file; the same under another key."""
        return digest_table(self.table_path)

    def read_table(self) -> pd.DataFrame:
        """The table as it stands, with the columns that the schema leaves out."""
        return read_table(self.table_path, key=self.data_key)

    @cached_property
    def _parts(self) -> tuple[Dataset, Dataset]:
        return self.data.split(test_fraction=self.config.data.test_fraction, seed=self.config.data.seed)

    @property
    def train_data(self) -> Dataset:
        """The rows to train on."""
        return self._parts[0]

    @property
    def train_rows(self) -> npt.NDArray[np.int64]:
        """The positions in the table of the rows to train on."""
        data = self.config.data
        return np.flatnonzero(~self.data.held_out(test_fraction=data.test_fraction, seed=data.seed))

    @property
    def test_data(self) -> Dataset:
        """The rows that no training sees."""
        return self._parts[1]

    @property
    def watch_parts(self) -> tuple[Dataset, Dataset]:
        """The test rows in two halves: one to tell the watch what normal rows look like, one to try it with."""
        order = np.random.default_rng(self.config.data.seed).permutation(len(self.test_data))
        half = (len(order) + 1) // 2
        return self.test_data.take(np.sort(order[:half])), self.test_data.take(np.sort(order[half:]))

    def model(self, step: str) -> LinearModel | OnnxModel:
        """The model that a step has left."""
        path = self.out / step / "model.onnx"
        return load_model(read_bytes(path, max_bytes=limits.MAX_BUNDLE_BYTES, what="a model"))

    def evidence(self, step: str) -> tuple[Evidence, ...]:
        """The evidence that a step has left."""
        return read_evidence(self.out / step / "evidence.json")


def write_evidence(path: Path, evidence: Iterable[Evidence]) -> None:
    """Keep evidence; `read_evidence` is the inverse."""
    write_atomic(path, json.dumps([item.to_json() for item in evidence], indent=1).encode())


def read_evidence(path: Path) -> tuple[Evidence, ...]:
    """Evidence that `write_evidence` kept.

    Raises:
        InputError: there is no such file.
        WireError: it is not a list of evidence.
    """
    data = read_bytes(path, max_bytes=limits.MAX_JSON_BYTES, what="evidence")
    try:
        items = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError(f"{path} is not JSON: {error}") from None
    if not isinstance(items, list):
        raise WireError(f"expected a list of evidence in {path}, got something else")
    return tuple(map(Evidence.from_json, items))
