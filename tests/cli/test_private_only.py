"""A model of one's own on the command line: planned, sealed by itself, served, and asked under encryption alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from tests.cli.conftest import HOLDFAST, Said, holdfast

from holdfast.cli.planning import plan_model
from holdfast.custody import PUBLIC_PLAN, SECRET_PLAN, VerifyKey, verify_bundle
from holdfast.errors import ConfigError, DataError, HoldfastError
from holdfast.pipeline import ModelConfig, read_config, read_model_config, write_demo
from holdfast.private_inference import PrivatePlan, PublicPlan, SecretPlan
from holdfast.serving import Access, Store

CONFIG = """format = 1
name = "digits"
[seal]
version = "2"
intended_use = "tests"
[policy]
require = ["private-inference"]
[serve]
port = 0
"""
DIGITS = ",".join("0123456789")


@dataclass(frozen=True)
class Theirs:
    """A folder with a network in ONNX, images like those to come, a configuration, keys, and a sealed plan."""

    folder: Path
    model: LogisticRegression
    images: np.ndarray
    said: Said

    @property
    def sealed(self) -> tuple[str | Path, ...]:
        keys = self.folder / "keys"
        return (
            self.folder / "out/private/digits-2.holdfast",
            *("--signer", keys / "signer.pub", "--key", keys / "recipient.key"),
        )


def network(path: Path, model: LogisticRegression) -> Path:
    """A linear network over images of 1 by 8 by 8, as another library would export it: no Holdfast in it."""
    weights = numpy_helper.from_array(model.coef_.T.astype(np.float32), "w")
    bias = numpy_helper.from_array(model.intercept_.astype(np.float32), "b")
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("Gemm", ["flat", "w", "b"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 10])],
        initializer=[weights, bias],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return path


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    """Planned and sealed once. Tests must not change it."""
    folder = tmp_path_factory.mktemp("theirs")
    pixels, y = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8) * 15).astype(np.uint8)
    model = LogisticRegression(max_iter=200).fit(images.reshape(len(images), -1) / 255, y)
    network(folder / "digits.onnx", model)
    np.savez(folder / "like.npz", images[:200])
    (folder / "holdfast.toml").write_text(CONFIG)
    assert holdfast("keys", folder / "keys").code == 0
    options = ("--data", folder / "like.npz", "--classes", DIGITS, "--seal", folder / "holdfast.toml")
    return Theirs(folder, model, images, holdfast("plan", folder / "digits.onnx", *options))


@pytest.fixture(scope="module")
def url(theirs: Theirs) -> Iterator[str]:
    """The sealed plan, served by a process."""
    command = [HOLDFAST, "serve", *theirs.sealed, "--config", "holdfast.toml", "--store", "service.db"]
    with subprocess.Popen(
        list(map(str, command)), cwd=theirs.folder, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        found = re.search(r"serving on (\S+);", lines[1])
        assert found, lines
        yield found[1]
        process.terminate()


def test_a_network_is_sealed_without_the_network(theirs: Theirs) -> None:
    assert theirs.said.code == 0, theirs.said.err
    assert "agreement: 200 of 200 rows" in theirs.said.out
    assert re.search(r"sealed .*digits-2\.holdfast, signed by ed25519:\w+, for x25519:\w+", theirs.said.out)
    assert re.search(r"clients can hold the service to the plan sha256:[0-9a-f]{64}", theirs.said.out)
    bundle = {
        path.relative_to(theirs.folder / "out/private/bundle").as_posix()
        for path in theirs.folder.rglob("*.*")
        if "bundle" in path.parts
    }
    assert bundle == {
        "card.json",
        "evidence/01-private-inference.json",
        "manifest.json",
        "private/plan.json",
        "private/secret.safetensors",
        "signature.json",
    }


def test_it_verifies_and_meets_the_policy(theirs: Theirs) -> None:
    said = holdfast("verify", *theirs.sealed, "--policy", theirs.folder / "holdfast.toml")
    assert said.code == 0, said.err
    assert "digits version 2: every file is what" in said.out
    assert "policy: met, all 1 demands" in said.out


def test_pictures_are_asked_about_and_never_in_the_clear(theirs: Theirs, url: str, tmp_path: Path) -> None:
    with Store(theirs.folder / "service.db") as store:
        token = Access(store).add_client("ward 7", query_budget=20)
    for number, image in enumerate(theirs.images[300:303]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    said = holdfast("ask", tmp_path, "--private", "--url", url, HOLDFAST_TOKEN=token)
    assert said.code == 0, said.err
    labels = [int(line.partition(",")[0]) for line in said.out.splitlines()[1:]]
    assert labels == theirs.model.predict(theirs.images[300:303].reshape(3, -1) / 255).tolist()
    clear = holdfast("ask", tmp_path, "--url", url, HOLDFAST_TOKEN=token)
    assert clear.code == 2
    assert "is asked under encryption alone" in clear.one_error()


def planned(model: Path, data: Path, config: Path) -> None:
    plan_model(model, data=data, target=None, classes=None, out=None, seal=config, batch=False, as_json=False)


def test_what_cannot_be_sealed_is_told_before_the_work(theirs: Theirs, tmp_path: Path) -> None:
    for text, sentence in (
        ("format = 1", "name"),
        (CONFIG.replace("[policy]", "[polcy]"), "polcy"),
        (CONFIG.replace("private-inference", "card"), "which no sealed model can have"),
        (CONFIG, "keys/signer.key"),
    ):
        (tmp_path / "holdfast.toml").write_text(text)
        with pytest.raises(HoldfastError, match=sentence) as refused:
            planned(theirs.folder / "digits.onnx", theirs.folder / "like.npz", tmp_path / "holdfast.toml")
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


DATA = """
[data]
file = "rows.csv"
target = "y"
classes = ["stays", "goes"]
[data.features]
size = { kind = "real", range = [-9.0, 9.0], nullable = true }
kind = { kind = "category", categories = ["benign", "odd"] }
"""


def test_the_order_of_categories_and_classes_is_read_where_it_was_written(theirs: Theirs, tmp_path: Path) -> None:
    """Of texts in a table nobody can tell which number the model has for them; [data] says it."""
    library = pytest.importorskip("xgboost")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": rng.normal(size=200), "kind": pd.Categorical(rng.choice(["benign", "odd"], size=200))}
    )
    y = ((frame["size"] > 0) ^ (frame["kind"] == "odd")).astype(int)
    model = library.XGBClassifier(n_estimators=4, max_depth=2, enable_categorical=True, n_jobs=1).fit(frame, y)
    model.save_model(tmp_path / "model.json")
    frame.assign(y=y.map({0: "stays", 1: "goes"})).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError, match="'kind' holds text"):
        planned(tmp_path / "model.json", tmp_path / "rows.csv", theirs.folder / "holdfast.toml")
    shutil.copytree(theirs.folder / "keys", tmp_path / "keys")
    (tmp_path / "holdfast.toml").write_text(CONFIG + DATA)
    planned(tmp_path / "model.json", tmp_path / "rows.csv", tmp_path / "holdfast.toml")
    signer = VerifyKey.load(tmp_path / "keys/signer.pub")
    bundle = verify_bundle(tmp_path / "out/private/bundle", signer=signer)
    kind = bundle.card.schema["features"][1]
    assert (kind["name"], kind["categories"]) == ("kind", ["benign", "odd"])
    public = PublicPlan.from_json(json.loads(bundle.files[PUBLIC_PLAN]))
    plan = PrivatePlan(public=public, secret=SecretPlan.from_bytes(bundle.files[SECRET_PLAN]))
    assert plan.public.classes == ("stays", "goes")
    scores = plan.clear_scores(np.array([[np.nan, 1.0], [0.3, 0.0]]))
    asked = pd.DataFrame({"size": [np.nan, 0.3], "kind": pd.Categorical(["odd", "benign"])})
    assert np.abs(scores[:, 0] - model.predict(asked, output_margin=True)).max() <= 1e-4


def test_a_configuration_without_data_is_for_a_model_made_elsewhere(theirs: Theirs) -> None:
    path = theirs.folder / "holdfast.toml"
    assert type(read_model_config(path)) is ModelConfig
    with pytest.raises(ConfigError, match=r"expected \[data\] to be a table, found nothing"):
        read_config(path)


def test_a_run_cannot_require_what_it_measures_last(tmp_path: Path) -> None:
    config = write_demo(tmp_path / "demo")
    config.write_text(config.read_text().replace("require = [", 'require = ["private-inference", ', 1))
    with pytest.raises(ConfigError, match="which a run measures after it has sealed the model"):
        read_config(config)
    assert read_model_config(config).demands.require[0] == "private-inference"
