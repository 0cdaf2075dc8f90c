"""Differentially private SGD for PyTorch modules. It needs PyTorch; nothing outside this folder does without asking."""

from __future__ import annotations

from importlib.util import find_spec

from holdfast.errors import UnsupportedError
from holdfast.extras import INSTALL_TORCH

if find_spec("torch") is None:
    raise UnsupportedError(
        "training a module with differential privacy needs PyTorch, which is not installed",
        hint=INSTALL_TORCH,
    )
