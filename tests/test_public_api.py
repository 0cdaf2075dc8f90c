"""The public names: one import path each, loaded when first used."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast

SOURCE = Path(holdfast.__file__)
ROOMS = sorted(path.parent.name for path in SOURCE.parent.glob("*/__init__.py"))

OF_TORCH = {
    "DPImageClassifier",
    "DPMLPClassifier",
    "PixelChange",
    "PrivateTrainer",
    "certify_robustness",
    "harden_pictures",
    "picture_evasion",
    "transform_evasion",
}


def names_for_type_checkers() -> set[str]:
    """The names that the TYPE_CHECKING block of the package imports."""
    tree = ast.parse(SOURCE.read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_all_is_sorted_and_is_what_type_checkers_see() -> None:
    assert holdfast.__all__ == sorted(holdfast.__all__)
    assert set(holdfast.__all__) - {"__version__"} == names_for_type_checkers()


@pytest.mark.parametrize("name", holdfast.__all__)
def test_every_public_name_loads_and_says_what_it_promises(name: str) -> None:
    if name in OF_TORCH:
        pytest.importorskip("torch")
    value = getattr(holdfast, name)
    if name != "__version__":
        assert (inspect.getdoc(value) or "").split("\n")[0].endswith((".", "?", ":")), name


@pytest.mark.parametrize(
    "name", [name for name in holdfast.__all__ if name not in OF_TORCH and inspect.isfunction(getattr(holdfast, name))]
)
def test_options_of_public_functions_are_keyword_only(name: str) -> None:
    parameters = inspect.signature(getattr(holdfast, name)).parameters.values()
    options = [p.name for p in parameters if p.default is not p.empty and p.kind is not p.KEYWORD_ONLY]
    assert options == [], f"{name} has options that are not keyword-only"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_lists_what_it_offers(room: str) -> None:
    module = importlib.import_module(f"holdfast.{room}")
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
    assert module.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        holdfast.nonsense  # noqa: B018


@pytest.mark.parametrize("statement", ["import holdfast", "import holdfast.cli", "import holdfast.cli.app"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    heavy = "numpy pandas sklearn scipy onnx onnxruntime pyarrow cryptography matplotlib dp_accounting starlette httpx"
    program = f"import sys; {statement}; print([n for n in {heavy.split()} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
