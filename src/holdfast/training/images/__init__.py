"""Private image classifiers: fixed features, so that the budget is spent on a small model. They need PyTorch.

pictures ── ScatteringTransform ──> channels         (fixed, so free)
         ── learn_channels ───────> standardised     (one noisy sum)
         ── PrivateTrainer ───────> a linear model   (DP-SGD)

`DPImageClassifier` in `classifier` is all of it.
"""

from __future__ import annotations

from importlib.util import find_spec

from holdfast.errors import UnsupportedError
from holdfast.extras import INSTALL_TORCH

if find_spec("torch") is None:
    raise UnsupportedError("private image classifiers need PyTorch, which is not installed", hint=INSTALL_TORCH)
