"""`holdfast plan`: what a model takes and tells under encryption, or in one sentence why it cannot be asked so."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.cli.conftest import Demo, holdfast

from holdfast.cli.planning import plan_model
from holdfast.cli.terminal import exit_code
from holdfast.errors import HoldfastError
from holdfast.private_inference import PrivatePlan, PublicPlan, SecretPlan


def network(path: Path, *operators: str) -> Path:
    """A network of four inputs and two outputs: a Gemm, some operators, a Gemm."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=(4, 4)).astype(np.float32), "w1"),
        numpy_helper.from_array(rng.normal(size=(4, 2)).astype(np.float32), "w2"),
    ]
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["h0"])]
    nodes += [helper.make_node(name, [f"h{i}"], [f"h{i + 1}"], name=f"node {i}") for i, name in enumerate(operators)]
    nodes.append(helper.make_node("MatMul", [f"h{len(operators)}", "w2"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        initializer=weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(path))
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    X = np.random.default_rng(1).uniform(-1, 1, size=(50, 4))
    pd.DataFrame(X, columns=list("abcd")).to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def test_the_plan_of_a_bundle_is_told_and_written(demo: Demo, tmp_path: Path) -> None:
    table = demo.folder / "tumours.csv"
    said = holdfast("plan", demo.folder / "out/seal/bundle", "--data", table, "--out", tmp_path / "plan")
    assert said.code == 0, said.err
    told = " ".join(said.out.split())
    for word in (
        "128",
        "agreement: 569 of 569 rows",
        "leakage: The client learns",
        "The server learns",
        " ms in the service",
    ):
        assert word in told
    assert re.search(r"query [\d.]+ KB, answer [\d.]+ KB, keys [\d.]+ KB once", told)
    secret = tmp_path / "plan/secret.safetensors"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    public = PublicPlan.from_json(json.loads((tmp_path / "plan/plan.json").read_text()))
    PrivatePlan(public=public, secret=SecretPlan.from_bytes(secret.read_bytes()))


def test_the_plan_as_json_says_the_same_in_figures(demo: Demo) -> None:
    model = demo.folder / "out/harden/model.onnx"
    said = holdfast("plan", model, "--data", demo.folder / "tumours.csv", "--json")
    assert said.code == 0, said.err
    report = json.loads(said.out)
    assert report["kind"] == "linear"
    assert report["measured"]["rows"] == report["measured"]["same_class"] == 569
    assert report["layouts"]["row"]["query_bytes"] < 600_000
    assert report["layouts"]["row"]["answer_bytes"] <= 64 * 1024
    assert report["plan"].startswith("sha256:")


def test_the_plan_of_a_network_tells_its_expected_time_beside_the_measured_one(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    pd.DataFrame(np.random.default_rng(1).uniform(-1, 1, size=(50, 4))).to_csv(rows, index=False)
    graph = onnx.load(str(network(tmp_path / "net.onnx")))
    square, last = helper.make_node("Mul", ["h0", "h0"], ["h1"]), graph.graph.node[1]
    last.input[0] = "h1"
    graph.graph.node.insert(1, square)
    onnx.save(graph, str(tmp_path / "square.onnx"))
    said = holdfast("plan", tmp_path / "square.onnx", "--data", rows)
    assert said.code == 0, said.err
    told = " ".join(said.out.split())
    assert "model: network, " in told
    assert "agreement: 50 of 50 rows" in told
    assert re.search(r"; [\d.,]+ ms in the service \(predicted [\d.,]+ ms\) and [\d.,]+ ms with the client", told)


@pytest.mark.parametrize("operator", ["Sin", "Erf", "Relu"])
def test_an_operator_that_cannot_be_computed_is_named(tmp_path: Path, rows: Path, operator: str) -> None:
    said = holdfast("plan", network(tmp_path / "net.onnx", operator), "--data", rows, "--out", tmp_path / "out")
    assert said.code == 2
    assert operator in said.one_error()
    assert "hint: " in said.err
    assert not (tmp_path / "out").exists()


def test_what_is_no_model_or_no_data_is_told_in_one_sentence(tmp_path: Path, rows: Path, demo: Demo) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04.")
    (tmp_path / "texts.csv").write_text("a,b,c,d\n1,2,3,four\n")
    good = demo.folder / "out/harden/model.onnx"
    for model, data, target in (
        (tmp_path / "gone.onnx", rows, None),
        (tmp_path / "text.onnx", rows, None),
        (tmp_path / "model.pkl", rows, None),
        (tmp_path, rows, None),
        (good, tmp_path / "gone.csv", None),
        (good, rows, None),
        (network(tmp_path / "net.onnx"), tmp_path / "texts.csv", None),
        (network(tmp_path / "net.onnx"), rows, "e"),
    ):
        with pytest.raises(HoldfastError) as refused:
            plan_model(
                model,
                data=data,
                target=target,
                classes=None,
                out=tmp_path / "out",
                seal=None,
                batch=False,
                as_json=False,
            )
        assert exit_code(refused.value) == 2
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def boosted(tmp_path: Path) -> Path:
    """Trees over two features, and a table with their labels in the column `sick`."""
    xgboost = pytest.importorskip("xgboost")
    X = np.random.default_rng(2).normal(size=(200, 2))
    y = (X[:, 0] > 0).astype(int)
    xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(X, y).save_model(tmp_path / "model.json")
    pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "sick": np.where(y, "yes", "no")}).to_csv(tmp_path / "t.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(("classes", "doubted"), [("no,yes", False), ("yes,no", True)])
def test_classes_in_the_wrong_order_show_beside_the_labels(boosted: Path, classes: str, doubted: bool) -> None:
    said = holdfast(
        "plan", boosted / "model.json", "--data", boosted / "t.csv", "--target", "sick", "--classes", classes
    )
    assert said.code == 0, said.err
    told = " ".join(said.out.split())
    assert f"0 = {classes.split(',')[0]}" in told
    assert ("are the classes in the model's own order?" in told) == doubted


def test_a_table_of_another_width_is_bad_input(boosted: Path) -> None:
    pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]}).to_csv(boosted / "wide.csv", index=False)
    said = holdfast("plan", boosted / "model.json", "--data", boosted / "wide.csv")
    assert said.code == 2
    assert "2 features" in said.one_error()
