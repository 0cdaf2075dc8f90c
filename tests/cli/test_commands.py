"""The commands, their exit codes, and their one sentence for bad input."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from rich.progress import Progress

from holdfast.cli.service import _anchor, _audit_key
from holdfast.cli.terminal import DEFECT, EXIT_CODES, TerminalReporter, exit_code
from holdfast.errors import HoldfastError, IntegrityError, PolicyError, SystemFault
from holdfast.serving import AuditLog, Store

from .conftest import HOLDFAST, Demo, Said, holdfast, spawned

COMMANDS = (
    "demo",
    "init",
    "run",
    "check",
    "train",
    "attack",
    "harden",
    "seal",
    "verify",
    "open",
    "keys",
    "client",
    "serve",
    "ask",
    "plan",
    "audit",
)


def subclasses(error: type[HoldfastError]) -> Iterator[type[HoldfastError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from subclasses(kind)


def test_every_error_has_an_exit_code_that_tells_who_has_to_act() -> None:
    for kind in subclasses(HoldfastError):
        assert exit_code(kind("x")) in range(1, 6), kind
    assert [exit_code(kind("x")) for kind in (PolicyError, IntegrityError, SystemFault)] == [1, 3, 5]
    assert 0 not in {code for _, code in EXIT_CODES}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    said = holdfast(command, "--help")
    assert said.code == 0
    assert f"holdfast {command}" in said.out


def test_without_a_command_the_commands_are_shown() -> None:
    said = spawned("--help")
    assert all(re.search(rf"\b{command}\b", said.out) for command in COMMANDS)
    assert re.fullmatch(r"holdfast \d+\.\d+\.\d+\n", spawned("--version").out)


def test_a_command_that_does_not_exist_is_bad_input() -> None:
    assert spawned("nonsense").code == holdfast("nonsense").code == 2


# What cannot be read


def csv(tmp_path: Path, data: bytes | str) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


BAD_TABLES = {
    "empty": ("", "table"),
    "header only": ("a,y\n", "row"),
    "target absent": ("a,b\n1,2\n3,4\n", "'y'"),
    "one class": ("a,y\n1,p\n2,p\n", "class"),
    "wrong encoding": ("a,y\n\udcff,p\n2,q\n".encode("utf-8", "surrogateescape"), "UTF-8"),
    "a huge field": ("a,y\n" + "x" * 200_000 + ",p\n2,q\n", "100000|100,000"),
    "a million columns": (",".join(f"c{i}" for i in range(1_000_000)) + "\n", "column"),
    "two columns of one name": ("a,a,y\n1,2,p\n3,4,q\n", "'a'"),
    "ragged": ("a,y\n1,p,9\n2,q\n", "row|line|column|field"),
    "every value missing": ("a,y\n,p\n,q\n", "'a'"),
}


@pytest.mark.parametrize(("data", "sentence"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_a_bad_table_is_one_sentence_and_leaves_nothing(tmp_path: Path, data: bytes | str, sentence: str) -> None:
    said = holdfast("init", csv(tmp_path, data), "--target", "y")
    assert said.code == 2
    assert re.search(sentence, said.one_error())
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_missing_table_is_one_sentence(tmp_path: Path) -> None:
    arguments = ("init", tmp_path / "none.csv", "--target", "y")
    said = spawned(*arguments)
    assert said.code == 2
    assert "none.csv" in said.one_error()
    assert holdfast(*arguments) == said  # so that what follows need not be a process each


GOOD_CONFIG = """format = 1
name = "t"
[data]
file = "table.csv"
target = "y"
classes = ["p", "q"]
[data.features]
a = { kind = "real", range = [0, 10] }
"""


def test_the_check_names_the_rows_and_where_the_others_are(tmp_path: Path) -> None:
    csv(tmp_path, "a,y\n" + "".join(f"{i // 2},{'pq'[i % 2]}\n" for i in range(20)))
    (tmp_path / "holdfast.toml").write_text(GOOD_CONFIG)
    said = holdfast("check", cwd=tmp_path)
    (told,) = [line for line in said.out.splitlines() if "another label" in line]
    assert "(rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …)" in told
    assert "out/check/evidence.json" in said.out
    (evidence,) = json.loads((tmp_path / "out/check/evidence.json").read_text())
    assert list(range(20)) in [sorted(finding["rows"]) for finding in evidence["context"]["findings"]]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("high", "'a' is 'high' in row 1, expected a number"),
        ("inf", "inf"),
        ("11", "its range is 0 to 10"),
        ("", "no value"),
    ],
    ids=["text", "infinity", "out of range", "missing"],
)
def test_a_value_that_breaks_the_schema_names_row_and_column(tmp_path: Path, value: str, sentence: str) -> None:
    csv(tmp_path, f"a,y\n1,p\n{value},q\n3,p\n4,q\n")
    (tmp_path / "holdfast.toml").write_text(GOOD_CONFIG)
    said = holdfast("check", cwd=tmp_path)
    assert said.code == 2
    assert "step check" in said.one_error()
    assert sentence in said.err


def test_a_missing_config_says_how_to_make_one(tmp_path: Path) -> None:
    said = holdfast("run", cwd=tmp_path)
    assert said.code == 2
    assert "holdfast init" in said.one_error()


# The machine refuses


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    table = csv(tmp_path, "a,y\n1,p\n2,q\n3,p\n4,q\n")
    said = spawned("init", table, "--target", "y", "--config", "/proc/holdfast.toml")
    assert said.code == 5
    assert "cannot write /proc/holdfast.toml" in said.one_error()


def test_a_full_disk_leaves_the_files_of_the_last_run(copied: Callable[[], Demo]) -> None:
    folder = copied().folder
    before = {path: path.read_bytes() for path in sorted((folder / "out").rglob("*")) if path.is_file()}
    text = (folder / "holdfast.toml").read_text()
    (folder / "holdfast.toml").write_text(text.replace("min_accuracy = 0.85", "min_accuracy = 0.84"))
    limited = f"ulimit -f 40; exec {HOLDFAST} run holdfast.toml"
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}  # it writes files, too
    done = subprocess.run(["bash", "-c", limited], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stdout + done.stderr
    assert Said(5, done.stdout, done.stderr).one_error().startswith("error: step rehearse: ")
    assert {path: path.read_bytes() for path in before} == before
    assert holdfast("run", cwd=folder).code == 0


# Bundles


def test_a_sealed_model_verifies_opens_and_meets_the_policy(demo: Demo, tmp_path: Path) -> None:
    said = holdfast("verify", demo.sealed, *demo.keys, "--policy", demo.folder / "holdfast.toml")
    assert said.code == 0
    assert "every file is what ed25519:" in said.out
    opened = holdfast("open", demo.sealed, *demo.keys, "--to", tmp_path / "opened")
    assert opened.code == 0
    model = (tmp_path / "opened/model.onnx").read_bytes()
    assert model == (demo.folder / "out/harden/model.onnx").read_bytes()
    again = holdfast("open", demo.sealed, *demo.keys, "--to", tmp_path / "opened")
    assert again.code == 2
    assert "a folder that is not empty" in again.one_error()


def test_a_log_cannot_be_checked_before_the_model_was_served(tmp_path: Path) -> None:
    assert holdfast("client", "ward", cwd=tmp_path).code == 0
    said = holdfast("audit", cwd=tmp_path)
    assert said.code == 2
    assert "holdfast serve makes it" in said.one_error()


def test_a_sealed_model_cannot_be_planned_and_the_hint_opens_it(demo: Demo) -> None:
    said = holdfast("plan", demo.sealed, "--data", demo.folder / "tumours.csv")
    assert said.code == 2
    assert "found a sealed bundle" in said.one_error()
    assert "holdfast open" in said.err


def test_one_flipped_bit_is_told_apart_from_a_policy_that_is_not_met(copied: Callable[[], Demo]) -> None:
    demo = copied()
    strict = demo.folder / "strict.toml"
    strict.write_text((demo.folder / "holdfast.toml").read_text().replace("min_accuracy = 0.85", "min_accuracy = 1.0"))
    not_met = spawned("verify", demo.sealed, *demo.keys, "--policy", strict)
    assert not_met.code == 1
    assert "NOT MET min_accuracy" in not_met.out
    data = bytearray(demo.sealed.read_bytes())
    data[len(data) // 2] ^= 1
    demo.sealed.write_bytes(data)
    broken = spawned("verify", demo.sealed, *demo.keys)
    assert broken.code == 3
    broken.one_error()


def test_another_key_does_not_open_and_writes_nothing(demo: Demo, tmp_path: Path) -> None:
    assert holdfast("keys", tmp_path / "other").code == 0
    for signer, key in (("other/signer.pub", None), (None, "other/recipient.key")):
        said = holdfast(
            "open",
            demo.sealed,
            "--signer",
            tmp_path / signer if signer else demo.folder / "keys/signer.pub",
            "--key",
            tmp_path / key if key else demo.folder / "keys/recipient.key",
            "--to",
            tmp_path / "opened",
        )
        assert said.code == 3
        said.one_error()
        assert not (tmp_path / "opened").exists()


def test_keys_are_never_overwritten_and_can_have_a_passphrase(tmp_path: Path) -> None:
    first = holdfast("keys", tmp_path / "keys", HOLDFAST_PASSPHRASE="correct horse")
    assert first.code == 0
    assert "not encrypted" not in first.out
    assert "ENCRYPTED" in (tmp_path / "keys/signer.key").read_text()
    again = holdfast("keys", tmp_path / "keys")
    assert again.code == 2
    assert "never overwritten" in again.one_error()


# The table against its manifest


def test_a_changed_row_is_named(copied: Callable[[], Demo]) -> None:
    folder = copied().folder
    shutil.copy(folder / "tumours.csv", folder / "earlier.csv")
    same = holdfast("check", "--against", "out/check/manifest.json", cwd=folder)
    assert same.code == 0
    assert "shifted" not in same.out
    lines = (folder / "tumours.csv").read_text().splitlines()
    lines[8] = (
        lines[8].replace("malignant", "benign") if "malignant" in lines[8] else lines[8].replace("benign", "malignant")
    )
    (folder / "tumours.csv").write_text("\n".join(lines) + "\n")
    changed = holdfast("check", "--against", "out/check/manifest.json", cwd=folder)
    assert changed.code == 3
    assert re.search(r"changed.*\b7\b", changed.one_error())
    named = holdfast("check", "--against", "earlier.csv", cwd=folder)
    assert named.code == 3
    assert re.search(r"row 7: diagnosis: (malignant -> benign|benign -> malignant)$", named.out, re.MULTILINE)
    assert holdfast("check", "--against", "holdfast.toml", cwd=folder).code == 2


# The service


@contextmanager
def serving(demo: Demo, *, port: int) -> Iterator[subprocess.Popen[str]]:
    """`holdfast serve` on a port, up and listening."""
    config = demo.folder / "holdfast.toml"
    config.write_text(re.sub(r"port = \d+", f"port = {port}", config.read_text()))
    command = [HOLDFAST, "serve", demo.sealed, *demo.keys]
    process = subprocess.Popen(
        list(map(str, command)), cwd=demo.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        while "serving on" not in (line := process.stdout.readline()):
            assert line, process.stderr.read() if process.stderr else ""
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_serve_ask_audit_and_stop(copied: Callable[[], Demo]) -> None:
    demo, port = copied(), free_port()
    url = f"http://127.0.0.1:{port}"
    added = holdfast("client", "ward-7", "--budget", "30", cwd=demo.folder)
    assert added.code == 0
    token = added.out.strip()
    assert token not in added.err
    frame = pd.read_csv(demo.folder / "tumours.csv").drop(columns="diagnosis")
    frame.head(10).to_csv(demo.folder / "ask.csv", index=False)
    with serving(demo, port=port) as process:
        clear = holdfast("ask", "ask.csv", "--url", url, cwd=demo.folder, HOLDFAST_TOKEN=token)
        private = holdfast("ask", "ask.csv", "--url", url, "--private", cwd=demo.folder, HOLDFAST_TOKEN=token)
        wrong = spawned("ask", "ask.csv", "--url", url, cwd=demo.folder, HOLDFAST_TOKEN="wrong")
        spent = holdfast("ask", "tumours.csv", "--url", url, cwd=demo.folder, HOLDFAST_TOKEN=token)
        taken = spawned("serve", demo.sealed, *demo.keys, "--store", "other.db", cwd=demo.folder)
        revoked = holdfast("client", "ward-7", "--revoke", cwd=demo.folder)
        refused = holdfast("ask", "ask.csv", "--url", url, cwd=demo.folder, HOLDFAST_TOKEN=token)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert (clear.code, private.code) == (0, 0), clear.err + private.err
    assert clear.out.splitlines()[0] == "label,p(benign),p(malignant)"
    labels = [[line.split(",")[0] for line in said.out.splitlines()] for said in (clear, private)]
    assert labels[0] == labels[1]
    for said, code in ((wrong, 4), (spent, 4), (taken, 5), (refused, 4)):
        assert said.code == code, said
        said.one_error()
    assert f"port {port}" in taken.err
    assert revoked.code == 0
    gone = holdfast("ask", "ask.csv", "--url", url, cwd=demo.folder, HOLDFAST_TOKEN=token)
    assert gone.code == 5
    gone.one_error()
    audit = holdfast("audit", cwd=demo.folder)
    assert audit.code == 0
    assert re.search(r"^\d+ entries, each chained .* with the key beside the database", audit.out)
    assert "--signer and --noted would show it" in audit.out
    assert token not in audit.out
    with_key = holdfast("audit", "--signer", "service.db.audit.pub", cwd=demo.folder)
    assert with_key.code == 0
    assert "with the key service.db.audit.pub" in with_key.out


def test_asking_without_a_token_says_how_to_get_one(demo: Demo) -> None:
    said = holdfast("ask", demo.folder / "tumours.csv")
    assert said.code == 4
    assert "holdfast client" in said.one_error()


def test_a_model_that_does_not_meet_the_policy_is_not_served(copied: Callable[[], Demo]) -> None:
    demo = copied()
    config = demo.folder / "holdfast.toml"
    config.write_text(config.read_text().replace("min_accuracy = 0.85", "min_accuracy = 1.0"))
    said = spawned("serve", demo.sealed, *demo.keys, cwd=demo.folder)
    assert said.code == 1
    assert "is not served" in said.one_error()


def test_an_audit_log_that_was_edited_is_told(copied: Callable[[], Demo]) -> None:
    import sqlite3

    demo, port = copied(), free_port()
    token = holdfast("client", "ward-7", cwd=demo.folder).out.strip()
    with serving(demo, port=port):
        holdfast("ask", "tumours.csv", "--url", f"http://127.0.0.1:{port}", cwd=demo.folder, HOLDFAST_TOKEN=token)
    with sqlite3.connect(demo.folder / "service.db") as database:
        for (trigger,) in database.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            database.execute(f'drop trigger "{trigger}"')
        assert database.execute("update audit set rows = rows + 1").rowcount > 0
    said = holdfast("audit", cwd=demo.folder)
    assert said.code == 3
    said.one_error()


def written_log(folder: Path, *, clients: tuple[str, ...]) -> str:
    """A log with an entry for each client, as `holdfast serve` writes it; returns what is to be noted of it."""
    path = folder / "service.db"
    with Store(path) as store:
        log = AuditLog(store, key=_audit_key(store, path), anchor=_anchor(path))
        for client in clients:
            log.append(client=client, action="infer", model="sha256:0", rows=1, outcome="ok", latency_us=1)
        head = log.head
        log.close()
    return f"{head.number}:{head.hash}"


def test_a_log_replaced_together_with_its_key_is_found_by_the_entry_noted_and_by_the_true_key(tmp_path: Path) -> None:
    """Who can write the folder needs to read no key: a new log under a new key looks well from within."""
    noted = written_log(tmp_path, clients=("mallory", "mallory"))
    shutil.copy(tmp_path / "service.db.audit.pub", tmp_path / "true.pub")
    assert f"note this elsewhere: {noted}" in holdfast("audit", cwd=tmp_path).out
    kept = written_log(tmp_path, clients=("ward 7",))
    assert kept != noted
    grown = holdfast("audit", "--noted", noted, "--signer", "true.pub", cwd=tmp_path)
    assert grown.code == 0
    assert "entry 2 is the one noted" in grown.out
    for path in tmp_path.glob("service.db*"):
        path.unlink()
    written_log(tmp_path, clients=("alice", "alice", "alice"))
    assert holdfast("audit", cwd=tmp_path).code == 0  # as the docs say
    rewritten = holdfast("audit", "--noted", noted, cwd=tmp_path)
    assert rewritten.code == 3
    assert "does not contain the entry 2 that was noted" in rewritten.one_error()
    forged = holdfast("audit", "--signer", "true.pub", cwd=tmp_path)
    assert forged.code == 3
    assert "is not signed by" in forged.one_error()


@pytest.mark.parametrize("noted", ["", "2", "2:", ":" + "0" * 64, "0:" + "0" * 64, "x:" + "0" * 64, "2:" + "0" * 63])
def test_what_cannot_have_been_noted_is_bad_input(tmp_path: Path, noted: str) -> None:
    written_log(tmp_path, clients=("ward 7",))
    said = holdfast("audit", "--noted", noted, cwd=tmp_path)
    assert said.code == 2
    assert "NUMBER:HASH" in said.one_error()


@pytest.mark.parametrize("gone", [("audit.key",), ("audit.key", "anchor"), ("audit.key", "audit.pub")])
def test_the_key_of_a_log_is_not_made_anew(tmp_path: Path, gone: tuple[str, ...]) -> None:
    written_log(tmp_path, clients=("ward 7",))
    for name in gone:
        (tmp_path / f"service.db.{name}").unlink()
    with pytest.raises(IntegrityError, match="the key that signs this audit log"):
        written_log(tmp_path, clients=("ward 7",))
    assert not (tmp_path / "service.db.audit.key").exists()


def test_the_key_of_a_log_that_was_emptied_is_not_made_anew(tmp_path: Path) -> None:
    written_log(tmp_path, clients=("ward 7",))
    for name in ("service.db", "service.db.audit.key"):
        (tmp_path / name).unlink()
    with pytest.raises(IntegrityError, match="the key that signs this audit log"):
        written_log(tmp_path, clients=("ward 7",))


# How it looks


def test_on_a_terminal_progress_moves_and_findings_stay(copied: Callable[[], Demo]) -> None:
    folder = copied().folder
    main, side = pty.openpty()
    process = subprocess.Popen(
        [str(HOLDFAST), "run"],
        cwd=folder,
        stdout=side,
        stderr=side,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(side)
    shown = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0
    text = shown.decode()
    assert "\x1b[" in text
    assert "unchanged" in text
    assert "encrypted queries gave the clear answer" in text


def test_a_reader_that_goes_away_is_no_error(demo: Demo) -> None:
    command = f"{HOLDFAST} verify {demo.sealed} {' '.join(map(str, demo.keys))} | head -c 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [str(HOLDFAST), "demo", str(tmp_path / "d")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("train: "):
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "stopped; what was finished is kept\n"
    assert (tmp_path / "d/out/check/manifest.json").exists()
    assert not [path for path in (tmp_path / "d/out").iterdir() if path.name.endswith(".partial")]


# What comes from outside, and what nobody expected


@pytest.mark.parametrize(
    "value",
    ["1" + "0" * 400, "0x" + "f" * 10_000, "inf", "[" * 100_000, '["service-watch"]'],
    ids=["10^400", "a long number", "infinity", "deep", "a text"],
)
def test_a_policy_that_cannot_be_read_is_bad_input_and_not_a_policy_that_is_not_met(tmp_path: Path, value: str) -> None:
    (tmp_path / "holdfast.toml").write_text(f"{GOOD_CONFIG}[policy]\nmax_epsilon = {value}\n")
    said = holdfast("check", cwd=tmp_path)
    assert said.code == 2
    said.one_error()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000, "\ufeff{}", '"\\ud800"', "{}"])
def test_a_manifest_that_cannot_be_read_is_bad_input(tmp_path: Path, text: str) -> None:
    csv(tmp_path, "a,y\n1,p\n2,q\n3,p\n4,q\n")
    (tmp_path / "holdfast.toml").write_text(GOOD_CONFIG)
    (tmp_path / "manifest.json").write_text(text)
    said = holdfast("check", "--against", "manifest.json", cwd=tmp_path)
    assert said.code == 2
    said.one_error()


def test_names_in_a_table_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m"
    rows = "".join(f"{i},{i % 7},{evil}p{i % 2}\n" for i in range(60))
    said = holdfast("init", csv(tmp_path, f"{evil}id,a,y\n{rows}"), "--target", "y")
    assert said.code == 0, said.err
    assert "p1" in said.out
    wrong = holdfast("init", tmp_path / "table.csv", "--target", evil, "--config", tmp_path / "other.toml")
    assert wrong.code == 2
    for text in (said.out, wrong.one_error()):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_findings_cannot_speak_to_the_terminal_on_which_progress_moves() -> None:
    shown = io.StringIO()
    with Progress(console=Console(file=shown, force_terminal=True, width=100)) as progress:
        reporter = TerminalReporter(progress)
        reporter.finish("check", lines=("class \x1b]0;owned\x07[red]p[/red]",), seconds=1.0)
    assert "class ?]0;owned?[red]p[/red]" in shown.getvalue()
    assert "\x1b]0" not in shown.getvalue()


FAILING = """
import sys
from holdfast import cli
from holdfast.cli import app

def fail(*_: object, **__: object) -> None:
    raise {error}

app.app = fail
cli.main()
"""


def front(error: str) -> Said:
    """The front door, behind which an error of Python's own is raised."""
    script = FAILING.format(error=error)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return Said(done.returncode, done.stdout, done.stderr)


def test_a_defect_has_an_exit_code_of_its_own_a_sentence_and_a_traceback() -> None:
    said = front(r"KeyError('a\x1b[2Jb\nc')")
    assert said.code == DEFECT
    first, *traceback = said.err.splitlines()
    assert first.startswith("error: this is a defect in Holdfast: KeyError")
    assert traceback[0].startswith("Traceback")
    assert "\x1b" not in said.err
    assert DEFECT not in {code for _, code in EXIT_CODES}


def test_too_little_memory_is_a_fault_of_the_machine() -> None:
    said = front("MemoryError()")
    assert said.code == 5
    assert "memory" in said.one_error()
