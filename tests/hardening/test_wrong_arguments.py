"""Ownership and output hardening: an argument of the wrong kind is one sentence of ours, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.attacks.attack_cases import loan_schema, own_labels, random_linear

from holdfast.attacks import synthetic_rows
from holdfast.data.images import Images
from holdfast.errors import UsageError
from holdfast.hardening import HardenedOutput, OutputDefence, calibrated_noise, price
from holdfast.hardening.ownership import (
    choose_fingerprint,
    classify,
    draw_watermark,
    fingerprint_model,
    pictures_between,
    rows_between,
    save_key,
)

MODEL = random_linear(loan_schema(), np.random.default_rng(0))
DATA = own_labels(MODEL, synthetic_rows(MODEL.schema, 60, np.random.default_rng(1)))
PICTURES = Images.of(np.zeros((6, 8, 8), dtype=np.uint8), np.arange(6) % 2)
RNG = np.random.default_rng(0)
KEY = draw_watermark(DATA, count=20)
ASKED = classify(MODEL)
DEFENCE = OutputDefence(decimals=2)
NONE: Any = (None, "0", 1.5, [1], np.nan, True)

CALLS: dict[str, tuple[Callable[..., object], dict[str, Any], dict[str, Any]]] = {
    "rows_between": (
        lambda **given: rows_between(given.pop("data"), **given),
        {"data": DATA, "n": 5, "rng": RNG},
        {"data": (None, PICTURES, DATA.X), "n": (*NONE, 0, -1), "rng": NONE},
    ),
    "pictures_between": (
        lambda **given: pictures_between(given.pop("data"), **given),
        {"data": PICTURES, "n": 5, "rng": RNG},
        {"data": (None, DATA, PICTURES.pixels), "n": (*NONE, 0), "rng": NONE},
    ),
    "draw_watermark": (
        lambda **given: draw_watermark(given.pop("data"), **given),
        {"data": PICTURES, "count": 20, "alpha": 0.01},
        {"data": (None, DATA.X, DATA.schema), "count": (*NONE, 0), "alpha": NONE},
    ),
    "verify": (
        lambda **given: KEY.verify(given.pop("suspect"), **given),
        {"suspect": ASKED, "commitment": KEY.commitment, "alpha": 0.1},
        {"suspect": (None, MODEL), "commitment": (None, 1, b"x"), "alpha": (None, "0", 1.5, [1], np.nan, True)},
    ),
    "choose_fingerprint": (
        lambda **given: choose_fingerprint(given.pop("model"), given.pop("twins"), given.pop("candidates"), **given),
        {"model": ASKED, "twins": [ASKED], "candidates": DATA.X, "classes": 2, "queries": 5},
        {"model": (None, MODEL), "twins": ([], [None]), "candidates": (None, [1]), "classes": NONE, "queries": NONE},
    ),
    "fingerprint_model": (
        lambda **given: fingerprint_model(given.pop("model"), given.pop("records"), **given),
        {
            "model": MODEL,
            "records": DATA,
            "trainer": lambda data, *, seed: MODEL,
            "test_fraction": 0.5,
            "rng": RNG,
            "twins": 1,
            "queries": 5,
        },
        {
            "model": (None, ASKED),
            "records": (None, DATA.X, PICTURES),
            "trainer": (None, MODEL),
            "test_fraction": (None, "0", [1], np.nan, 1.5),
            "rng": NONE,
            "twins": (*NONE, 0),
            "queries": (*NONE, 0),
        },
    ),
    "classify": (lambda model: classify(model), {"model": MODEL}, {"model": (None, ASKED, LogisticRegression())}),
    "OutputDefence": (
        OutputDefence,
        {"temperature": 2, "noise": 1, "top": 1, "decimals": 2},
        {"temperature": NONE[:2], "noise": NONE[:2], "top": NONE[1:], "decimals": NONE[1:]},
    ),
    "HardenedOutput": (
        HardenedOutput,
        {"model": MODEL, "defence": DEFENCE, "key": bytes(32)},
        {"model": (None, ASKED), "defence": (None, 0.1), "key": (None, "k", b"k")},
    ),
    "calibrated_noise": (
        lambda **given: calibrated_noise(given.pop("model"), given.pop("X"), **given),
        {"model": MODEL, "X": DATA.X, "max_gap": 0.1, "key": bytes(32)},
        {"model": (None, ASKED), "X": (None, DATA), "max_gap": NONE, "key": (None, b"k")},
    ),
    "price": (
        lambda **given: price(given.pop("model"), given.pop("hardened"), **given),
        {
            "model": MODEL,
            "hardened": HardenedOutput(MODEL, DEFENCE),
            "members": DATA,
            "non_members": DATA,
            "queries": 5,
            "rng": RNG,
        },
        {"hardened": (None, MODEL), "members": (None, DATA.X), "non_members": (None,), "queries": NONE, "rng": NONE},
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_of_the_wrong_kind_is_refused_in_a_sentence(name: str) -> None:
    call, right, wrong = CALLS[name]
    if name != "price":  # it takes a second, and has tests of its own
        call(**right)
    for argument, values in wrong.items():
        for value in values:
            with pytest.raises(UsageError, match=r"expected|level of significance|must lie between"):
                call(**{**right, argument: value})


def test_what_is_no_key_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a watermark or a fingerprint to keep, got bytes"):
        save_key(b"secret", tmp_path / "k")  # type: ignore[arg-type]
    assert not (tmp_path / "k").exists()
