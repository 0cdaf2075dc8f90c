"""An argument of the wrong kind is one sentence that says how to write it, before any model is asked or trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.attacks.attack_cases import numbers_schema, own_labels, random_linear
from tests.attacks.images.picture_cases import grey_pictures, images_of, linear
from tests.attacks.images.picture_cases import own_labels as own_picture_labels

import holdfast as hf
from holdfast.attacks.images.square import Square
from holdfast.attacks.images.transforms import Brightness
from holdfast.errors import UsageError
from holdfast.hardening import harden, harden_with_examples
from holdfast.hardening.images.methods import PGDTraining
from holdfast.hardening.trees import feasible_radius, fit_robust_trees

MODEL = random_linear(numbers_schema(), np.random.default_rng(0))
DATA = own_labels(MODEL, np.full((2, 4), 5.0))
NETWORK = linear()
IMAGES = images_of(grey_pictures(4), own_picture_labels(NETWORK, grey_pictures(4)), 4)
RNG = np.random.default_rng(0)
FEASIBLE, PIXELS = hf.FeasibleChange(budget=0.1), hf.PixelChange(radius=0.1)


def train(*_: Any, **__: Any) -> Any:
    """No trainer may be called."""
    raise AssertionError


def harden_images(**given: Any) -> object:
    return hf.harden_pictures(
        NETWORK, IMAGES, IMAGES, **{"threat": PIXELS, "method": PGDTraining(), "rng": RNG, **given}
    )


CALLS: dict[str, tuple[Callable[..., object], dict[str, Any]]] = {
    "evasion": (lambda **given: hf.evasion(MODEL, DATA, **given), {"threat": FEASIBLE, "rng": RNG}),
    "harden": (lambda **given: harden(MODEL, DATA, DATA, trainer=train, **given), {"threat": FEASIBLE, "rng": RNG}),
    "harden_with_examples": (
        lambda **given: harden_with_examples(MODEL, DATA, DATA, trainer=train, **given),
        {"threat": FEASIBLE, "rng": RNG},
    ),
    "picture_evasion": (lambda **given: hf.picture_evasion(NETWORK, IMAGES, **given), {"threat": PIXELS, "rng": RNG}),
    "transform_evasion": (
        lambda **given: hf.transform_evasion(NETWORK, IMAGES, **given),
        {"threat": Brightness(shift=0.1), "rng": RNG},
    ),
    "certify_robustness": (
        lambda **given: hf.certify_robustness(NETWORK, IMAGES, **given),
        {"threat": PIXELS},
    ),
    "harden_pictures": (harden_images, {"method": PGDTraining(), "threat": PIXELS, "rng": RNG}),
}


@pytest.mark.parametrize(("name", "argument"), [(name, word) for name, (_, given) in CALLS.items() for word in given])
@pytest.mark.parametrize("wrong", [0.1, "pgd", None])
def test_an_argument_of_the_wrong_kind_is_refused(name: str, argument: str, wrong: object) -> None:
    call, given = CALLS[name]
    with pytest.raises(UsageError, match=f"expected {argument} to be an? ") as caught:
        call(**{**given, argument: wrong})
    assert caught.value.hint.startswith(f"write for instance {argument}=")


def test_the_threat_of_another_kind_of_data_is_refused() -> None:
    for call, threat in ((hf.picture_evasion, FEASIBLE), (hf.transform_evasion, FEASIBLE)):
        with pytest.raises(UsageError, match="got FeasibleChange"):
            call(NETWORK, IMAGES, threat=threat, rng=RNG)  # type: ignore[operator]
    with pytest.raises(UsageError, match="expected threat to be a FeasibleChange, got PixelChange"):
        hf.evasion(MODEL, DATA, threat=PIXELS, rng=RNG)  # type: ignore[arg-type]


def test_what_takes_no_part_of_the_threat_is_refused_as_well() -> None:
    with pytest.raises(UsageError, match=r"expected resume to be a Path, got 'kept\.npz'"):
        hf.picture_evasion(NETWORK, IMAGES, threat=PIXELS, rng=RNG, resume="kept.npz")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected suite to be an Attack"):
        hf.picture_evasion(NETWORK, IMAGES, threat=PIXELS, rng=RNG, suite=["fast"])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="expected suite to be an Attack, got <class"):
        hf.picture_evasion(NETWORK, IMAGES, threat=PIXELS, rng=RNG, suite=[Square])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="expected threat to be a Transform, got <class"):
        hf.transform_evasion(NETWORK, IMAGES, threat=Brightness, rng=RNG)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected method to be a Method, got <class"):
        hf.harden_pictures(NETWORK, IMAGES, IMAGES, threat=PIXELS, method=PGDTraining, rng=RNG)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected resume to be a Path"):
        hf.evasion(MODEL, DATA, threat=FEASIBLE, rng=RNG, resume="kept.npz")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected data to be a Dataset, got array"):
        hf.evasion(MODEL, DATA.X, threat=FEASIBLE, rng=RNG)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="timeout_s is a number of seconds"):
        hf.evasion(MODEL, DATA, threat=FEASIBLE, rng=RNG, timeout_s="a")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected estimator to be a RobustTreeClassifier"):
        fit_robust_trees(object(), DATA, evasion_radius=np.zeros(4))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected threat to be a FeasibleChange"):
        feasible_radius(0.1, DATA)  # type: ignore[arg-type]
