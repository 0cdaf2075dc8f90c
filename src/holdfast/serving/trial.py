"""How well the watch does: false alarms on normal traffic, and how soon it sees an attack. Measured, not promised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.data import Dataset, Matrix
from holdfast.errors import UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion
from holdfast.serving.profile import WatchProfile
from holdfast.serving.watch import Watch
from holdfast.telling import Telling

_UNFLAGGED: Final = 0


@dataclass(frozen=True, kw_only=True, repr=False)
class WatchTrial(Telling):
    """What a trial found.

    Args:
        clients: normal clients simulated, each sending `rows_per_client` clean rows in an order of its own.
        flagged: how many of them were flagged.
        rows_per_client: see above.
        false_alarm_rate: what the profile promises for one client.
        queries_until_flagged: by kind of attack, for each attacker the row that got it flagged; 0 where none did. The
            figure of this name in the evidence is the worst of those who were.
        attack_rows: rows that each attacker sends, by kind of attack.
    """

    clients: int
    flagged: int
    rows_per_client: int
    false_alarm_rate: float
    queries_until_flagged: Mapping[str, tuple[int, ...]]
    attack_rows: Mapping[str, int]

    @property
    def detection_rates(self) -> dict[str, Figure]:
        """By kind of attack, the share of attackers who were flagged."""
        return {
            kind: proportion(sum(rows != _UNFLAGGED for rows in found), len(found))
            for kind, found in self.queries_until_flagged.items()
        }

    def to_evidence(self, model_digest: str) -> Evidence:
        """The trial as evidence about a model, of the kind "service-watch". The worst kind of attack counts."""
        rates = self.detection_rates
        worst = min(rates, key=lambda kind: rates[kind].value)
        missed = [kind for kind, rate in rates.items() if rate.value < 1]
        caught = [rows for found in self.queries_until_flagged.values() for rows in found if rows != _UNFLAGGED]
        figures = {"false_alarm_rate": proportion(self.flagged, self.clients), "detection_rate": rates[worst]}
        if caught:
            figures["queries_until_flagged"] = Figure(value=float(max(caught)), unit="queries")
        evaded = (f"Not every attacker was flagged who sent rows of the kind: {'; '.join(missed)}.",) if missed else ()
        flagged = "all" if not missed else f"{rates[worst].value:.0%} of the kind that it misses most"
        return Evidence(
            kind="service-watch",
            subject=model_digest,
            subject_kind="model",
            title=(
                f"Of simulated attackers of {len(rates)} kinds, who send made-up rows, the watch flags {flagged}; "
                f"of {self.clients} clients who send normal rows, {self.flagged}"
            ),
            figures=figures,
            context={
                "clients": self.clients,
                "rows_per_client": self.rows_per_client,
                "asked_false_alarm_rate": self.false_alarm_rate,
                "worst_attack": worst,
                "attacks": {
                    kind: {
                        "detection_rate": rates[kind].value,
                        "queries_until_flagged": list(self.queries_until_flagged[kind]),
                        "rows": self.attack_rows[kind],
                    }
                    for kind in rates
                },
            },
            references=(
                "MITRE ATLAS AML.T0024.002 Extract AI Model",
                "NIST AI 100-2e2025 NISTAML.031 Model Extraction",
                "OWASP ML05:2023 Model Theft",
            ),
            caveats=(
                "The simulated clients draw from the same clean rows, so they are not independent of one another.",
                "Rows are expected in random order; a table sorted by how unusual its rows are may be flagged.",
                "Encrypted queries can only be counted, and an attacker with real rows looks like any client.",
                "Rows made up in a way that is not among these kinds may stay below the alarm.",
                *evaded,
            ),
        )


def try_watch(
    profile: WatchProfile,
    *,
    clean: Dataset,
    attack: Mapping[str, Matrix],
    rng: np.random.Generator,
    clients: int = 200,
    attackers: int = 20,
) -> WatchTrial:
    """Run the watch on simulated normal clients and attackers.

    Args:
        profile: what to try.
        clean: normal rows, best others than the profile was calibrated on; each client sends all, in random order.
        attack: by kind of attack, (rows, features) of it, such as `attacks.synthetic_rows`; the attackers of each kind
            share them out evenly.
        rng: decides the orders.
        clients: simulated.
        attackers: simulated, of each kind.

    Raises:
        UsageError: no kind of attack, or one with fewer rows than attackers.
    """
    if not attack:
        raise UsageError("expected at least one kind of attack to try the watch with, got none")
    for kind, X in attack.items():
        if len(X) < attackers:
            raise UsageError(f"expected at least {attackers} {kind!r} rows, one for each attacker, got {len(X)}")
    shares = {kind: len(X) // attackers for kind, X in attack.items()}
    watch = Watch(profile, schema=clean.schema)
    alerts = [watch.observe(f"client {i}", clean.X[rng.permutation(len(clean))]) for i in range(clients)]
    return WatchTrial(
        clients=clients,
        flagged=sum(alert is not None for alert in alerts),
        rows_per_client=len(clean),
        false_alarm_rate=profile.false_alarm_rate,
        queries_until_flagged={
            kind: tuple(
                _queries_until_flagged(watch, f"{kind} attacker {i}", attack[kind][i * share : (i + 1) * share])
                for i in range(attackers)
            )
            for kind, share in shares.items()
        },
        attack_rows=shares,
    )


def _queries_until_flagged(watch: Watch, client: str, X: Matrix) -> int:
    for row in range(len(X)):
        if watch.observe(client, X[row : row + 1]):
            return row + 1
    return _UNFLAGGED
