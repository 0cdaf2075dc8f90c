"""Models as users have them, served as private plans alone: images, tables with gaps and categories, regressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from holdfast.cli.asking import ask_service
from holdfast.custody import ModelCard, SigningKey, write_bundle
from holdfast.data import Feature, columns_from_frame, columns_of
from holdfast.errors import DataError, IntegrityError, UnsupportedError, WireError
from holdfast.http import Client, ModelMetadata, create_app, running
from holdfast.policy import Policy
from holdfast.private_inference import PrivatePlan, compile_private
from holdfast.serving import AuditLog, Service, Store, plan_files, verify_audit

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Alone:
    """A running service of a private plan alone."""

    url: str
    service: Service
    plan: PrivatePlan

    def client(self, name: str = "ward 7") -> Client:
        return Client(self.url, self.service.access.add_client(name, query_budget=1_000), timeout_s=120)


@contextmanager
def serving(plan: PrivatePlan, folder: Path, *, columns: Sequence[Feature] = ()) -> Iterator[Alone]:
    """A service of a plan, with a store and an audit log of its own; the log verifies afterwards."""
    card = ModelCard(
        name="theirs",
        version="1",
        created="2025-01-31T12:00:00Z",
        model_kind="private plan",
        intended_use="tests",
        not_for="patients",
        licence="",
        data_digest="",
        schema={"features": [column.to_json() for column in columns]} if columns else {},
    )
    bundle = write_bundle(folder / "bundle", card=card, files=plan_files(plan), signing_key=SigningKey.generate())
    key, anchor = SigningKey.generate(), folder / "anchor"
    with Store(folder / "service.db") as store:
        audit = AuditLog(store, key=key, anchor=anchor)
        service = Service(bundle, policy=Policy(limits={}), store=store, audit=audit)
        with running(create_app(service)) as url:
            yield Alone(url, service, plan)
        service.close()
        audit.close()
        verify_audit(store, signer=key.public, anchor=anchor)


# Images.


@pytest.fixture(scope="module")
def images() -> Any:
    """Images of digits, 8 by 8 bytes each."""
    pixels, _ = load_digits(return_X_y=True)
    return (pixels.reshape(-1, 8, 8) * 15).astype(np.uint8)


@pytest.fixture(scope="module")
def network(images: Any) -> Any:
    """A convolutional network with one squaring, trained for a moment."""
    torch = pytest.importorskip("torch")

    class Square(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x * x

    torch.manual_seed(0)
    parts = [torch.nn.Conv2d(1, 4, 3, stride=2), Square(), torch.nn.Flatten(), torch.nn.Linear(36, 10)]
    net = torch.nn.Sequential(*parts)
    x, y = torch.tensor(images[:, None] / 255, dtype=torch.float32), torch.tensor(load_digits().target)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    return net.eval()


@pytest.fixture(scope="module")
def scans(images: Any, network: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    plan = compile_private(network, X=images[:200] / 255, classes=DIGITS)
    with serving(plan, tmp_path_factory.mktemp("scans")) as alone:
        yield alone


@pytest.fixture(scope="module")
def asking(scans: Alone) -> Iterator[Client]:
    with scans.client("images") as client:
        yield client


def clear_classes(network: Any, images: Any) -> tuple[str, ...]:
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        top = network(torch.tensor(images[:, None] / 255, dtype=torch.float32)).argmax(1)
    return tuple(str(int(digit)) for digit in top)


def test_images_are_read_without_being_shown(asking: Client, images: Any, network: Any) -> None:
    expected = clear_classes(network, images[300:303])
    assert asking.predict(images[300:303], private=True) == expected
    assert asking.predict(images[300:301, None] / 255, private=True) == expected[:1]  # with its channel, from 0 to 1
    P = asking.predict_proba(images[300:301], private=True)
    assert P.shape == (1, 10)
    assert P.sum() == pytest.approx(1)


def test_the_service_says_how_large_an_image_is(asking: Client, scans: Alone) -> None:
    assert asking.inputs.pixels.shape == (1, 8, 8)
    assert asking.classes == DIGITS
    assert asking.metadata.schema is None
    assert asking.metadata.digest == scans.plan.public.digest


def test_pictures_from_files_are_asked_about_on_the_command_line(
    scans: Alone,
    images: Any,
    network: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = clear_classes(network, images[300:302])
    monkeypatch.setenv("HOLDFAST_TOKEN", scans.service.access.add_client("shell", query_budget=100))
    monkeypatch.delenv("HOLDFAST_PASSPHRASE", raising=False)
    (tmp_path / "scans").mkdir()
    for number, image in enumerate(images[300:302]):
        Image.fromarray(image).save(tmp_path / f"scans/{number}.png")
    np.savez(tmp_path / "scans.npz", images[300:302])
    for path in (tmp_path / "scans", tmp_path / "scans.npz"):
        ask_service(path, url=scans.url, private=True, keys=None)
        header, *lines = capsys.readouterr().out.splitlines()
        assert header == ",".join(["label", *(f"p({digit})" for digit in DIGITS)])
        assert tuple(line.partition(",")[0] for line in lines) == expected
    with pytest.raises(UnsupportedError, match="is asked under encryption alone"):
        ask_service(tmp_path / "scans", url=scans.url, private=False, keys=None)
    Image.fromarray(images[0][:7]).save(tmp_path / "scans/2.png")
    with pytest.raises(DataError, match=r"expected pictures of 64 values in .*2\.png, got an array of \(1, 7, 8\)"):
        ask_service(tmp_path / "scans", url=scans.url, private=True, keys=None)


@pytest.mark.parametrize("shape", [(2, 7, 9), (2, 9, 9), (2, 4, 16), (8, 8), (2, 8, 8, 3), (2, 63)])
def test_an_image_of_another_size_is_not_sent(asking: Client, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="expected images of shape") as refused:
        asking.predict(np.zeros(shape), private=True)
    assert "\n" not in str(refused.value)


def test_what_is_no_image_is_not_sent(asking: Client, images: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected pixels from 0 to 1, got nan"):
        asking.predict(np.full((1, 8, 8), np.nan), private=True)
    with pytest.raises(DataError, match="expected pixels from 0 to 1, got 255"):
        asking.predict(images[:1] * 0.0 + 255, private=True)
    with pytest.raises(DataError, match="expected rows to ask about, got none"):
        asking.predict(images[:0], private=True)
    with pytest.raises(DataError, match="does not say which columns it takes"):
        asking.predict(pd.DataFrame({"a": [1.0]}), private=True)


def test_a_request_in_the_clear_is_refused_on_both_sides(asking: Client, scans: Alone, images: Any) -> None:
    with pytest.raises(UnsupportedError, match="is asked under encryption alone"):
        asking.predict(images[:1])
    with pytest.raises(UnsupportedError, match="is asked under encryption alone"):
        asking._connection.ask_json("POST", "/v2/models/theirs/infer", b'{"inputs":[]}')
    told = asking._connection.ask_json("GET", "/v2/models/theirs")
    assert (told["inputs"], told["outputs"], told["platform"]) == ([], [], "holdfast_private")


def test_a_service_that_shows_another_plan_is_not_asked(
    scans: Alone, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = scans.plan.public.to_json() | {"commitment": "sha256:" + "0" * 64}
    monkeypatch.setattr(Service, "private_plan", lambda *_: other)
    with scans.client("deceived") as client, pytest.raises(IntegrityError, match="is not of the model"):
        client.predict(images[:1], private=True)


# Tables.


def table(rows: int) -> pd.DataFrame:
    """A table with gaps in its numbers and in its categories."""
    rng = np.random.default_rng(0)
    size = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows))
    kind = rng.choice(["benign", "odd", "spread"], size=rows).astype(object)
    kind[rng.random(rows) < 0.1] = None
    categories = pd.Categorical(kind, categories=["benign", "odd", "spread"])
    return pd.DataFrame({"size": size, "kind": categories, "age": rng.integers(20, 90, size=rows)})


def hist(frame: pd.DataFrame, y: Any) -> Any:
    model = HistGradientBoostingClassifier(max_iter=5, max_depth=3, categorical_features="from_dtype", random_state=0)
    return model.fit(frame, y)


def xgboost(frame: pd.DataFrame, y: Any) -> Any:
    library = pytest.importorskip("xgboost")
    model = library.XGBClassifier(n_estimators=5, max_depth=3, enable_categorical=True, max_cat_to_onehot=1, n_jobs=1)
    return model.fit(frame, y)


def lightgbm(frame: pd.DataFrame, y: Any) -> Any:
    library = pytest.importorskip("lightgbm")
    model = library.LGBMClassifier(n_estimators=5, max_depth=3, min_data_per_group=5, n_jobs=1, verbose=-1)
    return model.fit(frame, y)


@pytest.mark.parametrize("fit", [hist, xgboost, lightgbm])
def test_a_table_with_gaps_and_categories_is_scored_as_the_model_scores_it(
    fit: Callable[[pd.DataFrame, Any], Any], tmp_path: Path
) -> None:
    frame = table(400)
    y = ((frame["size"].fillna(1) > 0) ^ (frame["kind"] == "odd")).astype(int)
    model, columns = fit(frame, y), columns_of(frame)
    plan = compile_private(model, X=columns_from_frame(frame, columns), classes=["stays", "goes"])
    asked = pd.DataFrame(
        {
            "age": [50, 60, 70],  # columns are found by their names
            "kind": pd.Categorical(["odd", None, "spread"], categories=["benign", "odd", "spread"]),
            "size": [np.nan, 0.3, -0.4],
        }
    )
    expected = model.predict_proba(asked[["size", "kind", "age"]])
    with serving(plan, tmp_path, columns=columns) as alone, alone.client() as client:
        P = client.predict_proba(asked, private=True)
        assert np.abs(P - expected).max() <= 1e-4
        assert client.predict(asked, private=True) == tuple(["stays", "goes"][i] for i in expected.argmax(axis=1))
        for wrong, sentence in (
            (asked.assign(kind="new"), "feature 'kind' is 'new' in row 0, expected one of 'benign', 'odd', 'spread'"),
            (asked.drop(columns="age"), "the table lacks the column 'age'"),
            (asked.assign(age="old"), "feature 'age' is 'old' in row 0, expected a number"),
            (asked.assign(age=np.inf), "feature 'age' is inf in row 0"),
        ):
            with pytest.raises(DataError, match=sentence):
                client.predict(wrong, private=True)


def test_a_regression_gives_numbers_and_no_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = table(200)[["size", "age"]]
    model = HistGradientBoostingRegressor(max_iter=4, max_depth=2).fit(frame, frame["age"] / 50)
    columns = columns_of(frame)
    plan = compile_private(model, X=columns_from_frame(frame, columns))
    with serving(plan, tmp_path, columns=columns) as alone, alone.client() as client:
        answer = client.ask_private(frame[:2])
        assert answer.labels == ()
        assert np.abs(answer.values[:, 0] - model.predict(frame[:2])).max() <= 1e-4
        for ask in (client.predict, client.predict_proba):
            with pytest.raises(UnsupportedError, match="gives numbers and no classes"):
                ask(frame[:2], private=True)
        frame[:2].to_csv(tmp_path / "rows.csv", index=False)
        monkeypatch.setenv("HOLDFAST_TOKEN", alone.service.access.add_client("shell", query_budget=100))
        ask_service(tmp_path / "rows.csv", url=alone.url, private=True, keys=None)
        header, *lines = capsys.readouterr().out.splitlines()
        assert header == "value"
        assert np.allclose([float(line) for line in lines], answer.values[:, 0])


def test_a_column_whose_order_as_a_category_nobody_gave_is_refused() -> None:
    with pytest.raises(DataError, match="expected numbers or categories in the column 'kind'"):
        columns_of(pd.DataFrame({"kind": ["a", "b"]}))


@pytest.mark.parametrize(
    "odd",
    [
        {"features": 3},
        {"features": [1]},
        {"features": [{"name": "a"}]},
        {"schema": 3},
        {"schema": {}},
        {"max_rows": "x"},
    ],
)
def test_a_service_that_describes_its_model_in_other_words_is_not_understood(scans: Alone, odd: dict[str, Any]) -> None:
    token = scans.service.access.add_client(f"reads {odd}", query_budget=1)
    described = scans.service.describe(scans.service.authenticate(token))
    assert ModelMetadata.from_json(described).columns == ()
    with pytest.raises(WireError, match="describes its model in a way that this version does not know"):
        ModelMetadata.from_json(described | odd)
