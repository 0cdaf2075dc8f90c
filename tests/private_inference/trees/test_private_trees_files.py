"""Model files from outside: a malformed one is refused with a clean error, whatever was changed in it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.private_inference.trees.tree_models import TUMOUR, TUMOUR_CLASSES, fitted

from holdfast.errors import InputError, UnsupportedError, UsageError, WireError
from holdfast.models.trees.ubjson import read_ubjson
from holdfast.private_inference.trees import knows, read

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")

X = TUMOUR[:, :4]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small model as each kind of file."""
    folder = tmp_path_factory.mktemp("models")
    booster = fitted(xgb.XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1), X, TUMOUR_CLASSES)
    for suffix in ("json", "ubj"):
        booster.save_model(folder / f"model.{suffix}")
    other = fitted(lgb.LGBMClassifier(n_estimators=2, num_leaves=4, verbose=-1, n_jobs=1), X, TUMOUR_CLASSES)
    other.booster_.save_model(folder / "model.txt")
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


def test_ubjson_says_the_same_as_json(files: dict[str, bytes]) -> None:
    def near(one: Any, other: Any) -> bool:
        if isinstance(one, dict):
            return one.keys() == other.keys() and all(near(one[name], other[name]) for name in one)
        if isinstance(one, list):
            return len(one) == len(other) and all(map(near, one, other))
        return bool(np.float32(one) == np.float32(other)) if isinstance(one, float) else one == other

    assert near(json.loads(files[".json"]), read_ubjson(files[".ubj"]))


@pytest.mark.parametrize("suffix", [".json", ".ubj", ".txt"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_cleanly_or_read_as_another_model(
    files: dict[str, bytes], tmp_path: Path, suffix: str, data: st.DataObject
) -> None:
    damaged = bytearray(files[suffix])
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(damaged) - 1)))
    path = tmp_path / f"model{suffix}"
    path.write_bytes(bytes(damaged[:cut]))
    with contextlib.suppress(InputError, UnsupportedError):
        reading = read(path)
        assert np.isfinite(reading.clear(np.zeros((1, reading.encoding.n_features)))).all()


def changed(document: Any, name: str, value: Any) -> Any:
    (trees := document["learner"]["gradient_booster"]["model"]["trees"])[0][name] = value
    del trees
    return document


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left_children", [0, -1, -1]),
        ("left_children", [1, 0, -1, -1, -1, -1, -1]),
        ("left_children", [50] * 7),
        ("split_indices", [99] * 7),
        ("split_indices", [-1] * 7),
        ("split_conditions", [float("nan")] * 7),
        ("split_conditions", ["x"] * 7),
        ("split_conditions", [1e300] * 7),
        ("categories_nodes", [0]),
        ("tree_param", None),
        ("tree_param", {"size_leaf_vector": "1e9"}),
    ],
)
def test_trees_that_are_no_trees_are_refused(files: dict[str, bytes], tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(changed(json.loads(files[".json"]), name, value)))
    with pytest.raises(WireError):
        read(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[" * 1000,
        b"{" * 10,
        b"[$i#U\xff",
        b"[$[#",
        b"[#L\x7f" + b"\xff" * 7,
        b"S\x55",
        b"N",
        b"ZZ",
        b"\xff",
    ],
)
def test_bytes_that_are_no_ubjson_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        read_ubjson(data)


def test_a_json_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    many = '{"learner": {"gradient_booster": {"name": "gbtree", "model": {}}, "objective": {"name": "reg:linear"},'
    many += '"learner_model_param": {"num_class": "0", "num_feature": "999999999999", "base_score": "0"}}}'
    for text in (many, "{}", "[]", "5", '{"learner": 3}', '{"learner": {"gradient_booster": []}}'):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(WireError):
            read(tmp_path / "model.json")
    for text in ("", "tree\n", "tree\nobjective=binary\n", "something else"):
        (tmp_path / "model.txt").write_text(text)
        with pytest.raises(WireError):
            read(tmp_path / "model.txt")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file there"):
        read(tmp_path / "model.ubj")


def test_what_nobody_reads_is_refused_and_left_to_others() -> None:
    assert not knows(object())
    assert not knows("model.pkl")
    with pytest.raises(UnsupportedError, match="object"):
        read(object())


def test_classes_are_renamed_only_one_for_one(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(files[".json"])
    assert read(tmp_path / "model.json").classes == ("0", "1")
    assert read(tmp_path / "model.json", classes=["ill", "well"]).classes == ("ill", "well")
    with pytest.raises(UsageError, match="names for 2 classes, got 3"):
        read(tmp_path / "model.json", classes=["a", "b", "c"])
