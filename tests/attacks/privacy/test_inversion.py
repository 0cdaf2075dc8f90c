"""Model inversion: a trained model shows its classes, an untrained one does not, and answers alone will do."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from holdfast.attacks.privacy.inversion import invert_network, invert_service
from holdfast.attacks.privacy.inversion_result import InversionResult
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.evidence import Evidence

torch = pytest.importorskip("torch", reason="inverting a network needs PyTorch")
nn = torch.nn

SUBJECT = "sha256:" + "0" * 64
SHAPE = (9, 7, 1)
CLASSES = 6


def as_tensor(pictures: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.moveaxis(pictures, -1, 1), dtype=torch.float32)


def fitted(pictures: np.ndarray, labels: np.ndarray, *, steps: int = 150) -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(pictures[0].size, int(labels.max()) + 1))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    x, y = as_tensor(pictures), torch.tensor(labels)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    return module


def service(module: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """A network behind answers rounded to four digits, as services give them."""

    def ask(pictures: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.softmax(module(as_tensor(pictures)), 1).numpy().astype(float).round(4)

    return ask


@pytest.fixture(scope="module")
def shapes() -> tuple[np.ndarray, np.ndarray]:
    """Blurred patches at a place of each class's own, ten noisy pictures each."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    centres = [(2, 2), (2, 4), (4, 1), (4, 5), (6, 2), (6, 4)]
    clean = np.array([np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 4) for r, c in centres])[..., None]
    labels = np.repeat(np.arange(CLASSES), 10)
    return (clean[labels] + rng.normal(0, 0.1, (60, *SHAPE))).clip(0, 1), labels


