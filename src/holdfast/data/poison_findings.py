"""Signs of poison as findings, in the same words for tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.data.findings import DataFinding
from holdfast.data.poison import Cluster, PairFlips, Trigger

_SERIOUS_DISAGREEMENT: Final = 0.75  # below it the carriers may be a hard part of their class by nature


def trigger_findings(triggers: Sequence[Trigger], classes: Sequence[str], *, what: str) -> list[DataFinding]:
    """Marks that look like a backdoor's trigger, one finding for each."""
    return [
        DataFinding(
            check="trigger",
            severity="serious" if trigger.disagreement >= _SERIOUS_DISAGREEMENT else "warning",
            sentence=(
                f"{len(trigger.mark.rows)} {what} of class {classes[trigger.mark.label]!r} share {trigger.mark.what}, "
                f"and models that never saw it call {trigger.disagreement:.0%} of them another class "
                f"({trigger.expected:.0%} of the rest of the class)"
            ),
            advice="it may be a backdoor's trigger: leave them out, unless someone who knows the field can explain it",
            rows=tuple(trigger.mark.rows.tolist()),
            columns=trigger.mark.columns,
        )
        for trigger in triggers
    ]


def flip_findings(flips: Sequence[PairFlips], classes: Sequence[str], *, what: str, overlap: bool) -> list[DataFinding]:
    """Pairs of classes of which one was relabelled as the other; less grave where classes overlap by nature."""
    return [
        DataFinding(
            check="flips",
            severity="warning" if overlap else "serious",
            sentence=(
                f"{len(pair.rows)} {what} that are surely like class {classes[pair.looks]!r} are labelled "
                f"{classes[pair.labelled]!r}: {pair.share:.1%} of those deepest in the class, where "
                f"{pair.expected:.1%} is usual"
            ),
            advice="find out who labelled them; more of the class than is listed may be relabelled",
            rows=tuple(pair.rows.tolist()),
        )
        for pair in flips
    ]


def cluster_findings(clusters: Sequence[Cluster], classes: Sequence[str], *, what: str) -> list[DataFinding]:
    """Groups that stand apart from all other rows."""
    return [
        DataFinding(
            check="cluster",
            severity="warning",
            sentence=(
                f"{len(cluster.rows)} {what} lie close together and {cluster.separation:.1f} times as far from all "
                f"others, {cluster.purity:.0%} of them of class {classes[cluster.label]!r}"
            ),
            advice="find out where this batch comes from",
            rows=tuple(cluster.rows.tolist()),
        )
        for cluster in clusters
    ]
