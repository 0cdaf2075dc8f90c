"""Every client followed with one detector: online, in bounded memory, and flagged when chance is ruled out."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from holdfast import limits
from holdfast.data import Matrix
from holdfast.detection.bet import Bet
from holdfast.detection.detector import Detector
from holdfast.detection.statistic import Statistic, windows_of
from holdfast.detection.views import Queries
from holdfast.errors import UsageError

_REMEMBERED: Final = 128
"""Last different queries of a client that a repetition is known by."""
_DIGEST_BYTES: Final = 16
_STATE_BYTES: Final = 20_000
"""What a client takes beside the queries of its window: digests, the bet, the dictionaries around them."""
MAX_FOLLOWED_BYTES: Final = 512 * 2**20
"""Bytes that a follower keeps of all clients; 4,096 of them fit with 32 small pictures each."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the last queries of a client say of it.

    Args:
        scores: of the windows that were filled by these queries.
        flagged: how many of them lie above the detector's limit. One flagged window in a hundred or so is normal.
        alarm: whether the client is not normal; the probability of ever saying so of a normal one is bounded.
        reason: why, in plain words, where there is an alarm.
    """

    scores: tuple[float, ...]
    flagged: int
    alarm: bool
    reason: str


@dataclass
class _Client:
    """What is remembered of one client."""

    pending: Matrix
    seen: deque[bytes] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    bet: Bet = field(default_factory=Bet)


class Follower:
    """Follows every client of one model with one detector. Threads may share it.

    Give it one name for all clients to see an attack that is spread over many accounts, at the price of a window that
    honest clients fill as well. A query that repeats one of the client's last 128 different ones is left out: asking
    the same again teaches nothing.

    Args:
        detector: what flags windows.
        false_alarm_rate: chance that a client with honest queries in random order is ever given an alarm, over its
            whole life; it holds where the limit's `rate_bound` does, which is 95 times of 100.

    Raises:
        UsageError: the rate is not between 0 and 1.
    """

    def __init__(self, detector: Detector, *, false_alarm_rate: float = 0.001) -> None:
        if not 0 < false_alarm_rate < 1:
            raise UsageError(f"a false alarm rate lies between 0 and 1, got {false_alarm_rate}")
        self.detector = detector
        self._threshold = 1 / false_alarm_rate
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        statistic = detector.statistic
        per_client = 8 * statistic.window * statistic.width + _STATE_BYTES
        self._most_clients = max(1, min(limits.MAX_WATCHED_CLIENTS, MAX_FOLLOWED_BYTES // per_client))
        self._following = threading.Lock()

    def observe(self, client: str, queries: Queries) -> Verdict:
        """Look at a client's queries, in the order in which they came.

        Args:
            client: who asks.
            queries: (n, …) as the detector's view has them.

        Returns:
            What they say; after an alarm the client starts anew.

        Raises:
            DataError: the queries are not what the view is of; nothing is remembered of them then.
        """
        statistic = self.detector.statistic
        kept = statistic.kept(queries)
        with self._following:
            state = self._of(client)
            new = [row for row in range(len(queries)) if _is_new(state, queries[row])]
            pending = np.vstack([state.pending, kept[new]])
            windows = windows_of(pending, statistic.window)
            state.pending = pending[len(windows) * statistic.window :].copy()
            scores = statistic.scores(windows)
            flagged = self.detector.limit.above(scores)
            alarm = self._bet(state.bet, flagged.tolist())
            if alarm:
                del self._clients[client]
        reason = _reason(statistic, state.bet) if alarm else ""
        return Verdict(scores=tuple(scores.tolist()), flagged=int(flagged.sum()), alarm=alarm, reason=reason)

    def _bet(self, bet: Bet, flagged: list[bool]) -> bool:
        """Whether the wealth gets there with one of these windows."""
        for hit in flagged:
            bet.see(hit=hit, rate=self.detector.limit.rate_bound)
            if bet.wealth >= self._threshold:
                return True
        return False

    def _of(self, client: str) -> _Client:
        state = self._clients.setdefault(client, _Client(np.empty((0, self.detector.statistic.width))))
        self._clients.move_to_end(client)
        if len(self._clients) > self._most_clients:
            self._clients.popitem(last=False)
        return state


def _is_new(state: _Client, query: Queries) -> bool:
    """Whether the client's last queries do not have this one; from now on they do."""
    digest = hashlib.blake2b(np.ascontiguousarray(query).data, digest_size=_DIGEST_BYTES).digest()
    if digest in state.seen:
        return False
    state.seen.append(digest)
    return True


def _reason(statistic: Statistic, bet: Bet) -> str:
    queries = "queries" if statistic.window == 1 else f"groups of {statistic.window} queries"
    return f"{sum(bet.recent)} of the last {len(bet.recent)} {queries} {statistic.finding}"
