"""jax_privacy's audit in one run on given counts: canaries, guesses, right guesses.

Its module of audits needs neither JAX nor the rest of the package, so it is loaded by itself. Its public front tries
all thresholds and pays for that (Bonferroni); in its favour the counts go to the functions behind it.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from peers.measure import Arrays, Figures, main


def definition(arrays: Arrays) -> Figures:
    """Lower bounds by Steinke, Nasr and Jagielski's theorem."""
    return _bounds(_auditing()._epsilon_one_run, 0.0, arrays)


def curve(arrays: Arrays) -> Figures:
    """Lower bounds by Mahloujifar, Melis and Chaudhuri's recursion."""
    return _bounds(_auditing()._epsilon_one_run_fdp, 1e-3, arrays)


def _bounds(of: Callable[..., float], least: float, arrays: Arrays) -> Figures:
    """For each row of counts; `least` is where the search begins."""
    error, delta = float(arrays["error"]), float(arrays["delta"])
    return {"epsilons": [float(of(least, *map(int, row), error, delta)) for row in arrays["counts"]]}


def _auditing() -> ModuleType:
    path = Path(sysconfig.get_paths()["purelib"]) / "jax_privacy" / "auditing.py"
    spec = importlib.util.spec_from_file_location("jax_privacy_auditing", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module of audits at {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its frozen dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main({"definition": definition, "curve": curve})
