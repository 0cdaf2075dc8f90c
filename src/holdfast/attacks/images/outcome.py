"""What a campaign found, as a result: nearest changes, asked again, with what is doubtful about them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from holdfast.attacks.evasion_result import EvasionResult, evasion_result
from holdfast.attacks.images.campaign import Campaign, generator_of
from holdfast.attacks.images.checks import check_finders, check_gradients
from holdfast.attacks.images.nearer import nearer
from holdfast.attacks.images.norms import norm_of
from holdfast.attacks.images.standing import NOBODY, Standing
from holdfast.data import Labels, Matrix


def outcome(
    campaign: Campaign, standing: Standing, before: Matrix, *, method: str, doubts: Sequence[str]
) -> EvasionResult:
    """Bring what was found nearer to the pictures, ask the model again, and say what is doubtful.

    Args:
        campaign: which is over.
        standing: what it found.
        before: (n, classes) logits of the unchanged pictures.
        method: as results name it.
        doubts: reasons that were seen before it began, each of which makes the result void.
    """
    flipped = np.flatnonzero(standing.finder != NOBODY)
    changed = _nearest(campaign, standing, flipped)
    after = campaign.logits(changed)
    y = campaign.y.cpu().numpy()
    moved = norm_of(campaign.threat).length(changed[flipped] - campaign.x[flipped]).cpu().double().numpy()
    distance = np.full(len(y), np.inf)
    distance[flipped] = np.minimum(moved, campaign.threat.radius)  # checked; what is left beyond is float32
    found_by = {attack.name: int((standing.finder == place).sum()) for place, attack in enumerate(campaign.attacks)}
    return evasion_result(
        threat=campaign.threat,
        within=campaign.threat.within,
        method=method,
        exact=False,
        black_box=not any(attack.needs_gradient for attack in campaign.attacks),
        y=y,
        before=before,
        after=np.where(np.isfinite(after).all(axis=1), after.argmax(axis=1), y),
        distance=distance,
        queries=standing.queries,
        adversarial=np.moveaxis(changed.cpu().numpy(), 1, -1),
        unreliable=tuple(_doubts(campaign, standing, found_by)),
        void=(*doubts, *_voids(campaign)),
        caveats=_caveats(campaign, changed[flipped], y[flipped], found_by),
    )


def _nearest(campaign: Campaign, standing: Standing, flipped: Labels) -> Tensor:
    """(n, …) all pictures; those found as near to the original as still fools the model when it is asked once more."""
    changed = torch.as_tensor(standing.changed, device=campaign.x.device)
    for start in range(0, len(flipped), campaign.batch_size):
        rows = flipped[start : start + campaign.batch_size]
        near = nearer(campaign.classifier, campaign.x[rows], campaign.y[rows], changed[rows])
        confirmed = campaign.classifier.wrong(campaign.classifier.logits(near.x), campaign.y[rows])
        changed[rows] = torch.where(confirmed.view(-1, *[1] * (changed.ndim - 1)), near.x, changed[rows])
        standing.queries[rows] += near.queries.cpu().numpy()
    return changed


def _doubts(campaign: Campaign, standing: Standing, found_by: dict[str, int]) -> list[str]:
    """Reasons, from how the campaign went, not to trust what withstood it; what was flipped bounds all the same."""
    stands = np.flatnonzero(standing.target & (standing.finder == NOBODY))
    generator = generator_of(standing.seed, len(campaign.attacks), 0, device=campaign.x.device)
    doubts = check_finders(campaign.attacks, found_by, pictures=len(campaign.x))
    return doubts + check_gradients(campaign.classifier, campaign.x[stands], campaign.y[stands], generator=generator)


def _voids(campaign: Campaign) -> list[str]:
    """Answers that are no numbers hide what was flipped."""
    odd = campaign.classifier.odd_rows
    return [f"the model answered {odd} changed pictures by NaN or infinity"] if odd else []


def _caveats(campaign: Campaign, changed: Tensor, y: Labels, found_by: dict[str, int]) -> tuple[str, ...]:
    """Which attack flipped how many pictures, and how many of them are still wrong once they are saved as bytes."""
    counts = ", ".join(f"{name} {count}" for name, count in found_by.items())
    caveats = [f"Pictures flipped by each attack, among those left by the ones before: {counts}."]
    if len(changed):
        saved = int((campaign.logits((changed * 255).round() / 255).argmax(axis=1) != y).sum())
        caveats.append(f"Saved as bytes, {saved} of the {len(changed)} flipped pictures still fool the model.")
    return tuple(caveats)
