"""A Python of its own for each peer, under benches/.peers, made once: their pins fight each other and ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCHES = Path(__file__).parent.parent
INSTALL_LIMIT_S = 1_800
RUN_LIMIT_S = 3_600


class PeerMissing(Exception):
    """A peer could not be installed, or did not run; the message is the reason, one sentence."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another engine.

    Args:
        name: as the figures are printed.
        script: the module in benches/peers that drives it.
        cases: what it can do.
        installs: what pip is given, one call after another.
    """

    name: str
    script: str
    cases: tuple[str, ...]
    installs: tuple[tuple[str, ...], ...]

    @property
    def folder(self) -> Path:
        """Where its environment is."""
        return BENCHES / ".peers" / self.script

    def run(self, case: str, arrays: Path) -> dict[str, Any]:
        """What the peer's script says of a case, whose arrays are in a file.

        Raises:
            PeerMissing: the peer cannot be installed here, or its script failed.
        """
        command = [str(self._python()), "-m", f"peers.{self.script}", case, str(arrays)]
        output = _call(command, limit_s=RUN_LIMIT_S, cwd=self.folder, env=_environment())
        figures: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
        return figures

    def _python(self) -> Path:
        """The peer's Python; made where there is none, or where an installation was broken off."""
        python, done = self.folder / "bin" / "python", self.folder / "installed.json"
        wanted = json.dumps(self.installs)
        if done.exists() and done.read_text() == wanted:
            return python
        print(f"installing {self.name} (once, some minutes)", file=sys.stderr, flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        _call([sys.executable, "-m", "venv", str(self.folder)], limit_s=INSTALL_LIMIT_S)
        for packages in self.installs:
            _call([str(python), "-m", "pip", "install", "--quiet", *packages], limit_s=INSTALL_LIMIT_S)
        done.write_text(wanted)
        return python


def _environment() -> Mapping[str, str]:
    """Where the scripts are, and as many threads as a peer likes: `make` holds processes to one, for the tests."""
    kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return kept | {"PYTHONPATH": str(BENCHES)}


def _call(command: list[str], *, limit_s: int, cwd: Path = BENCHES, env: Mapping[str, str] | None = None) -> str:
    """What a command prints; its last words where it fails."""
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=limit_s, check=True)
    except subprocess.CalledProcessError as error:
        words = [line for line in error.stderr.splitlines() if line.strip()]
        raise PeerMissing(words[-1].strip() if words else f"exit status {error.returncode}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(str(error)) from None
    return done.stdout


TENSEAL = Peer(
    name="TenSEAL 0.3.18",
    script="tenseal_ckks",
    cases=("logistic", "mlp-784", "cnn-mnist"),
    installs=(("tenseal==0.3.18", "numpy"),),
)
CONCRETE_ML = Peer(
    name="Concrete ML 1.9.0",
    script="concrete_ml",
    cases=("logistic", "xgboost-50x4", "xgboost-100x6"),
    # Its own pins (torch 2.3, pandas 2.0, setuptools 75 ...) cannot be met together today; these are what it runs with.
    installs=(
        (
            *("torch==2.13.0", "numpy<2", "scikit-learn==1.5.*", "scipy", "pandas", "xgboost==1.6.2"),
            *("onnx<1.18", "onnxruntime<1.20", "onnxconverter-common", "protobuf<6", "skops==0.5.0", "skorch==0.11.0"),
            *("z3-solver==4.13.0", "jsonpickle", "networkx", "importlib-resources", "psutil", "dill", "sympy"),
            *("dependencies==2.0.1", "unfoldNd", "future-annotations", "setuptools<81"),
        ),
        ("--no-deps", "concrete-ml==1.9.0", "concrete-python==2.11.0", "concrete-ml-extensions==0.2.0"),
        ("--no-deps", "hummingbird-ml==0.4.11", "brevitas==0.10.2", "onnxoptimizer==0.3.13"),
    ),
)
SPU = Peer(
    name="SPU 0.9.5 Cheetah",
    script="spu_cheetah",
    cases=("logistic", "xgboost-50x4", "xgboost-100x6", "mlp-784", "cnn-mnist"),
    installs=(("spu==0.9.5", "numpy<2", "jax<=0.4.34", "jaxlib<=0.4.34"),),
)
PEERS = {"tenseal": TENSEAL, "concrete-ml": CONCRETE_ML, "spu": SPU}