@pytest.fixture(scope="module")
def trained(shapes: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    return fitted(*shapes)


@pytest.fixture(scope="module")
def drawn(trained: nn.Module) -> InversionResult:
    return invert_network(trained, shape=SHAPE, classes=np.arange(CLASSES), steps=60)


def test_a_trained_network_shows_its_classes(drawn: InversionResult, shapes: tuple[np.ndarray, np.ndarray]) -> None:
    assert drawn.recognised(*shapes).value == 1
    assert drawn.confidence.min() > 0.9
    assert drawn.pictures.min() >= 0
    assert drawn.pictures.max() <= 1


def test_a_network_that_was_not_trained_shows_nothing(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    result = invert_network(fitted(*shapes, steps=0), shape=SHAPE, classes=np.arange(CLASSES), steps=60)
    recognised = result.recognised(*shapes)
    assert recognised.low <= 1 / CLASSES
    assert "was not seen to show" in result.to_evidence(SUBJECT, recognised=recognised, classes=CLASSES).title


def test_answers_alone_show_the_classes_too(trained: nn.Module, shapes: tuple[np.ndarray, np.ndarray]) -> None:
    seen: list[tuple[int, int]] = []
    result = invert_service(
        service(trained),
        shape=SHAPE,
        classes=np.array([1, 4]),
        steps=30,
        directions=20,
        rng=np.random.default_rng(1),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result.recognised(*shapes).value == 1
    assert result.queries == 2 * 30 * 40 + 2
    assert seen == [(done, 60) for done in range(1, 61)]


def test_faces_are_recognised(real_data: Callable[[str], Path]) -> None:
    """ORL: 40 people; the network has seen seven pictures of each, the pictures compared with are the other three."""
    faces = np.load(real_data("orl_faces.npz"), allow_pickle=False)
    small = faces["images"][:, ::8, ::8, None] / 255.0
    labels = faces["labels"].astype(np.int64) - int(faces["labels"].min())
    training = np.arange(len(labels)) % 10 < 7
    module = fitted(small[training], labels[training])
    result = invert_network(module, shape=small.shape[1:], classes=np.arange(40), steps=40)
    assert result.recognised(small[~training], labels[~training]).low > 0.5  # 1 in 40 by chance


def test_the_network_is_left_as_it_was(trained: nn.Module) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    trained.train()
    invert_network(trained, shape=SHAPE, classes=np.array([0]), steps=2)
    assert trained.training
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in fitted_gradients(trained))


def fitted_gradients(module: nn.Module) -> list[nn.Parameter]:
    module.zero_grad(set_to_none=True)
    invert_network(module, shape=SHAPE, classes=np.array([0]), steps=1)
    return list(module.parameters())


def test_the_picture_file_has_the_pictures_and_their_counterparts(
    drawn: InversionResult, shapes: tuple[np.ndarray, np.ndarray]
) -> None:
    alone = Image.open(io.BytesIO(drawn.png()))
    both = Image.open(io.BytesIO(drawn.png(beside=shapes[0][::10])))
    margin = 4
    assert alone.size == (CLASSES * (SHAPE[1] + margin), SHAPE[0] + margin)
    assert both.size == (alone.size[0], 2 * alone.size[1])
    with pytest.raises(DataError, match="counterparts of shape"):
        drawn.png(beside=shapes[0])
    with pytest.raises(DataError, match="expected counterparts from 0 to 1"):
        drawn.png(beside=255 * drawn.pictures)


def test_the_result_is_evidence(drawn: InversionResult, shapes: tuple[np.ndarray, np.ndarray]) -> None:
    evidence = drawn.to_evidence(SUBJECT, recognised=drawn.recognised(*shapes), classes=CLASSES)
    assert Evidence.from_json(evidence.to_json()) == evidence
    assert evidence.kind == "model-inversion"
    assert evidence.figures["recognised"].bound == "lower"
    assert evidence.figures["chance"].value == pytest.approx(1 / CLASSES)


def test_a_plain_picture_looks_like_nobody_in_particular(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    plain = InversionResult(
        pictures=np.full((1, *SHAPE), 0.5), classes=np.array([3]), confidence=np.ones(1), queries=0, attack="none"
    )
    assert plain.nearest(*shapes).tolist() == [0]  # all alike, so the first


def test_photographs_of_another_size_or_without_a_class_are_refused(
    drawn: InversionResult, shapes: tuple[np.ndarray, np.ndarray]
) -> None:
    pictures, labels = shapes
    with pytest.raises(DataError, match="labelled photographs of shape"):
        drawn.recognised(pictures[:, 1:], labels)
    with pytest.raises(DataError, match="none of class 5"):
        drawn.recognised(pictures[:50], labels[:50])


@pytest.mark.parametrize("options", [{"classes": np.array([], dtype=np.int64)}, {"steps": 0}])
def test_nothing_to_do_is_refused(trained: nn.Module, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="at least one class and one step"):
        invert_network(trained, **{"shape": SHAPE, "classes": np.array([0]), **options})


def test_no_direction_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one direction"):
        invert_service(
            lambda pictures: pictures, shape=SHAPE, classes=np.array([0]), directions=0, rng=np.random.default_rng(0)
        )


@pytest.mark.parametrize(
    "answer", [np.full((2, 3), 7.0), np.full((2, 3), np.nan), np.zeros((1, 3)), np.zeros(2), np.zeros((2, 1))]
)
def test_answers_that_are_no_probabilities_are_refused(answer: np.ndarray) -> None:
    with pytest.raises(UnsupportedError, match="expected probabilities"):
        invert_service(
            lambda pictures: answer,
            shape=SHAPE,
            classes=np.array([2]),
            directions=1,
            rng=np.random.default_rng(0),
        )


@pytest.mark.parametrize("label", [CLASSES, -1])
def test_a_class_that_the_network_has_not_is_refused(trained: nn.Module, label: int) -> None:
    with pytest.raises(UnsupportedError, match="expected logits"):
        invert_network(trained, shape=SHAPE, classes=np.array([label]), steps=1)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"shape": SHAPE[:2]}, "height, width, channels"), ({"classes": np.array(["a"])}, "positions of classes")],
)
def test_a_shape_or_a_class_that_is_none_is_refused(trained: nn.Module, options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        invert_network(trained, **{"shape": SHAPE, "classes": np.array([0]), **options})


def test_a_network_for_pictures_of_another_size_is_refused(trained: nn.Module) -> None:
    with pytest.raises(UnsupportedError, match=r"does not take a picture of shape \(1, 1, 3, 3\)"):
        invert_network(trained, shape=(3, 3, 1), classes=np.array([0]), steps=1)
