"""The ledger's file: entered before anything runs, by one process at a time, whole or not at all."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.data import Dataset
from holdfast.errors import BudgetError, HoldfastError, InputError, IntegrityError, SystemFault, UsageError, WireError
from holdfast.training import Entry, Ledger, LedgerFile, NoisySums, private_events, train_private

DIGEST = "sha256:" + "ab" * 32
DELTA = 1e-5
SAMPLE = Path(__file__).parents[1] / "compat" / "ledger-2" / "sample.privacy-ledger.json"
SPENDER = """
import sys
from pathlib import Path
from holdfast.training import Entry, LedgerFile, NoisySums
entry = Entry(step=sys.argv[2], data_digest="sha256:" + "ab" * 32, released=True, method="dp-sgd",
              events=(NoisySums(noise_multiplier=200.0, count=1, width=1),))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(12):
    LedgerFile(Path(sys.argv[1]), epsilon_limit=3.0, delta=1e-5).spend(entry)
print("spent", flush=True)
sys.stdin.readline()
"""


def file_at(path: Path, epsilon_limit: float = 3.0) -> LedgerFile:
    return LedgerFile(path, epsilon_limit=epsilon_limit, delta=DELTA)


def entry(step: str, noise_multiplier: float | None = None, *, released: bool = True) -> Entry:
    if noise_multiplier is None:
        return Entry(step=step, data_digest=DIGEST, released=released)
    sums = (NoisySums(noise_multiplier=noise_multiplier, count=60, width=31),)
    return Entry(step=step, data_digest=DIGEST, released=released, events=sums, method="logistic-regression")


@pytest.fixture
def ledger_file(tmp_path: Path) -> LedgerFile:
    found = file_at(tmp_path / "loans.csv.privacy-ledger.json")
    found.spend(entry("train", 30.0))
    return found


def test_what_is_spent_is_on_the_disk_for_its_owner_alone(ledger_file: LedgerFile) -> None:
    after = ledger_file.spend(entry("harden", 40.0))
    assert ledger_file.read() == after
    assert Ledger.from_bytes(ledger_file.path.read_bytes(), epsilon_limit=3.0, delta=DELTA) == after
    assert [use.step for use in after.entries] == ["train", "harden"]
    assert ledger_file.path.stat().st_mode & 0o777 == 0o600


def test_no_file_is_an_empty_ledger_and_reading_makes_none(tmp_path: Path) -> None:
    assert file_at(tmp_path / "none.json").read().entries == ()
    assert list(tmp_path.iterdir()) == []


def test_what_passes_the_limit_is_refused_and_the_file_stays(ledger_file: LedgerFile) -> None:
    before = ledger_file.path.read_bytes()
    with pytest.raises(BudgetError, match="the limit is 3"):
        ledger_file.spend(entry("harden", 5.0))
    assert ledger_file.path.read_bytes() == before
    with pytest.raises(BudgetError, match=r"the limit is 0\.5"):
        file_at(ledger_file.path, 0.5).read()


def test_the_limit_refuses_before_any_training_runs(tumour: Dataset, tmp_path: Path) -> None:
    found, ran = file_at(tmp_path / "ledger.json", 1.0), []

    def train() -> None:  # in the order that docs/privacy.md asks for: plan, spend, train
        events = private_events(tumour.schema, epsilon=1.0, delta=DELTA, steps=2)
        use = {"step": "train", "data_digest": tumour.digest, "method": "logistic-regression"}
        found.spend(Entry(**use, released=True, events=events))
        ran.append(train_private(tumour, epsilon=1.0, delta=DELTA, steps=2))

    train()
    with pytest.raises(BudgetError):
        train()
    assert [use.events for use in found.read().entries] == [training.events for training in ran]


def test_a_use_without_noise_is_entered_once_and_a_private_one_each_time(ledger_file: LedgerFile) -> None:
    for _ in range(2):
        ledger_file.spend(entry("check", released=False))
        ledger_file.spend(entry("train", 90.0))
    assert [use.step for use in ledger_file.read().entries] == ["train", "check", "train", "train"]


@pytest.fixture(scope="module")
def after_two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger on which two processes spent twelve times each, at once, and were killed before they could train."""
    path = tmp_path_factory.mktemp("raced") / "ledger.json"
    processes = [spender(path, step) for step in ("one", "two")]
    for process in processes:
        say(process, "go")
    for process in processes:
        assert heard(process) == "spent"
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    return path


def spender(path: Path, step: str) -> subprocess.Popen[str]:
    """A process that waits for a line, spends twelve times, says so, and waits again as if it trained."""
    command = [sys.executable, "-c", SPENDER, str(path), step]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert heard(process) == "ready"
    return process


