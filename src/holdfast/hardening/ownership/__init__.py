"""Ownership: proof, through queries alone, that a model is a copy of one's own.

A *watermark* is trained in: secret inputs whose labels a key draws at random, so that a model made without the key is
right about them only by chance, whatever it is. A *fingerprint* needs no retraining: it tells which of many possible
draws of the training records a model came from, and a model that owes nothing to the owner's cannot know the draw. Of
both, a commitment is published before the claim, so that nobody can choose the inputs afterwards.
"""

from holdfast.hardening.ownership.between import pictures_between, rows_between
from holdfast.hardening.ownership.fingerprint import Fingerprint, choose_fingerprint, fingerprint_model
from holdfast.hardening.ownership.key_file import load_key, save_key
from holdfast.hardening.ownership.result import OwnershipResult
from holdfast.hardening.ownership.suspect import Classify, classify
from holdfast.hardening.ownership.watermark import Watermark, draw_watermark, marked

__all__ = [
    "Classify",
    "Fingerprint",
    "OwnershipResult",
    "Watermark",
    "choose_fingerprint",
    "classify",
    "draw_watermark",
    "fingerprint_model",
    "load_key",
    "marked",
    "pictures_between",
    "rows_between",
    "save_key",
]
