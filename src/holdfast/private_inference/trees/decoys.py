"""Decoys: cuts that a training could have chosen and did not, to stand among its thresholds.

They are of the kind of the thresholds (values, or midpoints of neighbouring values, in the same precision), so that no
digit tells them apart, and lie where thresholds lie: thick where those of the feature are, and those of all features.
The draw is an exponential race (Efraimidis and Spirakis 2006) whose numbers are hashes keyed with the model: whoever
lacks the model cannot repeat it, and compiling a model again draws the same, so two plans of one model give no more
away than one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.models.trees.ensemble import Ensemble

Cuts: TypeAlias = NDArray[np.float64]
Kind: TypeAlias = Callable[[Cuts], Cuts]

_MAX_ROWS: Final = 5_000
"""Rows from which decoys are taken; more make no better ones."""
_MAX_FREE: Final = 2_048
"""Cuts to draw from where thresholds lie at no values."""
_BANDWIDTH: Final = 0.05
"""How far from a threshold decoys crowd, as a share of all candidates."""
_SHARES: Final = (0.1, 0.5, 0.4)
"""How much decoys lie anywhere, like the thresholds of all features, and like those of their own."""


def thresholds_of(ensemble: Ensemble) -> list[Cuts]:
    """The finite cuts of each feature, ascending."""
    found: list[set[float]] = [set() for _ in ensemble.columns]
    for tree in ensemble.trees:
        for rule in tree.rules:
            found[rule.feature].update(rule.edges)
    return [np.array(sorted(cuts - {np.inf, -np.inf})) for cuts in found]


def decoy_candidates(ensemble: Ensemble, X: Cuts | None) -> Sequence[Cuts]:
    """Cuts that training on rows like X could have chosen for each feature."""
    thresholds = thresholds_of(ensemble)
    rng = np.random.default_rng(list(_key(ensemble)))
    rows = np.empty((0, ensemble.n_features)) if X is None else X
    kind = _kind(ensemble, thresholds, rows)
    if len(rows) > _MAX_ROWS:
        rows = rows[rng.choice(len(rows), _MAX_ROWS, replace=False)]
    values = [_distinct(x) for x in rows.T]
    if X is None or kind is None:
        return [ensemble.cut(_anywhere(cuts, x, rng)) for cuts, x in zip(thresholds, values, strict=True)]
    return [ensemble.cut(kind(x)) for x in values]


def _kind(ensemble: Ensemble, thresholds: Sequence[Cuts], X: Cuts) -> Kind | None:
    """Where the trees' thresholds lie among values such as X: the kind that explains most of them, if at least half."""
    found = [
        sum(int(np.isin(cuts, ensemble.cut(kind(_distinct(X[:, j])))).sum()) for j, cuts in enumerate(thresholds))
        for kind in _KINDS
    ]
    best = int(np.argmax(found))
    return _KINDS[best] if 2 * found[best] >= sum(map(len, thresholds)) else None


def _distinct(x: Cuts) -> Cuts:
    return np.unique(x[np.isfinite(x)])


def _single(x: Cuts) -> Cuts:
    with np.errstate(over="ignore"):
        return np.unique(x.astype(np.float32).astype(np.float64))


def _middles(x: Cuts) -> Cuts:
    return np.asarray(x[:-1] / 2 + x[1:] / 2)


_KINDS: Final[tuple[Kind, ...]] = (
    _single,  # XGBoost's histograms
    lambda x: x,
    lambda x: _middles(_single(x)),  # scikit-learn's trees
    lambda x: _single(_middles(_single(x))),  # the same in ONNX; XGBoost's exact method
    _middles,  # scikit-learn's histograms
    lambda x: np.nextafter(_middles(x), np.inf),  # LightGBM
)


def _anywhere(thresholds: Cuts, x: Cuts, rng: np.random.Generator) -> Cuts:
    """Cuts between neighbouring values or thresholds, for trees that do not split at such values."""
    known = np.union1d(x, thresholds)
    if len(known) < 2:
        known = np.concatenate([known - 1, known + 1]) if len(known) else np.array([-1.0, 1.0])
    gaps = rng.integers(len(known) - 1, size=_MAX_FREE)
    return known[gaps] + rng.random(len(gaps)) * (known[gaps + 1] - known[gaps])


def with_decoys(
    thresholds: Sequence[Cuts], candidates: Sequence[Cuts], sizes: Sequence[int], *, ensemble: Ensemble
) -> list[Cuts]:
    """The grid of each feature, ascending: its thresholds and decoys, as many as its size if there are enough."""
    key = _key(ensemble)
    decoys = [np.setdiff1d(some[np.isfinite(some)], cuts) for some, cuts in zip(candidates, thresholds, strict=True)]
    every = [np.union1d(some, cuts) for some, cuts in zip(decoys, thresholds, strict=True)]
    own = [_places(cuts, all_) for cuts, all_ in zip(thresholds, every, strict=True)]
    usual = np.concatenate([np.empty(0), *own])
    grids = []
    for j, (cuts, some) in enumerate(zip(thresholds, decoys, strict=True)):
        places = _places(some, every[j])
        weights = np.array(_SHARES) @ [np.ones(len(some)), _density(usual, places), _density(own[j], places)]
        order = np.argsort(_waits(some, key + j.to_bytes(4, "big")) / weights)
        grids.append(np.union1d(cuts, some[order[: max(0, sizes[j] - len(cuts))]]))
    return grids


def _places(cuts: Cuts, every: Cuts) -> Cuts:
    """Where cuts stand in the order of all candidates, in (0, 1)."""
    return np.asarray((np.searchsorted(every, cuts) + 0.5) / max(1, len(every)))


def _density(places: Cuts, at: Cuts) -> Cuts:
    """How thick places lie around others: a Gaussian kernel estimate."""
    if not len(places):
        return np.zeros(len(at))
    marks = np.linspace(0, 1, 129)
    kernels = np.exp(-0.5 * ((marks[:, None] - places) / _BANDWIDTH) ** 2) / (_BANDWIDTH * np.sqrt(2 * np.pi))
    return np.asarray(np.interp(at, marks, kernels.mean(axis=1)), dtype=np.float64)


def _waits(cuts: Cuts, key: bytes) -> Cuts:
    """An exponential variable for each cut, from its keyed hash."""
    digests = b"".join(hmac.digest(key, cut.tobytes(), "sha256")[:8] for cut in cuts)
    return np.asarray(-np.log((np.frombuffer(digests, dtype=np.uint64).astype(np.float64) + 1) / 2.0**64))


def _key(ensemble: Ensemble) -> bytes:
    """What only an owner of the model knows, for the draw of decoys."""
    digest = hashlib.sha256(b"holdfast decoys 1")
    for tree in ensemble.trees:
        for rule in tree.rules:
            digest.update(rule.feature.to_bytes(4, "big") + np.array(rule.edges).tobytes())
        digest.update(tree.leaves.tobytes())
    return digest.digest()
