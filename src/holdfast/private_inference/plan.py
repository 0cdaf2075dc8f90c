"""A private plan: the public half that the client has, and the secret half that the server keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import HoldfastError, IntegrityError, WireError
from holdfast.he import SEED_BYTES
from holdfast.private_inference.program import Affine, LinearProgram, NetworkProgram, Program, TreeProgram
from holdfast.private_inference.public_plan import PublicPlan
from holdfast.private_inference.tensors import read_tensors, write_tensors

SECRET_FORMAT: Final = "holdfast-private-plan-secret-2"

_Arrays = dict[str, NDArray[Any]]
_Texts = dict[str, str]


@dataclass(frozen=True, eq=False, kw_only=True)
class SecretPlan:
    """The secret half: the model as arithmetic, and the salt of the public half's commitment.

    Args:
        program: the model.
        salt: 32 bytes, without which the commitment could be used to test a guess of the model.
    """

    program: Program = field(repr=False)
    salt: bytes = field(repr=False)

    @property
    def commitment(self) -> str:
        """Salted SHA-256 of the program."""
        return "sha256:" + hashlib.sha256(self.salt + self._bytes({})).hexdigest()

    def to_bytes(self) -> bytes:
        """The secret half as safetensors, in the clear; `from_bytes` is its inverse."""
        return self._bytes({"salt": self.salt.hex()})

    def _bytes(self, extra: _Texts) -> bytes:
        kind = type(self.program).__name__
        arrays, texts = _WRITERS[kind](self.program)
        return write_tensors(arrays, {"format": SECRET_FORMAT, "program": kind, **texts, **extra})

    @classmethod
    def from_bytes(cls, data: bytes) -> SecretPlan:
        """Read a secret half back.

        Raises:
            WireError: it is not one, in the format that this version knows.
        """
        arrays, texts = read_tensors(data)
        if texts.get("format") != SECRET_FORMAT:
            raise WireError(
                f"expected the secret half of a plan in the format {SECRET_FORMAT}, got {texts.get('format')!r:.80}",
                hint="seal the model again",
            )
        try:
            plan = cls(program=_READERS[texts["program"]](arrays, texts), salt=bytes.fromhex(texts["salt"]))
        except (KeyError, ValueError, TypeError, IndexError, HoldfastError) as error:
            raise WireError(f"the secret half of the plan is malformed: {error}") from None
        if len(plan.salt) != SEED_BYTES or plan.to_bytes() != data:
            raise WireError("the secret half of the plan is malformed: it has fields too many, or a salt of other size")
        return plan


@dataclass(frozen=True, eq=False, kw_only=True)
class PrivatePlan:
    """Both halves of one model's plan, checked against each other.

    Raises:
        IntegrityError: the halves are not of one model.
    """

    public: PublicPlan
    secret: SecretPlan

    def __post_init__(self) -> None:
        """Refuse halves that do not belong together."""
        if self.secret.commitment != self.public.commitment:
            raise IntegrityError("the public and the secret half of the plan are of different models")

    def clear_scores(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores (rows, outputs) that the private path gives, computed in the clear.

        Exact for trees, but for encryption's stated error for all others.

        Raises:
            DataError: the rows are not what the plan's encoding takes.
        """
        return clear_scores(self.secret.program, self.public.encoding.encode(X))


def clear_scores(program: Program, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores (rows, outputs) of a program for encoded rows (rows, width)."""
    if isinstance(program, TreeProgram):
        return program.clear(values.astype(np.int64)) / program.scale
    return program.clear(values)


def _write_linear(program: LinearProgram) -> tuple[_Arrays, _Texts]:
    return {"weights": program.weights, "intercept": program.intercept}, {}


def _read_linear(arrays: _Arrays, texts: _Texts) -> LinearProgram:
    del texts
    return LinearProgram(weights=arrays["weights"], intercept=arrays["intercept"])


def _write_trees(program: TreeProgram) -> tuple[_Arrays, _Texts]:
    names = ("selection", "offset", "values", "intercept")
    texts = {"depth": str(program.depth), "scale": float(program.scale).hex()}
    return {name: getattr(program, name) for name in names}, texts


def _read_trees(arrays: _Arrays, texts: _Texts) -> TreeProgram:
    return TreeProgram(**arrays, depth=int(texts["depth"]), scale=float.fromhex(texts["scale"]))


def _write_network(program: NetworkProgram) -> tuple[_Arrays, _Texts]:
    arrays: _Arrays = {"bounds": np.array(program.bounds, dtype=np.float64)}
    arrays["blocks"] = np.array([layer.block for layer in program.layers], dtype=np.int64)
    if program.input_map is not None:
        arrays["input_map"] = program.input_map
    for i, layer in enumerate(program.layers):
        arrays |= {f"{i}.weights": layer.weights, f"{i}.bias": layer.bias}
    return arrays, {}


def _read_network(arrays: _Arrays, texts: _Texts) -> NetworkProgram:
    del texts
    layers = tuple(
        Affine(weights=arrays[f"{i}.weights"], bias=arrays[f"{i}.bias"], block=block)
        for i, block in enumerate(arrays["blocks"].tolist())
    )
    bounds = tuple(arrays["bounds"].tolist())
    return NetworkProgram(layers=layers, bounds=bounds, input_map=arrays.get("input_map"))


_WRITERS: Final[Mapping[str, Callable[[Any], tuple[_Arrays, _Texts]]]] = MappingProxyType(
    {"LinearProgram": _write_linear, "TreeProgram": _write_trees, "NetworkProgram": _write_network}
)
_READERS: Final[Mapping[str, Callable[[_Arrays, _Texts], Program]]] = MappingProxyType(
    {"LinearProgram": _read_linear, "TreeProgram": _read_trees, "NetworkProgram": _read_network}
)
