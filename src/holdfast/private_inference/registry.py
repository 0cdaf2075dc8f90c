"""The kinds of encodings, layouts and circuits, by the name that a plan's JSON has for them.

A class is imported when a plan asks for it: whoever asks a linear model does not wait for trees and networks.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from holdfast.errors import WireError
from holdfast.private_inference.circuit import Circuit, Encoding, Layout
from holdfast.private_inference.program import Program

_ENCODINGS: Final = {
    "numeric": ("encoding", "NumericEncoding"),
    "bins": ("trees", "BinEncoding"),
    "pixels": ("networks", "PixelEncoding"),
}
_LAYOUTS: Final = {
    "coefficients": ("coefficients", "CoefficientLayout"),
    "samples": ("slots", "SampleLayout"),
    "slots": ("slots", "SlotLayout"),
}
_CIRCUITS: Final = {
    ("CoefficientLayout", "LinearProgram"): ("coefficients", "CoefficientCircuit"),
    ("SampleLayout", "NetworkProgram"): ("slots", "SampleCircuit"),
    ("SlotLayout", "TreeProgram"): ("slots", "TreeCircuit"),
    ("SlotLayout", "NetworkProgram"): ("slots", "NetworkCircuit"),
}


def encoding_from_json(document: object) -> Encoding:
    """An encoding of any kind.

    Raises:
        WireError: it is malformed, or of a kind that this version does not know.
    """
    encoding: Encoding = _known(document, _ENCODINGS, what="encoding").from_json(document)
    return encoding


def layout_from_json(document: object) -> Layout:
    """A layout of any kind.

    Raises:
        WireError: it is malformed, insecure, or of a kind that this version does not know.
    """
    layout: Layout = _known(document, _LAYOUTS, what="layout").from_json(document)
    return layout


def circuit_of(layout: Layout, program: Program) -> Circuit:
    """The circuit that computes a program in a layout.

    Raises:
        WireError: the program does not go with the layout.
    """
    key = (type(layout).__name__, type(program).__name__)
    if key not in _CIRCUITS:
        raise WireError(f"expected a program that goes with a {key[0]}, got a {key[1]}")
    circuit: Circuit = _load(*_CIRCUITS[key])(layout, program)
    return circuit


def _known(document: object, table: dict[str, tuple[str, str]], *, what: str) -> Any:
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(kind, str) or kind not in table:
        raise WireError(
            f"expected an {what} of the kind {', '.join(table)} in the public plan, got {kind!r:.50}"
            if what == "encoding"
            else f"expected a {what} of the kind {', '.join(table)} in the public plan, got {kind!r:.50}"
        )
    return _load(*table[kind])


def _load(module: str, name: str) -> Any:
    return getattr(import_module(f"holdfast.private_inference.{module}"), name)
