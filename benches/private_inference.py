"""Private inference beside its peers: server time, round trip, sizes, memory and agreement, as JSON lines.

    python benches/private_inference.py --cases logistic xgboost-50x4 --peers tenseal --rows 50

Each line is {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}; the ratio is peer over ours, above 1 where
ours is less. `case` alone is the server's time for one whole query, median, in milliseconds: from the query's bytes to
the answer's. The lines after it say `case, figure`. A peer without a figure has no line for it.

Agreement compares decrypted scores with the clear model's own, over the rows that `unit` names, none of which the
compiler saw. `same score` is for trees: the share of rows whose score is, to the last bit, the fixed-point sum.

Peers run in the same run, each in a Python of its own (benches/peers); one that cannot be installed, and a case that
cannot be run, is skipped with its reason. Concrete ML takes minutes for trees. What a peer leaves out stands in its
script.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from cases import CASES, Case, CaseMissing
from loopback import serving
from peers.environments import PEERS, Peer, PeerMissing
from peers.measure import Figures, classes, median_ms, same_class

from holdfast.errors import HoldfastError
from holdfast.http import Client
from holdfast.private_inference import Evaluator, PrivatePlan, PrivateSession, compile_private
from holdfast.private_inference.program import TreeProgram

UNITS = {
    "server": "ms",
    "client": "ms",
    "round trip": "ms",
    "query": "bytes",
    "answer": "bytes",
    "keys": "bytes",
    "messages": "messages",
    "memory": "bytes",
    "accuracy": "share of {test rows} rows, in the clear",
    "agreement": "share of {rows} rows",
    "same score": "share of {rows} rows",
    "worst error": "score, {rows} rows",
}
WITHOUT_RATIO = ("accuracy", "agreement", "same score", "worst error")
PROGRESS_EVERY_S = 5


def main() -> None:
    asked = arguments()
    for name in asked.cases:
        say(f"{name}: making the model")
        try:
            case = CASES[name]()
            plan, figures = ours(case, n_rows=asked.rows)
        except (CaseMissing, HoldfastError) as error:
            print(json.dumps({"bench": "private_inference", "skipped": name, "reason": str(error)}), flush=True)
            continue
        tell(name, figures, theirs(case, plan, [PEERS[peer] for peer in asked.peers]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="without it, all of them")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="without it, all of them")
    parser.add_argument("--rows", type=int, default=100, help="rows for the agreement, at least one query's (100)")
    return parser.parse_args()


def ours(case: Case, *, n_rows: int) -> tuple[PrivatePlan, Figures]:
    """The plan, and every figure of ours."""
    plan = compile_private(case.model, X=case.reference, classes=case.classes, batch=case.query_rows > 1)
    evaluator, session = Evaluator(plan), PrivateSession(plan.public)
    layout = next(iter(plan.public.split(case.query_rows))).layout
    upload = session.keys(layout)
    keys = evaluator.load_keys(upload.manifest, upload.parts)
    rows = case.X[: case.query_rows]
    query = session.encrypt(rows, layout=layout)
    say(f"{case.name}: timing")
    figures: Figures = {
        "server": median_ms(lambda: evaluator.answer(query, keys=keys), repeats=case.repeats),
        "query": len(query),
        "answer": len(evaluator.answer(query, keys=keys)),
        "keys": len(upload.manifest) + sum(map(len, upload.parts)),
        "messages": 2,
    }
    answers = iter([evaluator.answer(session.encrypt(rows, layout=layout), keys=keys) for _ in range(4)])
    encrypting = median_ms(lambda: session.encrypt(rows, layout=layout), repeats=3)
    figures["client"] = encrypting + median_ms(lambda: session.decrypt(next(answers)), repeats=3)
    figures |= {"accuracy": accuracy(case, plan), "test rows": len(case.X)}
    return plan, figures | round_trip(case, plan) | agreement(case, plan, n_rows=n_rows)


def round_trip(case: Case, plan: PrivatePlan) -> Figures:
    """From rows to probabilities over HTTP on loopback, keys already there; and the service's memory.

    The memory is the most that the service's whole process ever held, Python and its libraries included.
    """
    say(f"{case.name}: over HTTP")
    rows = case.X[: case.query_rows]
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(plan, Path(folder)) as (url, token, told),
        Client(url, token) as client,
    ):
        time_ms = median_ms(lambda: client.ask_private(rows), repeats=min(case.repeats, 20))
    return {"round trip": time_ms} | told


def accuracy(case: Case, plan: PrivatePlan) -> float:
    """The share of all rows that the plan's arithmetic, in the clear, gives their true class."""
    return float(np.mean(classes(plan.clear_scores(case.X)) == case.y))


