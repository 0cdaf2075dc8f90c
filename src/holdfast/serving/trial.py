"""How well the watch does: false alarms on normal traffic, and how soon it sees an attack. Measured, not promised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.data import Dataset, Matrix
from holdfast.errors import UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion
from holdfast.serving.profile import WatchProfile
from holdfast.serving.watch import Watch


@dataclass(frozen=True, kw_only=True)
class WatchTrial:
    """What a trial found.

    Args:
        clients: normal clients simulated, each sending `rows_per_client` clean rows in an order of its own.
        flagged: how many of them were flagged.
        rows_per_client: see above.
        false_alarm_rate: what the profile promises for one client.
        queries_until_flagged: for each attacker, the row that got it flagged; 0 where none did. The figure of this name
            in the evidence is the worst of those who were.
        attack_rows: rows that each attacker sends.
    """

    clients: int
    flagged: int
    rows_per_client: int
    false_alarm_rate: float
    queries_until_flagged: tuple[int, ...]
    attack_rows: int

    def to_evidence(self, model_digest: str) -> Evidence:
        """The trial as evidence about a model, of the kind "service-watch"."""
        caught = [rows for rows in self.queries_until_flagged if rows]
        figures = {
            "false_alarm_rate": proportion(self.flagged, self.clients),
            "detection_rate": proportion(len(caught), len(self.queries_until_flagged)),
        }
        if caught:
            figures["queries_until_flagged"] = Figure(value=float(max(caught)), unit="queries")
        return Evidence(
            kind="service-watch",
            subject=model_digest,
            subject_kind="model",
            title=(
                f"The watch flags {len(caught)} of {len(self.queries_until_flagged)} attackers who send made-up rows, "
                f"and {self.flagged} of {self.clients} clients who send normal ones"
            ),
            figures=figures,
            samples={"queries_until_flagged": self.queries_until_flagged},
            context={
                "clients": self.clients,
                "rows_per_client": self.rows_per_client,
                "attack_rows": self.attack_rows,
                "asked_false_alarm_rate": self.false_alarm_rate,
            },
            references=(
                "MITRE ATLAS AML.T0024.002",
                "NIST AI 100-2e2025 model extraction",
                "OWASP ML05:2023 Model Theft",
            ),
            caveats=(
                "The simulated clients draw from the same clean rows, so they are not independent of one another.",
                "Rows are expected in random order; a table sorted by how unusual its rows are may be flagged.",
                "Encrypted queries can only be counted, and an attacker with real rows looks like any client.",
            ),
        )


def try_watch(
    profile: WatchProfile,
    *,
    clean: Dataset,
    attack: Matrix,
    rng: np.random.Generator,
    clients: int = 200,
    attackers: int = 20,
) -> WatchTrial:
    """Run the watch on simulated normal clients and attackers.

    Args:
        profile: what to try.
        clean: normal rows, best others than the profile was calibrated on; each client sends all, in random order.
        attack: (rows, features) of an attack, such as `attacks.synthetic_rows`; the attackers share them out evenly.
        rng: decides the orders.
        clients: simulated.
        attackers: simulated.

    Raises:
        UsageError: fewer attack rows than attackers.
    """
    rows = len(attack) // attackers
    if rows == 0:
        raise UsageError(f"expected at least {attackers} attack rows, one for each attacker, got {len(attack)}")
    watch = Watch(profile, schema=clean.schema)
    alerts = [watch.observe(f"client {i}", clean.X[rng.permutation(len(clean))]) for i in range(clients)]
    return WatchTrial(
        clients=clients,
        flagged=sum(alert is not None for alert in alerts),
        rows_per_client=len(clean),
        false_alarm_rate=profile.false_alarm_rate,
        queries_until_flagged=tuple(
            _queries_until_flagged(watch, f"attacker {i}", attack[i * rows : (i + 1) * rows]) for i in range(attackers)
        ),
        attack_rows=rows,
    )


def _queries_until_flagged(watch: Watch, client: str, X: Matrix) -> int:
    for row in range(len(X)):
        if watch.observe(client, X[row : row + 1]):
            return row + 1
    return 0
