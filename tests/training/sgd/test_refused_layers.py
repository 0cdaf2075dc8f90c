"""What cannot be told apart by examples is refused, with the fix in the hint; and what can be is not."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from tests.training.sgd.alone import row_losses

from holdfast.errors import UnsupportedError

torch = pytest.importorskip("torch")
nn = torch.nn

from torch.nn.utils import prune  # noqa: E402

from holdfast.training.sgd.bookkeeping import PerExampleGradients  # noqa: E402


class Offset(nn.Module):
    """A parameter beside layers inside."""

    def __init__(self) -> None:
        super().__init__()
        self.offset, self.layer = nn.Parameter(torch.zeros(3)), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.layer(x) + self.offset


def patched() -> Any:
    module = nn.Linear(4, 3)
    module.forward = lambda x: x  # type: ignore[method-assign]
    return module


def old_norm(make: Callable[[Any], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(nn.Linear(4, 3))


def scripted() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(nn.Linear(4, 3))


REFUSED = {
    "batch-norm": (lambda: nn.BatchNorm1d(48), r"GroupNorm\(16, 48\)"),
    "batch-norm-2d": (lambda: nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6)), r"GroupNorm\(2, 6\)"),
    "batch-norm-3d-without-parameters": (lambda: nn.BatchNorm3d(7, affine=False), r"GroupNorm\(1, 7\)"),
    "sync-batch-norm": (lambda: nn.SyncBatchNorm(64), r"GroupNorm\(32, 64\)"),
    "instance-norm": (lambda: nn.InstanceNorm2d(4, track_running_stats=True), "track_running_stats=False"),
    "bags": (lambda: nn.EmbeddingBag(5, 3), "Embedding and average"),
    "list": (lambda: nn.ParameterList([torch.ones(3)]), "a module for each"),
    "dict": (lambda: nn.ParameterDict({"a": torch.ones(3)}), "a module for each"),
    "adaptive-softmax": (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5]), "cross_entropy"),
    "script": (scripted, "before torch.jit.script"),
    "weight-norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), "remove_parametrizations"),
    "spectral-norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)), "remove_parametrizations"),
    "old-weight-norm": (lambda: old_norm(nn.utils.weight_norm), "remove_parametrizations"),
    "old-spectral-norm": (lambda: old_norm(nn.utils.spectral_norm), "remove_parametrizations"),
    "pruned": (lambda: prune.random_unstructured(nn.Linear(4, 3), "weight", 0.5), "remove_parametrizations"),
    "lazy": (lambda: nn.LazyLinear(3), "one batch through"),
    "patched": (patched, "method of a module"),
    "offset-beside-layers": (Offset, "module of its own"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_module_is_refused_when_it_is_given(name: str) -> None:
    make, fix = REFUSED[name]
    with pytest.raises(UnsupportedError) as caught:
        PerExampleGradients(nn.Sequential(nn.Identity(), make()))
    assert re.search(fix, caught.value.hint)
    assert "'1" in str(caught.value)  # where it is


class Mixing(nn.Module):
    """Something with a layer, whose forward pass is given."""

    def __init__(self, forward: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.layer, self.second = nn.Linear(4, 3), nn.Linear(4, 3)
        self.register_buffer("state", torch.zeros(3))
        self._given = forward

    def forward(self, x: Any) -> Any:
        return self._given(self, x)


def counting(module: Any, x: Any) -> Any:
    module.state += 1
    return module.layer(x)


def centred(module: Any, x: Any) -> Any:
    y = module.layer(x)
    return y - y.mean(0)


def centred_while_training(module: Any, x: Any) -> Any:
    y = module.layer(x)
    return y - y.mean(0).detach() if module.training else y


MIXING = {
    "centred": (centred, "outputs.*depend on the others", "GroupNorm"),
    "centred-while-training": (centred_while_training, "outputs.*depend on the others", "GroupNorm"),
    "neighbour": (lambda m, x: m.layer(x + 0.01 * x.roll(1, 0)), "outputs.*depend on the others", "GroupNorm"),
    "first-row": (lambda m, x: m.layer(x - x[:1]), "outputs.*depend on the others", "GroupNorm"),
    "largest": (lambda m, x: m.layer(x) / m.layer(x).abs().max(), "outputs.*depend on the others", "GroupNorm"),
    "counting": (counting, "buffer 'state' changes", "track_running_stats"),
    "weight-alone": (lambda m, x: x @ m.layer.weight.T, "does not depend on any|cannot be told apart", "layer"),
    "weight-besides": (
        lambda m, x: m.layer(x) + x @ m.second.weight.T,
        "'second.weight' cannot be told",
        "the layer itself",
    ),
    "rows-second": (lambda m, x: m.layer(x[None].expand(2, -1, -1))[0], "first dimension", "batch_first"),
    "detached": (lambda m, x: m.layer(x).detach(), "does not depend on any", "detach"),
}


@pytest.mark.parametrize("name", MIXING)
def test_a_module_that_mixes_examples_is_refused_at_its_first_batch(name: str) -> None:
    forward, says, fix = MIXING[name]
    torch.manual_seed(2)
    with pytest.raises(UnsupportedError, match=says) as caught:
        PerExampleGradients(Mixing(forward)).clipped_sum(
            torch.randn(9, 4), torch.arange(9), loss=row_losses, clip_norm=1.0
        )
    assert fix in caught.value.hint


def weighted_by_class(outputs: Any, targets: Any) -> Any:
    return row_losses(outputs, targets) / torch.bincount(targets % 3)[targets % 3]


LOSSES = {
    "mean": (nn.CrossEntropyLoss(), "one value for each"),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), "one value for each"),
    "per-position": (lambda y, t: (y - t[:, None]) ** 2, r"got shape \(4, 3\)"),
    "centred": (lambda y, t: row_losses(y, t) - row_losses(y, t).mean(), "loss of an example depends"),
    "weighted-by-class": (weighted_by_class, "loss of an example depends"),
    "contrast": (lambda y, t: (y @ y.T).logsumexp(1), "loss of an example depends"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_mixes_examples_is_refused(name: str) -> None:
    loss, says = LOSSES[name]
    torch.manual_seed(2)
    with pytest.raises(UnsupportedError, match=says):
        PerExampleGradients(nn.Linear(4, 3)).clipped_sum(
            torch.randn(6, 4), torch.arange(6) % 3, loss=loss, clip_norm=1.0
        )


def test_another_loss_is_looked_at_again_and_so_is_the_first_batch_of_two() -> None:
    sums = PerExampleGradients(nn.Linear(4, 3))
    rows, targets = torch.randn(6, 4), torch.arange(6)
    sums.clipped_sum(rows, targets, loss=row_losses, clip_norm=1.0)
    with pytest.raises(UnsupportedError):
        sums.clipped_sum(rows, targets, loss=LOSSES["centred"][0], clip_norm=1.0)
    mixing = PerExampleGradients(Mixing(centred))
    mixing.clipped_sum(rows[:1], targets[:1], loss=row_losses, clip_norm=1.0)  # one row has nobody to mix with
    with pytest.raises(UnsupportedError):
        mixing.clipped_sum(rows, targets, loss=row_losses, clip_norm=1.0)


def test_a_module_that_decides_by_values_cannot_be_run_by_rows() -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x: Any) -> Any:
            return x * self.scale if bool((x.sum() > 0).item()) else x

    with pytest.raises(UnsupportedError, match="cannot be run on every row apart") as caught:
        PerExampleGradients(Deciding()).clipped_sum(torch.randn(4, 4), torch.arange(4), loss=row_losses, clip_norm=1.0)
    assert "PyTorch's own layers" in caught.value.hint


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"max_norm": 1.0}, "weight '0.weight' changes.*no max_norm"),
        ({"sparse": True}, "Embedding with"),
        ({"scale_grad_by_freq": True}, "Embedding with"),
    ],
)
def test_an_embedding_that_mixes_examples_is_refused(option: dict[str, Any], says: str) -> None:
    module = nn.Sequential(nn.Embedding(5, 3, **option), nn.Flatten())
    with pytest.raises(UnsupportedError, match=f"(?s){says}"):
        PerExampleGradients(module).clipped_sum(
            torch.ones(4, 2, dtype=torch.long), torch.arange(4), loss=row_losses, clip_norm=1.0
        )


def test_attention_with_keys_of_its_own_is_refused() -> None:
    module = nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True)
    rows = torch.randn(3, 2, 4)
    with pytest.raises(UnsupportedError, match="add_bias_kv"):
        PerExampleGradients(module).clipped_sum(
            (rows, rows, rows), torch.arange(3), loss=lambda out, t: row_losses(out[0], t), clip_norm=1.0
        )


def test_rows_that_are_not_finite_do_not_pass_for_mixing() -> None:
    rows = torch.randn(6, 4)
    rows[0], rows[2, 1] = float("nan"), float("inf")
    found = PerExampleGradients(nn.Linear(4, 3)).clipped_sum(rows, torch.arange(6), loss=row_losses, clip_norm=1.0)
    assert found.dropped == 2


def test_a_module_that_draws_random_numbers_in_evaluation_mode_is_refused_with_the_fix() -> None:
    class Shaken(nn.Linear):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * (1 + torch.rand(len(x), 1))

    sums = PerExampleGradients(nn.Sequential(nn.Linear(4, 4), Shaken(4, 3)))
    with pytest.raises(UnsupportedError, match="random numbers in evaluation mode") as caught:
        sums.clipped_sum(torch.randn(5, 4), torch.arange(5), loss=row_losses, clip_norm=1.0)
    assert "self.training" in str(caught.value.hint)
