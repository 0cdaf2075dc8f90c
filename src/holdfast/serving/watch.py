"""The watch: who asks as nobody with real rows would, told online, per client, in bounded memory.

Each row of a client is compared with a `WatchProfile`: is it far from normal traffic, is it near a row that the client
asked before? Normal rows are so now and then, at known rates. The watch bets against that: a client whose rows are far
or near more often than the rates allow multiplies the watch's wealth, and at 2 / false_alarm_rate (there are two bets)
the client is flagged.
If the rows are normal, in random order and the rates are true bounds, the wealth is a supermartingale, so by Ville's
inequality (1939) it ever gets there with a probability of at most false_alarm_rate: over the client's whole life, with
no correction for looking after every row. The wealth is a mixture over the row at which the attack begins, so a client
that behaves for a thousand rows first is caught only a few rows later (Shin, Ramdas and Rinaldo, "E-detectors", 2022).
The idea to look at distances among a client's own queries is that of PRADA (Juuti et al. 2019); its test of normality
is not used, because honest traffic fails it.

What the watch cannot see: rows that come encrypted, which are only counted (`private_tally`); an attacker who has real
rows and asks only those; several clients in league, each below its threshold. A person who tries variations of one
case looks like a prober. Budgets bound what the watch misses.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from holdfast import limits
from holdfast.data import Matrix, Schema
from holdfast.detection import Bet
from holdfast.errors import InputError
from holdfast.models import Encoding
from holdfast.serving.profile import WatchProfile, schema_digest

Flags = npt.NDArray[np.bool_]
AlertKind = Literal["far rows", "near rows", "private rows"]

_TESTS: Final = 2
_EXPLAINED_FEATURES: Final = 3


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A client that was flagged, and why in plain words. Names features, never values."""

    client: str
    kind: AlertKind
    reason: str


class _Traffic:
    """What is remembered of one client."""

    def __init__(self, width: int) -> None:
        self.rows = np.empty((0, width))
        self.far, self.near = Bet(), Bet()
        self.unusual: Counter[str] = Counter()


class Watch:
    """Follows every client of one model. Threads may share it.

    Args:
        profile: of normal traffic.
        schema: of the model's rows.

    Raises:
        InputError: the profile is of another schema.
    """

    def __init__(self, profile: WatchProfile, *, schema: Schema) -> None:
        if profile.schema_digest != schema_digest(schema) or profile.centres.shape[1] != Encoding(schema).width:
            raise InputError("the watch profile was calibrated for another schema than the model's")
        self._profile = profile
        self._encoding = Encoding(schema)
        self._threshold = _TESTS / profile.false_alarm_rate
        self._traffic: OrderedDict[str, _Traffic] = OrderedDict()
        self._watching = threading.Lock()

    def observe(self, client: str, X: Matrix) -> Alert | None:
        """Look at rows in the order in which they were asked.

        Args:
            client: who asks.
            X: (rows, features) in the schema's units, checked against the schema.

        Returns:
            Why the client is flagged, if it is; its wealth then starts anew, and so do the remembered rows.
        """
        E = self._encoding.encode(X)
        region, distance = self._profile.distances(E)
        far = distance > self._profile.far
        with self._watching:
            traffic = self._of(client)
            near, repeated = self._compare(traffic, E)
            for row in np.flatnonzero(~repeated):  # asking the same again teaches an attacker nothing
                traffic.far.see(hit=bool(far[row]), rate=float(self._profile.far_rates[region[row]]))
                traffic.near.see(hit=bool(near[row]), rate=self._profile.near_rate)
                if far[row]:
                    traffic.unusual.update(self._unusual(E[row], self._profile.centres[region[row]]))
                if max(traffic.far.wealth, traffic.near.wealth) >= self._threshold:
                    del self._traffic[client]
                    return self._explain(client, traffic)
        return None

    def _of(self, client: str) -> _Traffic:
        traffic = self._traffic.setdefault(client, _Traffic(self._encoding.width))
        self._traffic.move_to_end(client)
        if len(self._traffic) > limits.MAX_WATCHED_CLIENTS:
            self._traffic.popitem(last=False)
        return traffic

    def _compare(self, traffic: _Traffic, E: Matrix) -> tuple[Flags, Flags]:
        """Which rows are near one of the client's last rows, and which are one of them again."""
        memory = self._profile.memory_rows
        near, repeated = np.zeros(len(E), dtype=bool), np.zeros(len(E), dtype=bool)
        for start in range(0, len(E), memory):
            chunk = E[start : start + memory]
            past = np.vstack([traffic.rows, chunk])
            D = cdist(chunk, past)
            position = np.arange(len(chunk))[:, None] + len(traffic.rows)
            D[np.arange(len(past)) >= position] = np.inf  # only what came before
            repeated[start : start + memory] = (D == 0).any(axis=1)
            near[start : start + memory] = D.min(axis=1, initial=np.inf) < self._profile.near
            traffic.rows = past[-memory:]
        return near, repeated

    def _unusual(self, row: Matrix, centre: Matrix) -> set[str]:
        """The features that lie farthest from the centre, in their own spread."""
        deviation = np.abs(row - centre) / self._profile.spread
        worst = deviation.argsort()[::-1][:_EXPLAINED_FEATURES]
        return {self._encoding.schema.names[self._encoding.columns[int(column)].source] for column in worst}

    def _explain(self, client: str, traffic: _Traffic) -> Alert:
        kind: AlertKind = "far rows" if traffic.far.wealth >= traffic.near.wealth else "near rows"
        recent = (traffic.far if kind == "far rows" else traffic.near).recent
        counted = f"{sum(recent)} of the last {len(recent)} rows"
        if kind == "near rows":
            reason = f"{counted} lie closer to one asked before than normal rows do: the decision boundary is probed"
        else:
            names = ", ".join(repr(str(name)) for name, _ in traffic.unusual.most_common(_EXPLAINED_FEATURES))
            reason = (
                f"{counted} are unlike normal traffic, mostly in {names}: they look made up, as for copying a model"
            )
        return Alert(client=client, kind=kind, reason=reason)
