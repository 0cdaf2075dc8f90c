"""One small bundle, its keys, and the two ways to say that a door must not open."""

from __future__ import annotations

import json
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from holdfast.custody import Bundle, ModelCard, RecipientKey, SigningKey, write_bundle
from holdfast.evidence import Evidence, Figure, digest_bytes


def make_model(weight: float) -> bytes:
    """The smallest useful model: y = x + weight."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "add",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.array([weight], dtype=np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def model() -> bytes:
    return make_model(0.5)


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def recipient_key() -> RecipientKey:
    return RecipientKey.generate()


@pytest.fixture(scope="session")
def make_card() -> Callable[..., ModelCard]:
    def make(**changes: object) -> ModelCard:
        fields: dict[str, object] = {
            "name": "tumour",
            "version": "3",
            "created": "2025-01-31T12:00:00Z",
            "model_kind": "logistic regression",
            "intended_use": "a second opinion",
            "not_for": "a first one",
            "licence": "internal",
            "data_digest": "sha256:" + "0" * 64,
            "schema": {"features": [{"name": "radius", "kind": "number", "range": [0.0, 40.0]}]},
            "training": {"epochs": 3},
            "evidence": ("accuracy is .95",),
        }
        return ModelCard(**(fields | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def card(make_card: Callable[..., ModelCard]) -> ModelCard:
    return make_card()


@pytest.fixture(scope="session")
def files(model: bytes) -> dict[str, bytes]:
    evidence = Evidence(
        kind="utility",
        subject=digest_bytes(model),
        subject_kind="model",
        title="accuracy is .95",
        figures={"accuracy": Figure(value=0.95)},
    )
    return {
        "model.onnx": model,
        "evidence/01-utility.json": json.dumps(evidence.to_json()).encode(),
        "private/plan.json": b'{"secret":[1,2]}',
        "readme.md": "für Menschen\n".encode(),
    }


@pytest.fixture
def bundle(tmp_path: Path, card: ModelCard, files: Mapping[str, bytes], signing_key: SigningKey) -> tuple[Bundle, Path]:
    """A bundle, and the folder that it is in."""
    folder = tmp_path / "tumour"
    return write_bundle(folder, card=card, files=files, signing_key=signing_key), folder


@pytest.fixture
def small_disk() -> Callable[[int], AbstractContextManager[None]]:
    """A disk that refuses every file over so many bytes, as a full one does in the middle of a write."""

    @contextmanager
    def limit(max_bytes: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def read_only() -> Callable[[Path], AbstractContextManager[None]]:
    """A folder that this process can look into and not write to, even when the tests are run by root."""

    @contextmanager
    def protect(folder: Path) -> Iterator[None]:
        was_root = os.geteuid() == 0
        folder.chmod(0o555)
        if was_root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if was_root:
                os.seteuid(0)
            folder.chmod(0o755)

    return protect


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can reach, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
