"""A key service that speaks as Vault's transit engine does, on a real port of this machine."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "s.token"
MOUNT = "/v1/transit"


class _Transit(BaseHTTPRequestHandler):
    """encrypt/KEY and decrypt/KEY, with associated data; the keys are made when they are first named."""

    keys: dict[str, bytes]
    answer: bytes | None

    def do_POST(self) -> None:
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation, name = self.path.removeprefix(MOUNT + "/").split("/")
        if self.headers["X-Vault-Token"] != TOKEN:
            self._reply(403, {"errors": ["permission denied"]})
            return
        cipher = AESGCM(self.keys.setdefault(name, os.urandom(32)))
        associated = base64.b64decode(fields["associated_data"])
        if operation == "encrypt":
            nonce = os.urandom(12)
            sealed = nonce + cipher.encrypt(nonce, base64.b64decode(fields["plaintext"]), associated)
            self._reply(200, {"data": {"ciphertext": "vault:v1:" + base64.b64encode(sealed).decode()}})
            return
        try:
            sealed = base64.b64decode(fields["ciphertext"].removeprefix("vault:v1:"))
            plaintext = cipher.decrypt(sealed[:12], sealed[12:], associated)
            self._reply(200, {"data": {"plaintext": base64.b64encode(plaintext).decode()}})
        except (InvalidTag, ValueError):
            self._reply(400, {"errors": ["cipher: message authentication failed"]})

    def _reply(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode() if self.answer is None else self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def vault(*, answer: bytes | None = None) -> Iterator[str]:
    """The address of the engine's mount. With `answer`, it answers that to everything."""
    handler = type("Transit", (_Transit,), {"keys": {}, "answer": answer})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{MOUNT}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
