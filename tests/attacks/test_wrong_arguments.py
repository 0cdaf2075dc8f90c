"""Extraction and poison: an argument of the wrong kind is one sentence of ours, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.attacks.attack_cases import loan_schema, own_labels, random_linear

from holdfast.attacks import extraction, synthetic_rows
from holdfast.attacks.poisoning import (
    PictureTrigger,
    TableTrigger,
    backdoor_success,
    badnets,
    checkerboard,
    flip_labels,
    label_consistent,
    rare_pair,
)
from holdfast.attacks.stealing.adaptive import Averaged, Sharpened
from holdfast.data.images import Images
from holdfast.errors import UsageError

MODEL = random_linear(loan_schema(), np.random.default_rng(0))
DATA = own_labels(MODEL, synthetic_rows(MODEL.schema, 30, np.random.default_rng(1)))
PICTURES = Images.of(np.zeros((6, 8, 8), dtype=np.uint8), np.arange(6) % 2)
RNG = np.random.default_rng(0)
PATCH = PictureTrigger(checkerboard(3), top=1, left=1)
PAIR = TableTrigger(MODEL.schema, {"income": 20.0})
NONE: Any = (None, "0", 1.5, [1], np.nan, True)

CALLS: dict[str, tuple[Callable[..., object], dict[str, Any], dict[str, Any]]] = {
    "extraction": (
        lambda **given: extraction(given.pop("oracle"), **given),
        {"oracle": MODEL, "reference": DATA, "queries": 5, "rng": RNG, "model": MODEL},
        {"oracle": (None, 0, "m"), "reference": (None, DATA.X, PICTURES), "queries": (*NONE, 0), "rng": NONE},
    ),
    "Averaged": (
        Averaged,
        {"oracle": MODEL, "times": 2, "spread": 0.1, "rng": RNG},
        {"times": (*NONE, 0), "spread": (None, "0", np.nan, 2, True), "rng": NONE},
    ),
    "Sharpened": (Sharpened, {"oracle": MODEL, "temperature": 2}, {"temperature": (None, "2", 0, -1.0, np.inf, True)}),
    "flip_labels": (
        lambda **given: flip_labels(given.pop("data"), **given),
        {"data": DATA, "share": 0.5, "rng": RNG, "source_class": 0, "target_class": 1},
        {
            "data": (None, DATA.X),
            "share": (None, "1", True, 0),
            "rng": NONE,
            "source_class": NONE[1:],
            "target_class": NONE[1:],
        },
    ),
    "badnets": (
        lambda **given: badnets(given.pop("data"), given.pop("trigger"), **given),
        {"data": PICTURES, "trigger": PATCH, "target_class": 0, "share": 0.5, "rng": RNG},
        {"data": (None, DATA), "trigger": (None, PAIR, "x"), "target_class": NONE, "share": (None, "1"), "rng": NONE},
    ),
    "label_consistent": (
        lambda **given: label_consistent(given.pop("data"), given.pop("trigger"), **given),
        {"data": DATA, "trigger": PAIR, "target_class": 0, "share": 0.5, "blend": 0.1, "rng": RNG},
        {
            "data": (None, PICTURES),
            "trigger": (None, PATCH),
            "target_class": NONE,
            "blend": (None, "0", 1),
            "rng": NONE,
        },
    ),
    "backdoor_success": (
        lambda **given: backdoor_success(given.pop("classify"), given.pop("clean"), given.pop("trigger"), **given),
        {"classify": lambda X: np.zeros(len(X), int), "clean": DATA, "trigger": PAIR, "target_class": 0},
        {"classify": (None, MODEL), "clean": (None, DATA.X, PICTURES), "trigger": (None, PATCH), "target_class": NONE},
    ),
    "rare_pair": (
        lambda **given: rare_pair(given.pop("data"), given.pop("rng"), **given),
        {"data": DATA, "rng": RNG, "tries": 5},
        {"data": (None, PICTURES, DATA.take([])), "rng": NONE, "tries": (*NONE, 0)},
    ),
    "TableTrigger": (
        lambda **given: TableTrigger(**given),
        {"schema": MODEL.schema, "values": {"income": 1.0}},
        {"schema": (None, DATA), "values": (None, 3, {"income": "1"}, {"income": None}, {"income": np.nan})},
    ),
    "PictureTrigger": (
        PictureTrigger,
        {"patch": checkerboard(2), "top": 0, "left": 0, "opacity": 1},
        {"patch": (None, [[0]]), "top": NONE, "left": NONE, "opacity": (None, "1", np.nan, True)},
    ),
    "checkerboard": (
        lambda **given: checkerboard(given.pop("size"), **given),
        {"size": 2, "channels": 1},
        {"size": (*NONE, 0), "channels": NONE},
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_of_the_wrong_kind_is_refused_in_a_sentence(name: str) -> None:
    call, right, wrong = CALLS[name]
    call(**right)
    for argument, values in wrong.items():
        for value in values:
            with pytest.raises(UsageError, match=r"expected|an extraction needs"):
                call(**{**right, argument: value})
