"""An interrupted run goes on where it was, and every step whose noise was drawn stays spent."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.sgd.small import SETTINGS, checkpointed, network, task, trainer

from holdfast.errors import HoldfastError, InputError, IntegrityError, UsageError, WireError
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.sgd.settings import Pace

KILLED = """
import sys, time
from pathlib import Path
from holdfast.training.account.ledger_file import LedgerFile
from tests.training.sgd.small import checkpointed
ledger = LedgerFile(Path(sys.argv[2]), epsilon_limit=4, delta=1e-5)
_, private = checkpointed(Path(sys.argv[1]), ledger=ledger)
for step in private.steps():
    if step == 7:
        private.save()
    if step == 12:
        print(float(private.epsilon), flush=True)
        time.sleep(60)
"""


def test_a_killed_process_loses_no_count_and_pays_nothing_twice(tmp_path: Path) -> None:
    """Saved after 7 steps, killed after 12: 18 are left, the events are the same, the ledger has one entry."""
    path, ledger = tmp_path / "run", LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5)
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, path, ledger.path], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert child.stdout is not None
    epsilon = float(child.stdout.readline())
    before = ledger.path.read_bytes()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    _module, private = checkpointed(path, ledger=ledger)
    private.resume()
    assert private.epsilon == epsilon
    assert private.events == ledger.read().entries[0].events
    steps = list(private.steps())
    assert steps == list(range(13, 31))
    assert ledger.path.read_bytes() == before
    assert private.epsilon == epsilon == private.statement().epsilon


def test_weights_optimizer_average_and_dropout_go_on_exactly(tmp_path: Path) -> None:
    """All that a checkpoint holds, compared; the noise is fresh, so weights after it differ."""
    path = tmp_path / "run"
    module, private = checkpointed(path)
    steps = private.steps()
    for _ in range(5):
        next(steps)
    private.save()
    dropout = torch.get_rng_state()
    averaged = private.averaged.state_dict()
    torch.rand(3)
    del steps, private

    again, resumed = checkpointed(path)
    resumed.resume()
    for name, value in module.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    for name, value in resumed.averaged.state_dict().items():
        assert torch.equal(averaged[name], value)
    assert torch.equal(torch.get_rng_state(), dropout)
    assert next(resumed.steps()) == 6


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The checkpoint of a run that stopped after 3 steps of which 2 are in it."""
    path = tmp_path / "run"
    _, private = checkpointed(path)
    for step in private.steps():
        if step == 2:
            private.save()
        if step == 3:
            break
    return path


def test_another_pace_is_no_other_run(stopped: Path) -> None:
    _, private = checkpointed(stopped, pace=Pace(micro_batch=32))
    private.resume()
    assert next(private.steps()) == 4


def test_a_run_is_resumed_again_and_again_and_ends(stopped: Path) -> None:
    taken = 3
    for _ in range(4):
        _, private = checkpointed(stopped)
        private.resume()
        taken += len(list(zip(range(5), private.steps(), strict=False)))
        del private
    assert taken <= 30
    _, private = checkpointed(stopped)
    private.resume()
    assert len(list(private.steps())) == 30 - taken


def test_a_run_that_saves_as_it_goes_leaves_its_end(tmp_path: Path) -> None:
    module, private = checkpointed(tmp_path / "run")
    private.run(save_every=7)
    del private
    again, resumed = checkpointed(tmp_path / "run")
    resumed.resume()
    assert list(resumed.steps()) == []
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True))


def test_nothing_secret_is_in_a_checkpoint(stopped: Path) -> None:
    assert stopped.stat().st_mode & 0o077 == 0
    document = torch.load(stopped, weights_only=True)
    assert set(document) == {
        *("format", "run", "step", "records", "settings", "plan", "link", "module", "optimizer", "average"),
        "randomness",
    }


