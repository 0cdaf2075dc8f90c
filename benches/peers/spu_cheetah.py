"""SPU's Cheetah: two parties, the client with the row and the server with the model, here processes over loopback.

Its time is that of the whole online protocol, as neither side can compute without the other; every message is a
journey over the network on top of it, so the messages are counted. Sharing the row, and handing the answer back, are
left out, in the peer's favour.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import socket
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import spu
from numpy.typing import NDArray
from spu import libspu
from spu.utils import frontend

from peers.measure import Arrays, Figures, main, median_ms, same_class

Array = NDArray[np.float32]
Function = Callable[..., Any]
CLIENT, SERVER = 0, 1
REPEATS = 5
LINK_LINE = re.compile(r"Link details: total send bytes (\d+), recv bytes (\d+), send actions (\d+)")


def config() -> libspu.RuntimeConfig:
    """64-bit shares with 18 bits of fraction; what a party has is its own whole share, which saves it half the work.

    Statistics of the link go to the log.
    """
    made = libspu.RuntimeConfig(libspu.ProtocolKind.CHEETAH, libspu.FieldType.FM64, 18)
    made.experimental_enable_colocated_optimization = True
    made.enable_pphlo_profile = True
    return made


def executable(function: Function, row: Array, model: Sequence[Array]) -> libspu.Executable:
    """A JAX function of the row and the model's arrays, all of them secret, as SPU runs it."""
    arrays = [row, *model]
    names = [f"in{i}" for i in range(len(arrays))]
    secret = [libspu.Visibility.VIS_SECRET] * len(arrays)
    made, _ = frontend.compile(
        frontend.Kind.JAX, function, arrays, {}, names, secret, lambda out: [f"out{i}" for i in range(len(out))]
    )
    return made


def party(rank: int, ports: list[int], log: str, pipe: Connection, code: libspu.Executable, model: list[Any]) -> None:
    """One side: take shares of a row, run, tell the time and the share of the answer; until there is no further row."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    desc = libspu.link.Desc()
    for i, port in enumerate(ports):
        desc.add_party(f"party{i}", f"127.0.0.1:{port}")
    runtime = spu.Runtime(libspu.link.create_brpc(desc, rank), config())
    for i, share in enumerate(model, start=1):
        runtime.set_var(f"in{i}", share)
    while (row := pipe.recv()) is not None:
        runtime.set_var("in0", row)
        runtime.run(code)
        pipe.send(runtime.get_var("out0"))


class TwoParties:
    """Both processes, and shares going to and from them."""

    def __init__(self, function: Function, row: Array, model: Sequence[Array], folder: Path) -> None:
        self.io = spu.Io(2, config())
        self.logs = [folder / "client.log", folder / "server.log"]
        code, shares = executable(function, row, model), [self.shares(array, owner=SERVER) for array in model]
        spawn, ports = multiprocessing.get_context("spawn"), free_ports(2)
        self.pipes, self.processes = [], []
        for rank, log in enumerate(self.logs):
            ours, theirs = spawn.Pipe()
            args = (rank, ports, str(log), theirs, code, [share[rank] for share in shares])
            process = spawn.Process(target=party, args=args, daemon=True)
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)

    def shares(self, array: Array, *, owner: int) -> list[Any]:
        """What each party gets of an array."""
        return list(self.io.make_shares(np.asarray(array), libspu.Visibility.VIS_SECRET, owner))

    def run(self, row: Array) -> Array:
        """The answer for one row (1, width)."""
        for pipe, share in zip(self.pipes, self.shares(row, owner=CLIENT), strict=True):
            pipe.send(share)
        return np.asarray(self.io.reconstruct([pipe.recv() for pipe in self.pipes]))

    def traffic(self) -> tuple[int, int]:
        """Bytes and messages of one run, both directions, as the last run's logs have them."""
        lines = [LINK_LINE.findall(log.read_text())[-1] for log in self.logs]
        return sum(int(sent) for sent, _, _ in lines), sum(int(actions) for _, _, actions in lines)

    def close(self) -> None:
        """End both."""
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join(10)
            process.kill()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def measure(function: Function, model: Sequence[Array], rows: Array, expected: NDArray[Any]) -> Figures:
    """Time, traffic and agreement of a function of (row, *model) on rows (n, width)."""
    with tempfile.TemporaryDirectory() as folder:
        parties = TwoParties(function, rows[:1], model, Path(folder))
        time_ms = median_ms(lambda: parties.run(rows[:1]), repeats=REPEATS)
        sent, messages = parties.traffic()
        scores = np.concatenate([parties.run(row[None]).reshape(1, -1) for row in rows])
        parties.close()
    return {
        "server": time_ms,
        "query": sent,
        "messages": messages,
        "agreement": same_class(scores, expected),
        "worst error": float(np.abs(scores - expected).max()),
        "rows": len(rows),
    }


