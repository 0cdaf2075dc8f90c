"""A model under attack: counted, frozen for as long, and refused in one sentence where it does not do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.attacks.images.picture_cases import asked, convolutional, grey_pictures, linear
from torch import Tensor, nn

from holdfast.attacks.images.classifier import Classifier, attackable
from holdfast.attacks.images.losses import cross_entropy
from holdfast.errors import UnsupportedError


class Says(nn.Module):
    """Answers as a function does."""

    def __init__(self, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        return self.answer(x)


def test_a_module_is_as_it_was_after_an_attack_even_one_that_fails() -> None:
    module = nn.Sequential(convolutional(), nn.Dropout(0.5))
    module.train()
    module[0][0].eval()
    module[0][0].weight.requires_grad_(requires_grad=False)
    module[0][2].bias.grad = torch.ones(4)
    before = [part.training for part in module.modules()]
    learning = [parameter.requires_grad for parameter in module.parameters()]
    weights = [parameter.clone() for parameter in module.parameters()]
    with pytest.raises(UnsupportedError, match="does not take"), asked(module) as classifier:
        _attack_and_fail(classifier)
    assert [part.training for part in module.modules()] == before
    assert [parameter.requires_grad for parameter in module.parameters()] == learning
    assert all(torch.equal(old, new) for old, new in zip(weights, module.parameters(), strict=True))
    assert torch.equal(module[0][2].bias.grad, torch.ones(4))


def _attack_and_fail(classifier: Classifier) -> None:
    x = grey_pictures(3)
    torch.testing.assert_close(classifier.logits(x), classifier.logits(x), rtol=0, atol=0)  # no dropout
    classifier.gradient(x, lambda logits: logits[:, 0])
    classifier.logits(x.flatten())


def test_rows_are_counted_and_gradients_are_those_of_autograd() -> None:
    module, x, y = linear(), grey_pictures(5), torch.arange(5) % 4
    with asked(module) as classifier:
        classifier.logits(x)
        logits, losses, gradient = classifier.gradient(x[:3], lambda logits: cross_entropy(logits, y[:3]))
        assert (classifier.forward_rows, classifier.backward_rows) == (8, 3)
    assert not any(part.requires_grad for part in (logits, losses, gradient))
    weight = module[1].weight
    pull = logits.softmax(dim=1) - nn.functional.one_hot(y[:3], 4)
    torch.testing.assert_close(gradient.flatten(1), pull @ weight)


def test_scores_can_only_be_asked_and_probabilities_are_taken_by_their_logarithm() -> None:
    x = grey_pictures(4)
    seen: list[np.ndarray[Any, Any]] = []

    def scores(pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        seen.append(pictures)
        return np.tile([0.25, 0.0, 0.75], (len(pictures), 1))

    with attackable(scores, classes=3) as classifier:
        logits = classifier.logits(x)
        assert not classifier.differentiable
        with pytest.raises(UnsupportedError, match="differentiated"):
            classifier.gradient(x, lambda logits: logits[:, 0])
    assert seen[0].dtype == np.float32
    assert seen[0].shape == (4, 1, 6, 6)
    torch.testing.assert_close(logits[0].exp(), torch.tensor([0.25, 0.0, 0.75]))
    assert logits.isfinite().all()


def test_no_number_is_no_decision() -> None:
    with asked(Says(lambda x: torch.full((len(x), 2), torch.nan)), classes=2) as classifier:
        logits = classifier.logits(grey_pictures(3))
        assert not classifier.wrong(logits, torch.tensor([0, 1, 1])).any()
        assert classifier.odd_rows == 3


def _raises(x: Tensor) -> Tensor:
    raise ValueError("these are not pictures of mine")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda x: x.flatten(1)[:, :1], r"logits of shape \(2, 4\)"),
        (lambda x: x, r"got \(2, 1, 6, 6\)"),
        (lambda x: [1, 2], "got list"),
        (_raises, "not pictures of mine"),
    ],
    ids=["one-logit", "pictures", "list", "raises"],
)
def test_a_model_that_answers_otherwise_is_refused(answer: Callable[[Tensor], Any], sentence: str) -> None:
    with asked(Says(answer)) as classifier, pytest.raises(UnsupportedError, match=sentence):
        classifier.logits(grey_pictures(2))


def test_a_model_that_hangs_is_left_behind_and_one_that_is_quick_is_not() -> None:
    def slow(x: Tensor) -> Tensor:
        time.sleep(0.0 if len(x) == 1 else 2.0)
        return x.flatten(1)[:, :4]

    with attackable(Says(slow), classes=4, timeout_s=0.3) as classifier:
        classifier.logits(grey_pictures(1))
        with pytest.raises(UnsupportedError, match=r"within 0.3 s"):
            classifier.logits(grey_pictures(2))
    with (
        attackable(Says(_raises), classes=4, timeout_s=5.0) as classifier,
        pytest.raises(UnsupportedError, match="mine"),
    ):
        classifier.logits(grey_pictures(1))
