"""The public keys that clients uploaded for private inference. In memory only: a client uploads again when asked to."""

from __future__ import annotations

import threading
from collections import OrderedDict

from holdfast import limits
from holdfast.errors import InputError
from holdfast.private_inference import ClientKey


class UnknownKeyError(InputError):
    """The service does not hold this key, or no longer; the client is to upload it again."""


class KeyRing:
    """Keys by client and digest. Of too many, the one used longest ago goes: of the client's own first."""

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str], ClientKey] = OrderedDict()
        self._changing = threading.Lock()

    def add(self, client: str, key: ClientKey) -> None:
        """Keep a key for a client."""
        with self._changing:
            self._keys[client, key.digest] = key
            self._keys.move_to_end((client, key.digest))
            own = [place for place in self._keys if place[0] == client]
            if len(own) > limits.MAX_KEYS_PER_CLIENT:
                del self._keys[own[0]]
            if len(self._keys) > limits.MAX_KEYS:
                self._keys.popitem(last=False)

    def get(self, client: str, digest: str) -> ClientKey:
        """The client's own key of this digest.

        Raises:
            UnknownKeyError: the client has uploaded none, or too long ago.
        """
        with self._changing:
            key = self._keys.get((client, digest))
            if key is None:
                raise UnknownKeyError(
                    f"expected the digest of a key that was uploaded, got {digest[:71]}", hint="upload the key again"
                )
            self._keys.move_to_end((client, digest))
            return key