def agreement(case: Case, plan: PrivatePlan, *, n_rows: int) -> Figures:
    """How decrypted scores compare with the clear model's, and with exact arithmetic."""
    rows = case.X[: max(n_rows, case.query_rows)]
    evaluator, session = Evaluator(plan), PrivateSession(plan.public)
    uploads = {name: session.keys(name) for name in plan.public.layouts}
    keys = {name: evaluator.load_keys(upload.manifest, upload.parts) for name, upload in uploads.items()}
    decrypted, said = [], time.monotonic()
    for start in range(0, len(rows), case.query_rows):
        part = rows[start : start + case.query_rows]
        layout = next(iter(plan.public.split(len(part)))).layout
        answer = evaluator.answer(session.encrypt(part, layout=layout), keys=keys[layout])
        decrypted.append(session.decrypt(answer).scores)
        if time.monotonic() - said > PROGRESS_EVERY_S:
            say(f"{case.name}: {start + len(part)} of {len(rows)} rows compared")
            said = time.monotonic()
    scores, clear = np.concatenate(decrypted), case.scores(rows)
    figures: Figures = {
        "agreement": same_class(scores, clear),
        "worst error": float(np.abs(scores - clear).max()),
        "rows": len(rows),
    }
    if isinstance(plan.secret.program, TreeProgram):
        figures["same score"] = float(np.mean((scores == plan.clear_scores(rows)).all(axis=1)))
    return figures


def theirs(case: Case, plan: PrivatePlan, peers: Iterable[Peer]) -> dict[str, Figures]:
    """The figures of each peer that has the case and runs here, by its name."""
    found = dict(case.beside)
    able = [peer for peer in peers if case.name in peer.cases]
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "case.npz"
        if able:
            np.savez(arrays, allow_pickle=False, **case.peer_arrays(plan))
        for peer in able:
            say(f"{case.name}: {peer.name}")
            try:
                found[peer.name] = peer.run(case.name, arrays)
            except PeerMissing as error:
                line = {"bench": "private_inference", "case": case.name, "skipped": peer.name, "reason": str(error)}
                print(json.dumps(line), flush=True)
    return found


def tell(case: str, figures: Figures, peers: dict[str, Figures]) -> None:
    """A line for each figure and each peer that has it; one line alone where none has."""
    for figure, unit in UNITS.items():
        if figures.get(figure) is None:
            continue
        having = {name: theirs for name, theirs in peers.items() if theirs.get(figure) is not None}
        for name, theirs in having.items() or [(None, {})]:
            print(json.dumps(line(case, figure, unit, figures, name, theirs)), flush=True)


def line(case: str, figure: str, unit: str, mine: Figures, name: str | None, theirs: Figures) -> dict[str, Any]:
    ours, peer = mine[figure], theirs.get(figure)
    rows = f"{mine['rows']} (peer: {theirs['rows']})" if "rows" in theirs else mine.get("rows")
    unit = unit.format_map({"rows": rows, "test rows": mine.get("test rows")})
    ratio = None if peer is None or figure in WITHOUT_RATIO else round(peer / ours, 3)
    return {
        "bench": "private_inference",
        "case": case if figure == "server" else f"{case}, {figure}",
        "ours": shown(ours),
        "peer": None if peer is None else shown(peer),
        "peer_name": name,
        "ratio": ratio,
        "unit": unit,
    }


def shown(value: float) -> float:
    """Four digits, but every byte."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


def say(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
