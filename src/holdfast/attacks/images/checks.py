"""Reasons to doubt that pictures which withstood an attack are robust.

A model can withstand an attack because the attack went wrong: gradients that are zero or point nowhere (Athalye et al.,
"Obfuscated gradients give a false sense of security", 2018), answers by chance, answers that are no numbers. The checks
are the signs that Athalye et al. (section 3.1) and Carlini et al., "On evaluating adversarial robustness" (2019), name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from torch import Generator, Tensor

from holdfast.attacks.images.attack import Attack
from holdfast.attacks.images.classifier import Classifier, are_probabilities
from holdfast.attacks.images.losses import margin
from holdfast.attacks.images.pgd import Pgd
from holdfast.attacks.images.threat import PixelChange
from holdfast.errors import UnsupportedError

PROBED: Final = 64
"""Pictures that the checks look at."""
_REPEATS: Final = 1e-4
"""How far two answers for one row may differ, relative to the largest, by the order of sums in float32."""
_BLACK_BOX_SHARE: Final = 0.002
"""AutoAttack's own limit on what answers alone find after gradients; a single picture is chance."""
_FREE_SHARE: Final = 0.1
"""More pictures than this that withstand any change at all are a sign that the gradient leads nowhere."""


def check_answers(classifier: Classifier, x: Tensor, answers: Tensor) -> list[str]:
    """Look at the answers (n, classes) to the unchanged pictures, and ask some again; reasons to doubt what follows.

    Raises:
        UnsupportedError: they are not finite, or probabilities of a model whose logits are needed.
    """
    if not answers.isfinite().all():
        odd = answers[~answers.isfinite()][0].item()
        raise UnsupportedError(f"expected finite logits from the model, got {odd} for an unchanged picture")
    if classifier.differentiable and are_probabilities(answers):
        raise UnsupportedError(
            "expected logits from the model, got probabilities, whose gradient vanishes where the model is sure",
            hint="leave out the last softmax",
        )
    doubts = []
    again = classifier.logits(x[:PROBED]).cpu()
    apart = float((again - answers[:PROBED]).abs().max())
    if apart > _REPEATS * float(answers.abs().max()):
        doubts.append(f"the model answers the same picture differently each time (by up to {apart:.2g})")
    if len(answers) > 1 and bool((answers == answers[0]).all()):
        doubts.append(f"the model gives the same answer for all of {len(answers)} pictures")
    return doubts


def check_gradients(classifier: Classifier, x: Tensor, y: Tensor, *, generator: Generator) -> list[str]:
    """Look at the gradients of pictures that withstood; reasons to doubt that this says much."""
    x, y = x[:PROBED], y[:PROBED]
    if not len(x) or not classifier.differentiable:
        return []
    doubts = []
    _, _, gradient = classifier.gradient(x, lambda logits: margin(logits, y))
    if flat := int((gradient.abs().flatten(1).amax(dim=1) == 0).sum()):
        doubts.append(f"the gradient is zero at {flat} of {len(x)} pictures that withstood")
    if odd := int((~gradient.isfinite()).flatten(1).any(dim=1).sum()):
        doubts.append(f"the gradient is not finite at {odd} of {len(x)} pictures that withstood")
    free = PixelChange(norm="Linf", radius=1.0)
    found = Pgd(steps=50, loss=margin)(classifier, x, y, threat=free, generator=generator)
    stand = int((~classifier.wrong(classifier.logits(found.x), y)).sum())
    if stand > _FREE_SHARE * len(x):
        doubts.append(f"{stand} of {len(x)} pictures that withstood also withstand gradient steps without any limit")
    return doubts


def check_finders(attacks: Sequence[Attack], found_by: Mapping[str, int], *, pictures: int) -> list[str]:
    """See how many pictures answers alone flipped that gradients did not."""
    late, gradients = 0, False
    for attack in attacks:
        gradients |= attack.needs_gradient
        late += found_by[attack.name] if gradients and not attack.needs_gradient else 0
    if late > max(1, _BLACK_BOX_SHARE * pictures):
        return [f"answers alone flipped {late} pictures that gradients did not, so that gradients may be masked"]
    return []
