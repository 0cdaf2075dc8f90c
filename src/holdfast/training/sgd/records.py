"""The records of a PyTorch data set, fetched by number."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset, default_collate

from holdfast.errors import DataError, UnsupportedError, UsageError


class Records:
    """Records by number, as inputs and targets.

    Args:
        source: a map-style data set, or tensors with one row for each record. A record is one or more inputs, then
            its target.
        collate: makes a batch of a list of records; for data sets that are not tensors.
        digest: what the ledger is to call the records (sha256:…); computed where they are tensors.

    Raises:
        UnsupportedError: a data set without numbers.
        UsageError: NumPy arrays in place of tensors.
        DataError: tensors that are not one row for each record.
    """

    def __init__(
        self,
        source: Dataset[Any] | Sequence[Tensor],
        *,
        collate: Callable[[list[Any]], Any] = default_collate,
        digest: str = "",
    ) -> None:
        if isinstance(source, IterableDataset) or not (hasattr(source, "__getitem__") and hasattr(source, "__len__")):
            raise UnsupportedError(
                f"a record cannot be drawn by a coin of its own from {type(source).__name__}",
                hint="give a map-style data set, one with __len__ and __getitem__",
            )
        tensors = source.tensors if isinstance(source, TensorDataset) else source
        self._tensors = _checked(tensors) if isinstance(tensors, (tuple, list)) else None
        self._source: Any = source
        self._collate = collate
        self._digest = digest

    def __len__(self) -> int:
        return len(self._tensors[0]) if self._tensors else len(self._source)

    @property
    def digest(self) -> str:
        """What stands for the records in the ledger.

        Raises:
            UsageError: it was not given, and only tensors have one of their own.
        """
        if self._digest:
            return self._digest
        if self._tensors is None:
            raise UsageError(
                "an entry in a privacy ledger needs the digest of the records",
                hint='give it: Records(dataset, digest="sha256:…"), as in the manifest of the data',
            )
        state = hashlib.sha256()
        for tensor in self._tensors:
            state.update(f"{tensor.dtype} {tuple(tensor.shape)};".encode())
            state.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return f"sha256:{state.hexdigest()}"

    def telling(self, most: int) -> NDArray[np.int64]:
        """Two records or more to try a module on: the first, and those with the extreme targets where it is quick."""
        if self._tensors is None or self._tensors[-1].dim() != 1:
            return np.arange(min(most, len(self)))
        targets = self._tensors[-1]
        extremes = [int(targets.argmin()), int(targets.argmax())]
        return np.array([*extremes, *range(min(most - 2, len(self)))], dtype=np.int64)

    def fetch(self, rows: NDArray[np.int64]) -> tuple[tuple[Tensor, ...], Tensor]:
        """(inputs, targets) of these records, each with one row for each.

        Raises:
            DataError: the data set gives no inputs with a target.
        """
        if self._tensors is not None:
            index = torch.from_numpy(rows)
            batch: Any = [tensor.index_select(0, index.to(tensor.device)) for tensor in self._tensors]
        else:
            batch = self._collate(_items(self._source, rows.tolist()))
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise DataError(f"expected records of inputs and a target, got {type(batch).__name__}")
        if not all(isinstance(part, Tensor) and part.dim() > 0 and len(part) == len(rows) for part in batch):
            raise DataError("expected tensors with one row for each record, got a batch of something else")
        return tuple(batch[:-1]), batch[-1]


def records_of(data: Records | Dataset[Any] | Sequence[Tensor]) -> Records:
    """Whatever the user has, as records."""
    return data if isinstance(data, Records) else Records(data)


def _items(source: Any, rows: list[int]) -> list[Any]:
    together = getattr(source, "__getitems__", None)
    return list(together(rows)) if together else [source[row] for row in rows]


def _checked(tensors: Sequence[Any]) -> tuple[Tensor, ...]:
    if arrays := [array for array in tensors if isinstance(array, np.ndarray)]:
        raise UsageError(
            f"expected PyTorch tensors, inputs and then the target, got NumPy arrays such as one of {arrays[0].dtype}",
            hint="make tensors of them: (torch.from_numpy(X), torch.from_numpy(y)), with X.astype(np.float32)",
        )
    if len(tensors) < 2 or not all(isinstance(tensor, Tensor) and tensor.dim() > 0 for tensor in tensors):
        raise DataError("expected two tensors or more, inputs and then the target")
    if len(lengths := {len(tensor) for tensor in tensors}) > 1:
        raise DataError(f"expected tensors with one row for each record, got lengths {sorted(lengths)}")
    return tuple(tensors)
