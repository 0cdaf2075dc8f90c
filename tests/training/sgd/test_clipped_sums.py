"""The clipped sum: equal to the slow one, bounded for every example, and deaf to what is not finite."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.sgd.alone import clipped_alone, gradients_alone, norms_alone, row_losses, worst

from holdfast.errors import UsageError

torch = pytest.importorskip("torch")
nn = torch.nn

from holdfast.training.sgd.bookkeeping import PerExampleGradients  # noqa: E402
from holdfast.training.sgd.layers.uses import ghost_norms  # noqa: E402


def table() -> Any:
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)), (5,)


def images() -> Any:
    """Convolutions on images that are not square, one of them with normalisation and a way round."""
    first, last = [nn.Conv2d(1, 8, (5, 3), 2, 1), nn.ReLU(), nn.MaxPool2d(2, 1)], [nn.Flatten(), nn.Linear(180, 3)]
    return nn.Sequential(*first, nn.Conv2d(8, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU(), *last), (1, 13, 7)


def words() -> Any:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True)
    return nn.Sequential(nn.Linear(4, 8), layer, nn.Flatten(), nn.Linear(24, 3)), (3, 4)


NETWORKS = {"table": table, "images": images, "words": words}


def network(name: str, *, rows: int, dtype: Any = torch.float64) -> tuple[Any, Any, Any]:
    torch.manual_seed(11)
    module, shape = NETWORKS[name]()
    return module.to(dtype), torch.randn(rows, *shape, dtype=dtype), torch.arange(rows)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("rows", "copies"), [(1, 1), (3, 3), (7, 1), (12, 3)])
def test_the_sum_is_that_of_examples_clipped_one_by_one(name: str, rows: int, copies: int) -> None:
    module, inputs, targets = network(name, rows=rows)
    alone = gradients_alone(module, (inputs,), targets, copies=copies)
    clip_norm = float(norms_alone(alone).mean())
    found = PerExampleGradients(module).clipped_sum(
        inputs, targets, loss=row_losses, clip_norm=clip_norm, copies=copies
    )
    assert worst(found.gradients, clipped_alone(alone, clip_norm)) < 1e-12 * clip_norm * rows
    torch.testing.assert_close(found.losses, row_losses(module(inputs), targets).view(-1, copies).mean(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_in_single_precision_the_sum_is_the_same_to_its_roundings(name: str) -> None:
    module, inputs, targets = network(name, rows=8)
    exact = PerExampleGradients(module).clipped_sum(inputs, targets, loss=row_losses, clip_norm=0.5)
    single = PerExampleGradients(module.float()).clipped_sum(inputs.float(), targets, loss=row_losses, clip_norm=0.5)
    roundings = 512 * 2.0**-24  # as many as the longest chain of sums: 120 products forwards, and back, and 8 rows
    assert worst(single.gradients, exact.gradients) < roundings * 0.5 * 8
    assert float((single.norms / exact.norms - 1).abs().max()) < roundings


def test_a_ghost_norm_in_single_precision_is_not_too_small_where_positions_cancel() -> None:
    generator = torch.Generator().manual_seed(4)
    once = torch.randn(64, 1, 40, generator=generator, dtype=torch.float64)
    a = torch.cat([once, -once * (1 + 1e-4), 1e-5 * torch.randn(64, 1, 40, generator=generator)], 1).float()
    g = torch.randn(64, 1, 40, generator=generator).expand(-1, 3, -1).contiguous()
    exact = (g.double().transpose(1, 2) @ a.double()).flatten(1).norm(dim=1)
    assert bool((ghost_norms(a, g) >= exact).all())
    plain = ((a @ a.transpose(1, 2)) * (g @ g.transpose(1, 2))).sum((1, 2)).clamp(min=0).sqrt()
    assert float((plain / exact).min()) < 0.5  # without the slack the claim fails here


def test_an_empty_batch_gives_zeros() -> None:
    module, inputs, targets = network("images", rows=2)
    found = PerExampleGradients(module).clipped_sum(inputs[:0], targets[:0], loss=row_losses, clip_norm=1.0)
    assert [part.shape for part in found.gradients] == [parameter.shape for parameter in module.parameters()]
    assert not any(part.any() for part in found.gradients)
    assert (len(found.norms), len(found.losses), found.dropped) == (0, 0, 0)


@given(
    seed=st.integers(0, 2**31),
    size=st.floats(-3, 6),
    clip_norm=st.floats(0.01, 100),
    name=st.sampled_from(sorted(NETWORKS)),
    copies=st.sampled_from([1, 2]),
)
@settings(max_examples=40)
def test_one_example_moves_the_sum_by_the_clip_norm_at_most(
    seed: int, size: float, clip_norm: float, name: str, copies: int
) -> None:
    module, inputs, targets = network(name, rows=4 * copies)
    rng = np.random.default_rng(seed)
    inputs = (
        inputs
        + 10**size
        * torch.as_tensor(rng.normal(size=inputs.shape))
        * (torch.arange(len(inputs)) < copies)[(...,) + (None,) * (inputs.dim() - 1)]
    )
    options = {"loss": row_losses, "clip_norm": clip_norm, "copies": copies}
    sums = PerExampleGradients(module)
    all_of_them = sums.clipped_sum(inputs, targets, **options).gradients
    without = sums.clipped_sum(inputs[copies:], targets[copies:], **options).gradients
    moved = torch.cat([(a - b).flatten() for a, b in zip(all_of_them, without, strict=True)]).norm()
    assert float(moved) <= clip_norm * (1 + 1e-9)


def test_the_bound_holds_because_of_the_clipping() -> None:
    module, inputs, targets = network("table", rows=4)
    inputs[0] *= 1_000
    sums = PerExampleGradients(module)
    first, second = (
        sums.clipped_sum(inputs[start:], targets[start:], loss=row_losses, clip_norm=1e9).gradients for start in (0, 1)
    )
    assert float(torch.cat([(a - b).flatten() for a, b in zip(first, second, strict=True)]).norm()) > 1.0


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_an_example_that_is_not_finite_adds_nothing_and_changes_nothing(name: str, poison: float) -> None:
    module, inputs, targets = network(name, rows=6)
    sums = PerExampleGradients(module)
    options = {"loss": row_losses, "clip_norm": 0.7}
    expected = sums.clipped_sum(torch.cat([inputs[:2], inputs[3:]]), targets[[0, 1, 3, 4, 5]], **options)
    poisoned, other = inputs.clone(), inputs.clone()
    poisoned[2].view(-1)[0] = poison
    other[2] = float("nan")
    found, nothing = (sums.clipped_sum(rows, targets, **options) for rows in (poisoned, other))
    assert all(bool(torch.isfinite(part).all()) for part in found.gradients)
    if found.dropped:
        assert found.dropped == nothing.dropped == 1
        assert worst(found.gradients, expected.gradients) < 1e-12
        assert all(torch.equal(a, b) for a, b in zip(found.gradients, nothing.gradients, strict=True))  # to the bit
    else:
        assert poison == 1e300
        assert name != "table"


def test_a_loss_that_is_not_finite_drops_its_example_alone() -> None:
    module, inputs, targets = network("table", rows=5)

    def loss(outputs: Any, targets: Any) -> Any:
        return row_losses(outputs, targets) * torch.where(targets == 3, float("inf"), 1.0)

    found = PerExampleGradients(module).clipped_sum(inputs, targets, loss=loss, clip_norm=0.7)
    kept = [0, 1, 2, 4]
    expected = PerExampleGradients(module).clipped_sum(inputs[kept], targets[kept], loss=row_losses, clip_norm=0.7)
    assert found.dropped == 1
    assert worst(found.gradients, expected.gradients) < 1e-12


def test_one_copy_that_is_not_finite_drops_the_whole_example() -> None:
    module, inputs, targets = network("images", rows=6)
    inputs[3] = float("nan")
    sums = PerExampleGradients(module)
    found = sums.clipped_sum(inputs, targets, loss=row_losses, clip_norm=0.7, copies=2)
    kept = [0, 1, 4, 5]
    expected = sums.clipped_sum(inputs[kept], targets[kept], loss=row_losses, clip_norm=0.7, copies=2)
    assert found.dropped == 1
    assert worst(found.gradients, expected.gradients) < 1e-12


def test_ordinary_training_goes_on_as_before() -> None:
    module, inputs, targets = network("images", rows=6)
    twin = copy.deepcopy(module)
    row_losses(module(inputs), targets).sum().backward()
    before = [parameter.grad.clone() for parameter in module.parameters()]
    first = PerExampleGradients(module).clipped_sum(inputs, targets, loss=row_losses, clip_norm=1e9)
    assert all(torch.equal(p.grad, g) for p, g in zip(module.parameters(), before, strict=True))
    assert worst(first.gradients, before) < 1e-12
    row_losses(twin(inputs), targets).sum().backward()
    assert all(torch.equal(p.grad, t.grad) for p, t in zip(module.parameters(), twin.parameters(), strict=True))
    assert not any(part.requires_grad for part in (*first.gradients, first.norms, first.losses))


def test_dropout_is_drawn_as_in_an_ordinary_pass() -> None:
    torch.manual_seed(5)
    module = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.5), nn.Linear(50, 3)).double()
    inputs, targets = torch.randn(6, 4, dtype=torch.float64), torch.arange(6)
    sums = PerExampleGradients(module)
    sums.clipped_sum(inputs, targets, loss=row_losses, clip_norm=1e9)  # the first look is over
    torch.manual_seed(6)
    found = sums.clipped_sum(inputs, targets, loss=row_losses, clip_norm=1e9)
    torch.manual_seed(6)
    row_losses(module(inputs), targets).sum().backward()
    assert worst(found.gradients, [parameter.grad for parameter in module.parameters()]) < 1e-12


def test_the_first_look_draws_from_nobodys_generator() -> None:
    module, inputs, targets = network("table", rows=4)
    torch.manual_seed(8)
    expected = torch.rand(3)
    torch.manual_seed(8)
    PerExampleGradients(module).clipped_sum(inputs, targets, loss=row_losses, clip_norm=1.0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("options", "rows"),
    [({"clip_norm": 0.0}, 4), ({"clip_norm": float("nan")}, 4), ({"copies": 0}, 4), ({"copies": 3}, 4)],
)
def test_numbers_that_mean_nothing_are_refused(options: dict[str, Any], rows: int) -> None:
    module, inputs, targets = network("table", rows=rows)
    with pytest.raises(UsageError, match="clip_norm above 0"):
        PerExampleGradients(module).clipped_sum(inputs, targets, **{"loss": row_losses, "clip_norm": 1.0, **options})


def test_inputs_and_targets_of_different_lengths_are_refused() -> None:
    module, inputs, targets = network("table", rows=4)
    with pytest.raises(UsageError, match=r"\(4, 5\), \(3,\)"):
        PerExampleGradients(module).clipped_sum(inputs, targets[:3], loss=row_losses, clip_norm=1.0)
