"""Hardened outputs: a model that answers with less than it knows, and always with the same class.

    probabilities ── temperature ── noise ── top ── decimals ──> answer

What is left out cannot be read: rounding and keyed noise hide the scores that equations are made of, labels alone hide
all of them. What stays is the class, and so whoever may ask often enough still learns where the classes part; budgets
and the watch are for that. `price` says what each setting costs and what it buys.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from holdfast.arguments import check_kind, is_number, is_whole
from holdfast.data import Labels, Matrix, Schema
from holdfast.errors import UsageError
from holdfast.hardening.outputs_noise import KEY_BYTES, keyed_noise
from holdfast.models import Model

_MAX_TEMPERATURE: Final = 100.0
"""Above it an answer is the same for all rows to two digits; say `top=1`."""
_MAX_NOISE: Final = 10.0
"""Above it an answer tells nothing but the class; say `top=1`."""
_LEAST_NOISE: Final = 1e-4
"""Below it noise hides nothing that matters."""
_MAX_DECIMALS: Final = 15
"""Digits of a float."""


@dataclass(frozen=True, kw_only=True)
class OutputDefence:
    """What is done to each answer, in this order.

    Args:
        temperature: above 1 makes answers less sure, below 1 surer; the scores are divided by it. 1 changes nothing.
        noise: standard deviation of what is added to each class's log-probability, 0 to 10. The answer depends on the
            clean one's cell of twice that width and on a secret key, so the same row, and rows near it, get the same
            answer: asking again and averaging tells nothing new.
        top: the number of classes that keep their probability, the others get 0; 1 gives labels alone. None: all.
        decimals: digits after the point, 1 to 15; None: all.
    """

    temperature: float = 1.0
    noise: float = 0.0
    top: int | None = None
    decimals: int | None = None

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        if not is_number(self.temperature) or not 1 / _MAX_TEMPERATURE <= self.temperature <= _MAX_TEMPERATURE:
            raise UsageError(
                f"expected a temperature from {1 / _MAX_TEMPERATURE:g} to {_MAX_TEMPERATURE:g}, "
                f"got {self.temperature!r}"
            )
        if not is_number(self.noise) or not 0 <= self.noise <= _MAX_NOISE:
            raise UsageError(f"expected noise from 0 to {_MAX_NOISE:g}, got {self.noise!r}")
        if self.top is not None and (not is_whole(self.top) or self.top < 1):
            raise UsageError(f"expected the number of classes to keep as 1 or more, got {self.top!r}")
        if self.decimals is not None and not (is_whole(self.decimals) and 1 <= self.decimals <= _MAX_DECIMALS):
            raise UsageError(
                f"expected 1 to {_MAX_DECIMALS} decimals, got {self.decimals!r}", hint="say top=1 for labels"
            )

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        return {"temperature": self.temperature, "noise": self.noise, "top": self.top, "decimals": self.decimals}


def new_noise_key() -> bytes:
    """A fresh key for the noise, from the operating system."""
    return secrets.token_bytes(KEY_BYTES)


def calibrated_noise(model: Model, X: Matrix, *, max_gap: float, key: bytes) -> float:
    """The most noise that moves the probability of the most probable class by no more than `max_gap` on average.

    Tried in steps of a quarter, from 10 downwards; the first that keeps to it is taken. 0 where none does.

    Args:
        model: what answers.
        X: (rows, features) clean rows to calibrate on; they are not used for anything else.
        max_gap: above 0 and below 1.
        key: the one that will be used; another one moves other answers.

    Raises:
        UsageError: no model, a gap that means nothing, no row, or a key of another size.
    """
    _check_model(model)
    check_kind("X", X, np.ndarray, example="data.X")
    _check_key(key)
    if not is_number(max_gap) or not 0 < max_gap < 1 or not len(X):
        raise UsageError(f"expected a gap between 0 and 1 and rows to calibrate on, got {max_gap!r} and {len(X)} rows")
    clean = np.asarray(model.predict_proba(X), dtype=np.float64)
    winner = np.asarray(clean.argmax(axis=1), dtype=np.int64)
    rows, noise = np.arange(len(X)), _MAX_NOISE
    while noise > _LEAST_NOISE:
        if np.abs(keyed_noise(clean, winner, noise=noise, key=key) - clean)[rows, winner].mean() <= max_gap:
            return noise
        noise *= 0.75
    return 0.0


@dataclass(frozen=True, eq=False, repr=False)
class HardenedOutput:
    """A model whose answers go through a defence. It keeps the contract of `holdfast.models.Model`.

    The most probable class of every row is that of the model. Two processes give the same answers if they have the same
    key; who knows it can take the noise off, so it is kept as a secret.

    Noise and rounding answer in steps. A row at the very edge of one may get the other answer where the model rounds
    otherwise in a larger batch, as networks in float32 do.

    Args:
        model: what answers.
        defence: what is done to its answers.
        key: 32 secret bytes for the noise; drawn if not given.
    """

    model: Model
    defence: OutputDefence
    key: bytes = field(default_factory=new_noise_key)

    def __post_init__(self) -> None:
        """Refuse what is no model, no defence, and a key of another size."""
        _check_model(self.model)
        check_kind("defence", self.defence, OutputDefence, example="OutputDefence(decimals=2)")
        _check_key(self.key)

    def __repr__(self) -> str:
        return f"<HardenedOutput: {type(self.model).__name__} behind {self.defence}>"

    @property
    def schema(self) -> Schema:
        """That of the model."""
        return self.model.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, features) in the schema's units to (rows, classes), each row summing to 1."""
        clean = np.asarray(self.model.predict_proba(X), dtype=np.float64)
        winner, P, defence = np.asarray(clean.argmax(axis=1), dtype=np.int64), clean, self.defence
        if defence.temperature != 1:
            P = _softened(P, winner, defence.temperature)
        if defence.noise:
            P = keyed_noise(P, winner, noise=defence.noise, key=self.key)
        if defence.top is not None:
            P = _cut(P, winner, defence.top)
        if defence.decimals is not None:
            P = _rounded(P, winner, defence.decimals)
        return P

    def __reduce__(self) -> Any:
        """Refuse to be pickled: the key would leave with it."""
        raise UsageError(
            "a hardened output holds a secret key and is not pickled", hint="keep the key and make it anew"
        )


