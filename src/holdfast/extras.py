"""How to install what Holdfast can do without: the packages by name, so that it works for any way Holdfast came here.

They are the extras of pyproject.toml.
"""

from __future__ import annotations

from typing import Final

INSTALL_TORCH: Final = 'pip install "torch>=2.6"'
INSTALL_BOOST: Final = 'pip install "lightgbm>=4.5" "xgboost>=2.1"'
