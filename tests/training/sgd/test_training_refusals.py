"""What cannot be accounted for is refused in one sentence, before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.training.sgd.small import LOSS, SETTINGS, network, task, trainer
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from holdfast.errors import DataError, HoldfastError, UnsupportedError, UsageError
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.sgd.records import Records
from holdfast.training.sgd.settings import Pace, PrivateSettings


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Odd(Dataset):  # type: ignore[type-arg]
    """A data set whose records are no inputs with a target."""

    def __len__(self) -> int:
        return 200

    def __getitem__(self, row: int) -> Any:
        return torch.zeros(6)


class Listed(Odd):
    """The task's records, one by one."""

    def __getitem__(self, row: int) -> Any:
        X, y = task(200)
        return X[row], y[row]


class Centred(nn.Module):
    """Takes the mean of the batch off."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0}, "epsilon from"),
        ({"epsilon": float("inf")}, "epsilon from"),
        ({"epsilon": float("nan")}, "epsilon from"),
        ({"epsilon": -1.0}, "epsilon from"),
        ({"delta": 0.0}, "delta between"),
        ({"delta": 1.0}, "delta between"),
        ({"batch_size": 0}, "batch_size"),
        ({"copies": 0}, "copies"),
        ({"steps": 0}, "steps"),
        ({"steps": 10**9}, "steps"),
        ({"steps": None}, "steps or epochs"),
        ({"epochs": 3.0}, "steps or epochs"),
        ({"steps": None, "epochs": 0.0}, "epochs above 0"),
        ({"steps": None, "epochs": float("nan")}, "epochs above 0"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"clip_norm": float("inf")}, "clip_norm"),
        ({"clip_norm": float("nan")}, "clip_norm"),
    ],
)
def test_settings_that_mean_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SETTINGS, **options)


@pytest.mark.parametrize(
    ("rows", "settings", "error", "message"),
    [
        (0, SETTINGS, DataError, "2 records or more"),
        (1, replace(SETTINGS, batch_size=1), DataError, "2 records or more"),
        (100, SETTINGS, UsageError, "batch_size of at most the 100"),
        (1_000, replace(SETTINGS, delta=1e-3), UsageError, "delta below 1 / 1000"),
        (1_000, replace(SETTINGS, steps=None, epochs=1e9), UsageError, "at most 1000000 steps"),
    ],
)
def test_settings_that_do_not_fit_the_records(
    rows: int, settings: PrivateSettings, error: type[HoldfastError], message: str
) -> None:
    with pytest.raises(error, match=message):
        trainer(task(rows), settings=settings)


@pytest.mark.parametrize("micro_batch", [0, -1, 10**6])
def test_a_pace_that_means_nothing(micro_batch: int) -> None:
    with pytest.raises(UsageError, match="micro_batch"):
        Pace(micro_batch=micro_batch)
    with pytest.raises(UsageError, match="memory_cap_bytes"):
        Pace(memory_cap_bytes=0)
    with pytest.raises(UsageError, match="one record takes"):
        trainer(pace=Pace(memory_cap_bytes=100))


def test_a_layer_that_mixes_records() -> None:
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    with pytest.raises(UnsupportedError) as refusal:
        trainer(module=module)
    assert "GroupNorm" in refusal.value.hint


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_that_is_one_number(reduction: str) -> None:
    with pytest.raises(UnsupportedError, match="one value for each row") as refusal:
        trainer(loss=nn.CrossEntropyLoss(reduction=reduction))
    assert 'reduction="none"' in refusal.value.hint


def test_a_loss_that_mixes_records_is_found_when_it_is_used() -> None:
    entropy = nn.CrossEntropyLoss(reduction="none")
    private = trainer(loss=lambda outputs, targets: entropy(outputs - outputs.mean(0), targets))
    with pytest.raises(UnsupportedError):
        private.run()


def test_an_optimizer_that_asks_for_gradients_itself() -> None:
    module = network()
    with pytest.raises(UnsupportedError, match="several gradients"):
        trainer(module=module, optimizer=torch.optim.LBFGS(module.parameters()))


def test_an_optimizer_over_other_parameters() -> None:
    module = network()
    for parameters in (
        network().parameters(),
        module[0].parameters(),
        [*module.parameters(), nn.Parameter(torch.ones(1))],
    ):
        with pytest.raises(UsageError, match="trainable parameters of the module"):
            trainer(module=module, optimizer=torch.optim.SGD(parameters, lr=0.1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": {"epsilon": 3}}, "settings to be a PrivateSettings, got .*dict"),
        ({"pace": 64}, "pace to be a Pace"),
        ({"ledger": "ledger.json"}, "ledger to be a LedgerFile, got 'ledger.json'"),
        ({"optimizer": torch.optim.SGD}, "optimizer to be an Optimizer"),
        ({"loss": "mse"}, r"expected a loss\(outputs, targets\)"),
        ({"loss": nn.CrossEntropyLoss}, r"expected a loss\(outputs, targets\)"),
        ({"augment": "flip"}, r"expected augment\(inputs, generator\)"),
    ],
)
def test_an_argument_of_another_kind(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        trainer(**options)
    assert refusal.value.hint


def test_numpy_arrays_and_doubles_are_told_what_to_become() -> None:
    X, y = task()
    for arrays in ((X.numpy(), y.numpy()), (X, y.numpy())):
        with pytest.raises(UsageError, match="got NumPy arrays") as refusal:
            trainer(arrays)
        assert "torch.from_numpy" in refusal.value.hint
    with pytest.raises(UnsupportedError, match="does not take these records") as refused:
        trainer((X.double(), y))
    assert refused.value.hint.endswith("give inputs.to(torch.float32)")


def test_a_trainer_says_what_it_is_in_a_line(tmp_path: Any) -> None:
    private = trainer(settings=replace(SETTINGS, steps=1), checkpoint=str(tmp_path / "run"))
    private.run()
    assert repr(private) == "<PrivateTrainer: Sequential, 1,000 records, 1 of 1 steps, epsilon at most 3>"
    assert (tmp_path / "run").exists()
    weights = [weight.clone() for weight in private._module.parameters()]
    private.run()  # there is nothing left to do
    assert all(torch.equal(a, b) for a, b in zip(weights, private._module.parameters(), strict=True))


def test_a_module_without_anything_to_train_or_of_short_floats() -> None:
    with pytest.raises(UsageError, match="trainable parameters"):
        trainer(module=network().requires_grad_(False), optimizer=torch.optim.SGD(network().parameters(), lr=0.1))
    with pytest.raises(UnsupportedError, match="32 or 64 bits"):
        trainer(module=network().bfloat16())


def test_data_without_numbers_and_data_without_targets() -> None:
    for source in (Stream(), {1, 2}, iter(())):
        with pytest.raises(UnsupportedError, match="coin of its own"):
            Records(source)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="inputs and a target"):
        trainer(Odd(), settings=replace(SETTINGS, batch_size=100)).run()
    X, y = task()
    for tensors in ((X,), (X, y[:-1]), (X, 3)):
        with pytest.raises(DataError):
            Records(tensors)  # type: ignore[arg-type]


def test_a_ledger_needs_the_digest_of_records_that_are_no_tensors(tmp_path: Any) -> None:
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5)
    with pytest.raises(UsageError, match="digest"):
        trainer(Listed(), ledger=ledger).run()
    assert not ledger.path.exists()
    assert Records(Listed(), digest="sha256:ab").digest == "sha256:ab"


@pytest.mark.parametrize("mixes", ["module", "loss"])
def test_what_mixes_records_is_refused_before_anything_is_entered(mixes: str, tmp_path: Any) -> None:
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5)
    module = nn.Sequential(network(), Centred()) if mixes == "module" else network()

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        losses = LOSS(outputs, targets)
        return losses - losses.mean() if mixes == "loss" else losses

    private = trainer(module=module, loss=loss, ledger=ledger, checkpoint=tmp_path / "run")
    with pytest.raises(UnsupportedError, match="others in its batch"):
        private.run()
    assert not list(tmp_path.iterdir())
    assert private.events == ()


@pytest.mark.parametrize("label", [2, -1])
def test_a_rare_label_that_is_no_class_is_refused_before_anything_is_entered(label: int, tmp_path: Any) -> None:
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5)
    X, y = task()
    y[700] = label
    private = trainer((X, y), ledger=ledger)
    with pytest.raises(UnsupportedError, match="does not take these records"):
        private.run()
    assert not ledger.path.exists()


@pytest.mark.parametrize("average", [-0.1, 1.0, 2.0])
def test_an_average_that_means_nothing(average: float) -> None:
    with pytest.raises(UsageError, match="decay"):
        trainer(average=average)
