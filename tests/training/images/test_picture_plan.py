"""The recipe plans from public numbers, spends what it may and no more, and scales as it says."""

from __future__ import annotations

import pytest

from holdfast.errors import DataError, UsageError
from holdfast.training.account.accounting import epsilon_of
from holdfast.training.images.plan import Plan, plan_for


def planned(records: int = 4_700, *, epsilon: float = 8.0, delta: float = 1e-5, width: int = 3_969) -> Plan:
    return plan_for(records=records, width=width, channels=81, classes=2, epsilon=epsilon, delta=delta)


@pytest.mark.parametrize(("records", "epsilon"), [(2, 1.0), (4_700, 8.0)])
def test_a_plan_spends_nearly_all_and_never_more(records: int, epsilon: float) -> None:
    plan = planned(records, epsilon=epsilon)
    together = epsilon_of((plan.channels, plan.gradients), delta=1e-5)
    assert 0.97 * epsilon < together <= epsilon  # steps of a hundredth in the larger of two parts
    assert plan.channels.width == 2 * 81
    assert plan.gradients.width == 2 * (3_969 + 1)
    assert plan.settings.plan(records=records, width=plan.gradients.width) == plan.gradients


def test_batches_grow_with_the_root_of_the_number() -> None:
    assert planned(4_700).settings.batch_size == 1_200  # 17.5 * √4700
    assert planned(100).settings.batch_size == 100


def test_more_noise_means_smaller_steps_up_to_a_largest() -> None:
    weak, strong = planned(epsilon=8.0), planned(epsilon=1.0)
    noise = [plan.gradients.noise_multiplier * plan.learning_rate for plan in (weak, strong)]
    assert noise[0] == pytest.approx(noise[1], rel=1e-12), "what noise moves a score by is the same"
    assert planned(width=4 * 3_969).learning_rate == pytest.approx(weak.learning_rate / 2, rel=0.01)
    assert planned(2_000_000, epsilon=8.0, delta=1e-7).learning_rate == pytest.approx(1 / 0.1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"records": 1}, DataError),
        ({"epsilon": 0.0}, UsageError),
        ({"epsilon": float("inf")}, UsageError),
        ({"epsilon": float("nan")}, UsageError),
        ({"delta": 0.0}, UsageError),
        ({"delta": 1 / 4_700}, UsageError),
    ],
)
def test_what_cannot_be_planned_is_refused(options: dict[str, float], error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        planned(**options)  # type: ignore[arg-type]