def say(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdin is not None
    process.stdin.write(word + "\n")
    process.stdin.flush()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_processes_that_spend_at_once_lose_no_entry(after_two_processes: Path) -> None:
    steps = [use.step for use in file_at(after_two_processes).read().entries if use.step != "again"]
    assert sorted(steps) == ["one"] * 12 + ["two"] * 12


def test_a_process_that_dies_before_it_trains_has_spent_and_locks_nobody_out(after_two_processes: Path) -> None:
    after = file_at(after_two_processes).spend(entry("again", 90.0))
    assert len(after.entries) == 25
    assert after.epsilon > 0


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def edited(data: bytes) -> bytes:
    return data.replace(b"30.0", b"90.0")


def shortened(data: bytes) -> bytes:
    document = json.loads(data)
    return json.dumps(document | {"entries": document["entries"][1:]}).encode()


@pytest.mark.parametrize(
    ("damage", "error"),
    [(truncated, WireError), (edited, IntegrityError), (shortened, IntegrityError), (lambda _: b"", WireError)],
)
def test_a_damaged_file_is_not_spent_on_and_not_replaced(
    ledger_file: LedgerFile, damage: Callable[[bytes], bytes], error: type[HoldfastError]
) -> None:
    ledger_file.spend(entry("harden", 40.0))
    damaged = damage(ledger_file.path.read_bytes())
    ledger_file.path.write_bytes(damaged)
    with pytest.raises(error):
        ledger_file.spend(entry("more", 90.0))
    assert ledger_file.path.read_bytes() == damaged


def test_a_disk_that_takes_no_more_leaves_the_old_ledger(ledger_file: LedgerFile) -> None:
    before = ledger_file.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before), hard))
    try:
        with pytest.raises(SystemFault, match="cannot write"):
            ledger_file.spend(entry("more", 90.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert ledger_file.path.read_bytes() == before
    assert {path.suffix for path in ledger_file.path.parent.iterdir()} == {".json", ".lock"}


def test_a_folder_that_cannot_be_written_and_a_folder_in_the_files_place_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UsageError, match=r"in a folder that exists, got .*ledger"):
        file_at(tmp_path / "file" / "ledger.json")
    with pytest.raises(UsageError, match=r"in a folder that exists, got .*ledger"):
        file_at(tmp_path / "a slip" / "ledger.json")
    with pytest.raises(SystemFault, match="cannot write beside /proc"):
        file_at(Path("/proc/ledger.json")).spend(entry("train", 30.0))
    (tmp_path / "ledger.json").mkdir()
    with pytest.raises(InputError, match="found a folder"):
        file_at(tmp_path / "ledger.json").spend(entry("train", 30.0))


@pytest.mark.parametrize(
    "option", [{"epsilon_limit": 0.0}, {"epsilon_limit": float("inf")}, {"delta": 0.0}, {"records_per_person": 0}]
)
def test_a_limit_without_meaning_is_refused(tmp_path: Path, option: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        LedgerFile(tmp_path / "ledger.json", **{"epsilon_limit": 3.0, "delta": DELTA} | option)


def test_a_path_may_be_a_text_and_nothing_else(tmp_path: Path) -> None:
    text = str(tmp_path / "ledger.json")
    assert LedgerFile(text, epsilon_limit=3.0, delta=DELTA) == LedgerFile(  # type: ignore[arg-type]
        Path(text), epsilon_limit=3.0, delta=DELTA
    )
    with pytest.raises(UsageError, match="expected the path of a privacy ledger, got int"):
        LedgerFile(3, epsilon_limit=3.0, delta=DELTA)  # type: ignore[arg-type]


def test_a_ledger_of_the_first_release_is_read_and_continued_with_its_links(tmp_path: Path) -> None:
    """tests/compat/ledger-2 was written before entries had methods and other events than Gaussian sums."""
    path = tmp_path / "ledger.json"
    path.write_bytes(SAMPLE.read_bytes())
    old = file_at(path).read()
    assert old.to_bytes() == SAMPLE.read_bytes()
    assert old.head == "sha256:531d96a121c7a2c0e849eaba369853dabc222b82bf9a363759da75c25012ebba"
    assert [use.method for use in old.entries] == ["", "logistic-regression", "logistic-regression"]
    sums = (NoisySums(noise_multiplier=90.0, count=1, width=1),)
    new = file_at(path).spend(Entry(step="sgd", data_digest=DIGEST, released=True, events=sums, method="dp-sgd"))
    assert new.links[:-1] == old.links
    assert file_at(path).read() == new
    assert new.statement_for("sgd").parts["mechanism"].startswith("[loans: train, loans: harden] logistic regression")
