"""Pictures that share much of their content with an earlier one, told by keyed hashes of stretches of their pixels.

The fingerprints are those of Blacklight (Li et al., USENIX Security 2022): pixels are rounded to coarse levels, every
stretch of successive pixels is hashed with a secret, and the smallest hashes are kept. Two pictures that differ in a
few places share most of them, wherever the difference lies; an attacker who does not know the secret cannot tell which
stretches count. In place of SHA-256 stands a random linear map modulo 2^64, whose upper half is kept: it is universal
(Dietzfelbinger 1996), which is enough because nobody outside ever sees a hash.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import shake_256
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from holdfast.data import Matrix
from holdfast.detection.statistic import check_window
from holdfast.detection.views import PictureView, Queries
from holdfast.errors import UsageError

_STEP: Final = 50
"""Brightness levels, of 256, that are rounded to one (the paper's choice)."""
_STRETCH: Final = 20
"""Successive pixels of one hash (the paper's choice for small pictures)."""
_KEPT: Final = 50
"""Hashes kept of a picture (the paper's choice)."""
_SECRET_BYTES: Final = 32
_ABSENT: Final = -1.0
"""In the place of a hash where a picture has fewer than `_KEPT` different stretches."""


@dataclass(frozen=True, kw_only=True)
class Fingerprints:
    """How many of 50 hashes two pictures of a window share, at most.

    Args:
        view: of the pictures.
        window: queries compared with one another.
        secret: 32 bytes from the operating system, drawn when none are given. Its JSON contains them: keep it like a
            key.
    """

    kind: ClassVar[str] = "fingerprints"
    finding: ClassVar[str] = "hold two pictures that share most of their pixels: a decision is searched for"
    view: PictureView
    window: int = 8
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(_SECRET_BYTES), repr=False)

    def __post_init__(self) -> None:
        """Refuse pictures smaller than a stretch, secrets of another length, and a window without pairs."""
        check_window(self.window)
        if not isinstance(self.view, PictureView):
            raise UsageError(f"fingerprints are of pictures, got a {type(self.view).__name__}")
        if self.view.height * self.view.width_pixels * self.view.channels < _STRETCH:
            raise UsageError(f"fingerprints need pictures of at least {_STRETCH} values")
        if len(self.secret) != _SECRET_BYTES:
            raise UsageError(f"expected a secret of {_SECRET_BYTES} bytes, got {len(self.secret)}")

    @property
    def width(self) -> int:
        """Numbers kept of one query."""
        return _KEPT

    def kept(self, queries: Queries) -> Matrix:
        """(n, 50) the smallest different hashes of each picture, whole numbers below 2^32 as float64."""
        self.view.check(queries)
        weights, shift = self._map()
        found = np.full((len(queries), _KEPT), _ABSENT)
        for row, picture in enumerate(queries):
            levels = (picture.reshape(-1) // _STEP).astype(np.uint64)
            stretches = np.lib.stride_tricks.sliding_window_view(levels, _STRETCH)
            hashes = np.unique((stretches @ weights + shift) >> np.uint64(32))[:_KEPT]
            found[row, : len(hashes)] = hashes
        return found

    def scores(self, windows: Matrix) -> Matrix:
        """(k, window, 50) to (k,) the largest number of hashes that two pictures share."""
        return np.array([_most_shared(window) for window in windows], dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """All that it is, the secret included."""
        return {"kind": self.kind, "view": self.view.to_json(), "window": self.window, "secret": self.secret.hex()}

    @classmethod
    def from_fields(cls, view: PictureView, fields: Mapping[str, Any]) -> Fingerprints:
        """From what `to_json` wrote, the view read already."""
        return cls(view=view, window=fields["window"], secret=bytes.fromhex(fields["secret"]))

    def _map(self) -> tuple[npt.NDArray[np.uint64], np.uint64]:
        """The secret's linear map: a weight for each pixel of a stretch, and a shift."""
        drawn = np.frombuffer(shake_256(self.secret).digest(8 * (_STRETCH + 1)), dtype="<u8").astype(np.uint64)
        return drawn[:-1], drawn[-1]


def _most_shared(window: Matrix) -> int:
    """The largest number of hashes in common of two rows; each row's own are different from one another."""
    values, place = np.unique(window, return_inverse=True)
    has = np.zeros((len(window), len(values)), dtype=np.float32)
    has[np.arange(len(window))[:, None], place.reshape(window.shape)] = 1
    has[:, values == _ABSENT] = 0
    shared = has @ has.T
    np.fill_diagonal(shared, 0)
    return int(shared.max())