def logistic(case: Arrays) -> Figures:
    """A dot product."""
    model = [case["W0"].T.astype(np.float32), case["b0"].astype(np.float32)]
    return measure(lambda x, w, b: x @ w + b, model, case["X"].astype(np.float32), case["expected"])


def mlp(case: Arrays) -> Figures:
    """The same affine maps and squarings as ours."""
    n_layers = sum(name.startswith("W") for name in case)
    model = [a.astype(np.float32) for i in range(n_layers) for a in (case[f"W{i}"].T, case[f"b{i}"])]

    def network(x: Any, *layers: Any) -> Any:
        for i in range(n_layers):
            x = (x * x if i else x) @ layers[2 * i] + layers[2 * i + 1]
        return x

    return measure(network, model, case["X"][:5].astype(np.float32), case["expected"][:5])


def trees(case: Arrays) -> Figures:
    """All splits at once, then the paths: the features by a secret one-hot matrix, a comparison for each split.

    Trees are complete: splits (trees, 2^depth - 1) from the root down, leaves (trees, 2^depth).
    """
    features, thresholds, leaves = case["features"], case["thresholds"], case["leaves"]
    n_trees, n_splits = features.shape
    select = np.zeros((case["X"].shape[1], features.size), np.float32)
    select[features.ravel(), np.arange(features.size)] = 1
    depth = int(np.log2(n_splits + 1))

    def ensemble(x: Any, pick: Any, limits: Any, values: Any, base: Any) -> Any:
        left = ((x @ pick).reshape(n_trees, n_splits) < limits).astype(jnp.float32)
        reached = jnp.ones((n_trees, 1))
        for level in range(depth):
            goes = left[:, 2**level - 1 : 2 ** (level + 1) - 1]
            down = reached * goes if level else goes
            reached = jnp.stack([down, reached - down], axis=2).reshape(n_trees, -1)
        return (jnp.sum(reached * values) + base).reshape(1, 1)

    model = [select, thresholds.astype(np.float32), leaves.astype(np.float32), case["base"].astype(np.float32)]
    return measure(ensemble, model, case["X"][:5].astype(np.float32), case["expected"][:5])


def lenet(case: Arrays) -> Figures:
    """LeNet-5 with ReLU and average pooling; weights at random, as time does not depend on them."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        return rng.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape).astype(np.float32)

    model = [draw(5, 5, 1, 6), draw(5, 5, 6, 16), draw(256, 120), draw(120, 84), draw(84, 10)]
    images = case["X"][:3].astype(np.float32)
    expected = np.concatenate([np.asarray(lenet_scores(image[None], *model)) for image in images])
    return measure(lenet_scores, model, images, expected)


def lenet_scores(x: Any, first: Any, second: Any, *dense: Any) -> Any:
    """Scores (1, 10) of an image (1, 784)."""
    from jax import lax

    x = x.reshape(1, 28, 28, 1)
    for kernel in (first, second):
        x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jnp.maximum(x, 0)
        n, height, width, channels = x.shape
        x = x.reshape(n, height // 2, 2, width // 2, 2, channels).sum(axis=(2, 4)) * 0.25
    x = x.reshape(1, -1)
    for weights in dense[:-1]:
        x = jnp.maximum(x @ weights, 0)
    return x @ dense[-1]


if __name__ == "__main__":
    main({"logistic": logistic, "mlp-784": mlp, "cnn-mnist": lenet, "xgboost-50x4": trees, "xgboost-100x6": trees})
