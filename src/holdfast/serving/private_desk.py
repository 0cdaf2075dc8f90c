"""What a service needs to answer encrypted rows: the plan's evaluator, and the clients' keys."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from holdfast.private_inference import Evaluator, PrivatePlan
from holdfast.private_inference.wire import query_bytes
from holdfast.serving.key_files import KeyFiles
from holdfast.serving.keyring import KeyRing
from holdfast.serving.private_plan import telling_rows
from holdfast.serving.private_tally import PrivateTally


class PrivateDesk:
    """The private side of one model.

    Args:
        plan: the model's.
        keys: the folder of clients' keys; without it, a temporary one that ends with this object.

    Attributes:
        evaluator: computes on ciphertexts.
        keys: the key sets that clients uploaded.
        tally: counts the rows, up to as many as may tell all numbers of the model.
        max_query_bytes: of the largest query.
    """

    def __init__(self, plan: PrivatePlan, *, keys: Path | None) -> None:
        folder = keys or Path(tempfile.mkdtemp(prefix="holdfast-keys-"))
        self._forget = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True) if keys is None else None
        self.evaluator = Evaluator(plan)
        self.keys = KeyRing(KeyFiles(folder), evaluator=self.evaluator)
        self.tally = PrivateTally(enough=telling_rows(plan))
        self.max_query_bytes = max(query_bytes(layout, layout.max_rows) for layout in plan.public.layouts.values())

    def close(self) -> None:
        """Remove what was temporary."""
        if self._forget is not None:
            self._forget()
