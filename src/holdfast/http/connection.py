"""The client's side of a connection: one request, and its answer or the error that it stands for."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx

from holdfast.errors import InputError, SystemFault, UsageError, WireError
from holdfast.http.statuses import error_of
from holdfast.limits import MAX_REQUEST_BYTES, MAX_REQUESTS_PER_CLIENT, MAX_TOKEN_CHARS


class Connection:
    """Connections to one service with one token. Threads may share it; as many ask at once as the service allows.

    Args:
        url: of the service.
        token: the client's.
        timeout_s: seconds without a sign of life after which the service counts as gone.
        certificate: a PEM file of the authority to check the service's certificate with, in place of the usual ones.

    Raises:
        UsageError: the address or the token cannot be one.
        InputError: the certificate cannot be read.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float, certificate: Path | None) -> None:
        if not 1 <= len(token) <= MAX_TOKEN_CHARS or not token.isascii() or not token.isprintable():
            raise UsageError("expected a token as the service gave it, got something else")
        base = _checked_url(url)
        self.url = str(base)
        self._timeout_s = timeout_s
        self._places = threading.BoundedSemaphore(MAX_REQUESTS_PER_CLIENT)
        self._http = httpx.Client(
            base_url=base,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            verify=_trust(certificate) if base.scheme == "https" else False,
            trust_env=not _is_this_machine(base.host),  # a proxy must not see what is for this machine
        )

    def ask(self, method: str, path: str, content: bytes | None = None, *, media_type: str) -> bytes:
        """Make one request and return the body of its answer.

        Raises:
            HoldfastError: what an answer of status 400 or above stands for; see `statuses`.
            WireError: the answer is too large.
            SystemFault: the service cannot be reached (then nothing was sent), gives no sign of life, or stopped
                before it answered.
        """
        headers = {"Content-Type": media_type} if content is not None else {}
        try:
            with self._places, self._http.stream(method, path, content=content, headers=headers) as response:
                body = _bounded(response)
        except httpx.TimeoutException:
            raise SystemFault(
                f"the service at {self.url} gave no sign of life for {self._timeout_s:g} seconds",
                hint="ask again, or look whether it runs",
            ) from None
        except httpx.ConnectError as error:
            raise SystemFault(
                f"the service at {self.url} cannot be reached: {error}",
                hint="look whether it runs and whether the address is right; nothing was sent and no row charged",
            ) from None
        except httpx.HTTPError as error:
            raise SystemFault(
                f"the service at {self.url} stopped before it answered: {error}",
                hint="look whether it runs, then ask again; rows may have been charged",
            ) from None
        if not response.is_success:
            raise error_of(response.status_code, body)
        return body

    def ask_json(self, method: str, path: str, content: bytes | None = None) -> Any:
        """The same with JSON on both sides.

        Raises:
            WireError: also where the answer is not JSON.
        """
        return self.parsed(self.ask(method, path, content, media_type="application/json"))

    def parsed(self, body: bytes) -> Any:
        """The JSON of an answer.

        Raises:
            WireError: it is not JSON.
        """
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise WireError(f"expected JSON from {self.url}, got something else; is it a Holdfast service?") from None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            raise WireError(f"expected an answer of at most {MAX_REQUEST_BYTES} bytes, got a larger one")
    return bytes(body)


def _checked_url(url: str) -> httpx.URL:
    with contextlib.suppress(httpx.InvalidURL):
        parsed = httpx.URL(url)
        if parsed.scheme in ("http", "https") and parsed.host and not parsed.userinfo:
            return parsed
    raise UsageError(f"expected the service's address as http://HOST:PORT or https://HOST:PORT, got {url[:100]!r}")


def _is_this_machine(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _trust(certificate: Path | None) -> ssl.SSLContext | bool:
    if certificate is None:
        return True
    try:
        return ssl.create_default_context(cafile=certificate)
    except OSError as error:  # ssl.SSLError is one
        raise InputError(f"expected a certificate in PEM at {certificate}, got: {error}") from None
