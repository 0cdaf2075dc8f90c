"""Checkpoints of a private training: all that it needs to go on, and none of its secrets.

No key of a sampler or of noise is in one, as none outlives its step. The file holds weights that are released and an
optimizer's state that follows from them; it is a PyTorch archive, read back without running anything in it.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from holdfast import limits
from holdfast.errors import UsageError, WireError
from holdfast.files import read_bytes, write_atomic
from holdfast.training.account.events import SampledSums
from holdfast.training.sgd.settings import PrivateSettings

FORMAT: Final = "holdfast-dp-sgd-1"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One moment of a run.

    Args:
        run: 16 random bytes, in hexadecimal, that name the run.
        step: steps that made these weights.
        records: in the data set.
        settings: of the run.
        plan: the event that the whole run is, as it was accounted before the first step.
        link: of the ledger, at which the run was entered; empty without a ledger.
        module: `state_dict` of the module.
        optimizer: `state_dict` of the optimizer.
        average: state of the averaged weights; empty without.
        randomness: a state of PyTorch's generator, for dropout, that tells of nothing before it.
    """

    run: str
    step: int
    records: int
    settings: PrivateSettings
    plan: SampledSums
    link: str
    module: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    average: Mapping[str, Any]
    randomness: torch.Tensor

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all, for its owner alone to read."""
        document = {name: getattr(self, name) for name in self.__dataclass_fields__}
        document |= {"format": FORMAT, "settings": asdict(self.settings), "plan": asdict(self.plan)}
        archive = io.BytesIO()
        torch.save(document, archive)
        write_atomic(path, archive.getvalue(), private=True)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint back.

        Raises:
            InputError: no such file, or too large.
            WireError: not a checkpoint of a format that this version knows.
        """
        data = read_bytes(path, max_bytes=limits.MAX_CHECKPOINT_BYTES, what="a checkpoint")
        if not zipfile.is_zipfile(io.BytesIO(data)):
            raise WireError(f"expected a checkpoint at {path}, got a file that is none or is damaged")
        try:
            document = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
        except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
            raise WireError(f"expected a checkpoint at {path}, got a file that is none or is damaged") from None
        fields = {*cls.__dataclass_fields__, "format"}
        if not isinstance(document, dict) or set(document) != fields or document["format"] != FORMAT:
            raise WireError(f"expected a checkpoint in the format {FORMAT} at {path}")
        try:
            settings, plan = PrivateSettings(**document["settings"]), SampledSums(**document["plan"])
        except (TypeError, UsageError) as error:
            raise WireError(
                f"expected a checkpoint at {path}, got one with settings that mean nothing: {error}"
            ) from None
        del document["format"]
        return cls(**document | {"settings": settings, "plan": plan})

    def check(self, *, settings: PrivateSettings, records: int, width: int, module: nn.Module) -> None:
        """Refuse to go on with other settings, records or shapes than those of the run.

        Raises:
            UsageError: saying what differs.
        """
        if settings != self.settings:
            raise UsageError(f"expected the settings of the run, {self.settings}, got {settings}")
        if records != self.records:
            raise UsageError(f"expected the {self.records} records of the run, got {records}")
        mine = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        theirs = {name: tuple(tensor.shape) for name, tensor in self.module.items()}
        if width != self.plan.width or mine != theirs:
            different = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
            raise UsageError(
                f"expected the module of the run, got one that differs in {', '.join(different) or 'what it trains'}"
            )
