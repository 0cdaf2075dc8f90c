"""A master key that stays in HashiCorp Vault: its transit engine wraps and unwraps data keys over HTTP.

Two calls (https://developer.hashicorp.com/vault/api-docs/secret/transit), both with the context as associated data:

    POST URL/encrypt/KEY   {"plaintext": …, "associated_data": …}    ->  {"data": {"ciphertext": "vault:v1:…"}}
    POST URL/decrypt/KEY   {"ciphertext": …, "associated_data": …}   ->  {"data": {"plaintext": …}}

Plaintext and associated data are in base64. The key has to be of a type that authenticates: aes256-gcm96, Vault's
default, or chacha20-poly1305. Other key services need a class of their own with the same two methods.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ipaddress
import json
import re
from typing import Any, Final, NoReturn

import httpx

from holdfast.errors import CredentialError, HoldfastError, IntegrityError, SystemFault, UsageError, WireError

_TIMEOUT_S: Final = 10.0
_MAX_ANSWER_BYTES: Final = 64 * 1024
"""Bytes of one answer; a wrapped key takes about 100, an error a few lines."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class VaultTransit:
    """A key of a transit engine as a `KeyService`.

    Args:
        url: where the engine is mounted, as in `https://vault.example:8200/v1/transit`; without TLS, this machine only.
        key: the name of the key.
        token: of the caller; it needs `update` on encrypt/KEY and decrypt/KEY.

    Raises:
        UsageError: the address or the name cannot be one.
    """

    def __init__(self, url: str, key: str, *, token: str) -> None:
        if not _NAME.fullmatch(key):
            raise UsageError(f"expected the name of a key in Vault, got {key[:120]!r}")
        self._key = key
        self._url = _checked(url)
        self._token = token

    def __repr__(self) -> str:
        return f"VaultTransit({self._url}, {self.name}, token not shown)"

    def __reduce__(self) -> NoReturn:
        raise UsageError("a key service does not leave its process; make another one there")

    @property
    def name(self) -> str:
        """What the master key is called in files and messages."""
        return f"vault:{self._key}"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Have Vault encrypt a data key so that it is unwrapped with the same context alone.

        Raises:
            CredentialError: Vault does not let the token.
            SystemFault: Vault cannot be reached, or is in no state to answer.
            WireError: the answer is not one of Vault's.
        """
        return self._ask("encrypt", "ciphertext", plaintext=_base64(key), associated_data=_base64(context)).encode()

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The inverse of `wrap`.

        Raises:
            IntegrityError: Vault did not wrap it with this key and context, or it was changed.
            CredentialError, SystemFault, WireError: as `wrap`.
        """
        ciphertext = wrapped.decode("ascii", errors="replace")
        plaintext = self._ask("decrypt", "plaintext", ciphertext=ciphertext, associated_data=_base64(context))
        try:
            return base64.b64decode(plaintext, validate=True)
        except binascii.Error:
            raise WireError("expected a key in base64 from Vault, got something else") from None

    def _ask(self, operation: str, field: str, **fields: str) -> str:
        url = f"{self._url}/{operation}/{self._key}"
        try:
            with (
                httpx.Client(timeout=_TIMEOUT_S, trust_env=not _is_this_machine(self._url.host)) as client,
                client.stream("POST", url, json=fields, headers={"X-Vault-Token": self._token}) as response,
            ):
                body = _bounded(response)
        except httpx.HTTPError as error:
            raise SystemFault(
                f"Vault at {self._url} cannot be reached: {type(error).__name__}", hint="look whether it runs"
            ) from None
        if not response.is_success:
            raise self._error(operation, response.status_code)
        try:
            answer: Any = json.loads(body)["data"][field]
        except (ValueError, TypeError, KeyError, RecursionError):
            answer = None
        if not isinstance(answer, str):
            raise WireError(f"expected an answer of Vault's transit engine from {self._url}, got something else")
        return answer

    def _error(self, operation: str, status: int) -> HoldfastError:
        """What a status stands for; bodies are not shown, as they may repeat what was sent."""
        if status in (401, 403):
            return CredentialError(f"Vault does not let this token {operation} with {self._key!r}")
        if status == 400 and operation == "decrypt":
            return IntegrityError(f"expected a key wrapped under {self.name}, got one that is not")
        return SystemFault(f"Vault at {self._url} answered with status {status} to {operation} with {self._key!r}")


def _checked(url: str) -> httpx.URL:
    with contextlib.suppress(httpx.InvalidURL):
        parsed = httpx.URL(url.rstrip("/"))
        safe = parsed.scheme == "https" or (parsed.scheme == "http" and _is_this_machine(parsed.host))
        if safe and parsed.host and not parsed.userinfo and not parsed.query:
            return parsed
    raise UsageError(f"expected Vault's transit engine as https://HOST:PORT/v1/transit, got {url[:120]!r}")


def _is_this_machine(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise WireError(f"expected an answer of at most {_MAX_ANSWER_BYTES} bytes from Vault, got a larger one")
    return bytes(body)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