@pytest.mark.parametrize("write", [pickle.dump, torch.save])
def test_a_checkpoint_that_would_run_something_is_refused(stopped: Path, write: Any) -> None:
    with stopped.open("wb") as file:
        write(Harmful(), file)
    with pytest.raises(WireError, match="damaged"):
        checkpointed(stopped)[1].resume()
    assert not Path("harm").exists()


class Harmful:
    def __reduce__(self) -> tuple:
        return (Path("harm").touch, ())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": replace(SETTINGS, clip_norm=2.0)}, "settings of the run"),
        ({"settings": replace(SETTINGS, epsilon=2.0)}, "settings of the run"),
        ({"data": task(999)}, "1000 records of the run"),
        ({"module": torch.nn.Linear(6, 2)}, "module of the run"),
        ({"average": 0.0}, "average"),
    ],
)
def test_another_run_than_the_checkpoints_is_refused(stopped: Path, options: dict, message: str) -> None:
    options = {"module": network(dropout=0.1), "average": 0.9, "checkpoint": stopped} | options
    with pytest.raises(UsageError, match=message):
        trainer(**options).resume()


def test_another_optimizer_is_refused_and_the_run_still_there(stopped: Path) -> None:
    module = network(dropout=0.1)
    optimizer = torch.optim.SGD([{"params": [p]} for p in module.parameters()], lr=0.1)
    with pytest.raises(UsageError, match="optimizer of the run"):
        trainer(module=module, average=0.9, checkpoint=stopped, optimizer=optimizer).resume()
    _, private = checkpointed(stopped)
    private.resume()


def test_two_processes_cannot_go_on_with_one_run(stopped: Path) -> None:
    _, first = checkpointed(stopped)
    first.resume()
    with pytest.raises(UsageError, match="another process"):
        checkpointed(stopped)[1].resume()


def test_a_new_run_does_not_take_the_place_of_an_old_one(stopped: Path) -> None:
    before = stopped.read_bytes()
    with pytest.raises(UsageError, match="new run"):
        checkpointed(stopped)[1].run()
    assert stopped.read_bytes() == before


def test_a_run_that_was_in_a_ledger_goes_on_with_it_alone(tmp_path: Path) -> None:
    path, ledger = tmp_path / "run", LedgerFile(tmp_path / "ledger.json", epsilon_limit=4, delta=1e-5)
    _, private = checkpointed(path, ledger=ledger)
    next(private.steps())
    del private
    with pytest.raises(UsageError, match="entered in a ledger"):
        checkpointed(path)[1].resume()
    other = LedgerFile(tmp_path / "other.json", epsilon_limit=4, delta=1e-5)
    with pytest.raises(IntegrityError, match="does not hold the run"):
        checkpointed(path, ledger=other)[1].resume()


@pytest.mark.parametrize("damage", ["missing", "cut", "longer", "other run", "no checkpoint", "cut checkpoint"])
def test_a_damaged_run_is_refused(stopped: Path, tmp_path: Path, damage: str) -> None:
    spent = tmp_path / "run.spent"
    counted, saved = spent.read_bytes(), stopped.read_bytes()
    errors: dict[str, tuple[type[HoldfastError], Path, bytes | None]] = {
        "missing": (UsageError, spent, None),
        "cut": (IntegrityError, spent, counted[:-1]),
        "longer": (IntegrityError, spent, counted + b"0"),
        "other run": (IntegrityError, spent, bytes(16) + counted[16:]),
        "no checkpoint": (InputError, stopped, None),
        "cut checkpoint": (WireError, stopped, saved[: len(saved) // 2]),
    }
    error, path, content = errors[damage]
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(error):
        checkpointed(stopped)[1].resume()


def test_saving_and_resuming_need_a_place_and_their_time(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has begun"):
        trainer().save()
    with pytest.raises(UsageError, match="has begun"):
        checkpointed(tmp_path / "run")[1].save()
    with pytest.raises(UsageError, match="not begun"):
        trainer().resume()