def _check_model(model: Model) -> None:
    if not callable(getattr(model, "predict_proba", None)):
        raise UsageError(f"expected a model with predict_proba, got {type(model).__name__}")


def _check_key(key: bytes) -> None:
    if not isinstance(key, bytes):
        raise UsageError(f"expected a noise key of {KEY_BYTES} bytes, got {type(key).__name__}")
    if len(key) != KEY_BYTES:
        raise UsageError(f"expected a noise key of {KEY_BYTES} bytes, got {len(key)}")


def _softened(P: Matrix, winner: Labels, temperature: float) -> Matrix:
    """The scores divided by the temperature; classes that become equal stay a float apart, so that the winner wins."""
    powers = (P / P.max(axis=1, keepdims=True)) ** (1 / temperature)
    softened = powers / powers.sum(axis=1, keepdims=True)
    beaten = np.flatnonzero(softened.argmax(axis=1) != winner)
    softened[beaten, winner[beaten]] = np.nextafter(softened[beaten].max(axis=1), 1)
    return np.asarray(softened)


def _cut(P: Matrix, winner: Labels, top: int) -> Matrix:
    """Only the most probable classes, of equal ones the first, but the winner in any case."""
    rows = np.arange(len(P))
    ranked = P.copy()
    ranked[rows, winner] = np.inf
    kept = np.argsort(-ranked, axis=1, kind="stable")[:, :top]
    out = np.zeros_like(P)
    np.put_along_axis(out, kept, np.take_along_axis(P, kept, axis=1), axis=1)
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def _rounded(P: Matrix, winner: Labels, decimals: int) -> Matrix:
    """Whole units of 10^-decimals that add up to 1, dealt by the largest remainder.

    That keeps the order of the classes but may make two equal; where an earlier one equals the winner, one unit
    changes hands, so that the first of the largest is still the winner.
    """
    unit = 10.0**decimals
    shares = P * unit
    units = np.floor(shares)
    order = np.argsort(-(shares - units), axis=1, kind="stable")
    extra = np.arange(P.shape[1]) < np.rint(unit - units.sum(axis=1))[:, None]
    np.put_along_axis(units, order, np.take_along_axis(units, order, axis=1) + extra, axis=1)
    rows = np.arange(len(P))
    first = units.argmax(axis=1)
    beaten = first != winner
    units[rows[beaten], first[beaten]] -= 1
    units[rows[beaten], winner[beaten]] += 1
    return np.asarray(units / unit)
