"""Keys for data at rest: each file has a data key of its own, wrapped under a master key that is not in the file.

The file carries its data key *wrapped*: encrypted by a key service under a master key, for one kind of file of one
project. So a master key is changed without encrypting the data again, a file of one project does not open as one of
another, and the master key may lie where Holdfast cannot read it (`vault`).

    DataKey      a master key in a file or in the environment; wraps by itself
    KeyService   whoever can wrap and unwrap; what a master key elsewhere has to offer
    ProjectKey   a key service, used for one project

Keys are handles: they show their name and nothing else, and refuse to be pickled or copied.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NoReturn, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from holdfast.errors import CredentialError, InputError, IntegrityError, UsageError
from holdfast.files import system_fault, write_atomic

KEY_BYTES: Final = 32
DEFAULT_PROJECT: Final = "default"

Kind = Literal["table", "array"]

_MARKER: Final = "holdfast-data-key-1:"
_NONCE_BYTES: Final = 12
_KEY_FILE_BYTES: Final = 1_024
"""Bytes of a key file; it has one size, 85."""
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyService(Protocol):
    """Wraps data keys under a master key that it does not give away."""

    @property
    def name(self) -> str:
        """What the master key is called in files and messages; no secret, and without a slash."""
        ...

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a data key so that it is unwrapped with the same context alone."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The inverse of `wrap`.

        Raises:
            CredentialError: the caller may not use the master key.
            IntegrityError: it was not wrapped by this service with this context, or was changed.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class WrappedKey:
    """A data key as a file carries it.

    Args:
        key_id: master key, kind of file and project, with slashes between; for messages, as nobody has signed it.
        wrapped: what the key service made of the data key.
    """

    key_id: str
    wrapped: bytes


@dataclass(frozen=True, kw_only=True)
class ProjectKey:
    """A key service, used for one project: what every file at rest is written and read with.

    Args:
        service: has the master key.
        project: 1 to 100 lower-case letters, digits, dots, dashes and underscores. A file of another one is refused.
    """

    service: KeyService
    project: str = DEFAULT_PROJECT

    def __post_init__(self) -> None:
        """Refuse a name that could be taken for another."""
        if not _PROJECT.fullmatch(self.project):
            raise UsageError(
                f"expected a project of 1 to 100 lower-case letters, digits and . _ -, got {self.project[:120]!r}"
            )

    def id(self, kind: Kind) -> str:
        """The key id of files of a kind."""
        return f"{self.service.name}/{kind}/{self.project}"

    def wrap(self, data_key: bytes, kind: Kind) -> WrappedKey:
        """A data key, wrapped for a kind of file."""
        return WrappedKey(key_id=self.id(kind), wrapped=self.service.wrap(data_key, self._context(kind)))

    def unwrap(self, wrapped: WrappedKey, kind: Kind, path: Path) -> bytes:
        """The data key of a file.

        Raises:
            CredentialError: the file needs another master key, or the key service refuses.
            IntegrityError: the file is of another project or kind, or its wrapped key was changed.
        """
        if wrapped.key_id != self.id(kind):
            name, _, rest = wrapped.key_id.partition("/")
            if name == self.service.name:
                raise IntegrityError(
                    f"expected a file of {kind}/{self.project} at {path}, got one of {rest[:120]!r}",
                    hint="name the project that the file was encrypted for",
                )
            raise CredentialError(f"{path} is encrypted under {name[:120]!r}, the key given is {self.service.name}")
        try:
            data_key = self.service.unwrap(wrapped.wrapped, self._context(kind))
        except IntegrityError:
            raise IntegrityError(f"the key in {path} was changed, or wrapped for something else") from None
        if len(data_key) != KEY_BYTES:
            raise IntegrityError(f"expected a data key of {KEY_BYTES} bytes in {path}, got {len(data_key)}")
        return data_key

    def _context(self, kind: Kind) -> bytes:
        return f"{kind}/{self.project}".encode()


class DataKey:
    """A master key of 32 random bytes, kept in a file or in the environment; a `KeyService` by itself.

    What is wrapped with it: a nonce of 12 random bytes, and AES-256-GCM of the data key under a key derived from the
    master key by HKDF-SHA-256, the context being the associated data. Up to 2^32 files may be written under one.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise UsageError(f"expected a data key of {KEY_BYTES} bytes, got {len(secret)}")
        self._secret = secret

    def __repr__(self) -> str:
        return f"DataKey({self.name}, secret not shown)"

    def __reduce__(self) -> NoReturn:
        raise UsageError("a DataKey does not leave its process; save it instead")

    @classmethod
    def generate(cls) -> DataKey:
        """A new key from the operating system's randomness."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def parse(cls, text: str, *, where: str) -> DataKey:
        """Read a key as `save` writes it.

        Raises:
            InputError: it is something else; the sentence names the place and not the text.
        """
        digits = text.strip().removeprefix(_MARKER)
        if not text.strip().startswith(_MARKER) or not re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", digits):
            raise InputError(
                f"expected a data key in {where}: {_MARKER} and {2 * KEY_BYTES} hexadecimal digits, got something else",
                hint="make one with: holdfast protect new-key FILE",
            )
        return cls(bytes.fromhex(digits))

    @classmethod
    def load(cls, path: str | Path) -> DataKey:
        """Read a key from a file that only its owner may read.

        Raises:
            InputError: no file there, or no key in it.
            CredentialError: others than its owner may read or change the file.
            SystemFault: the operating system refuses to read it.
        """
        return cls.parse(_read_private(Path(path)), where=str(path))

    def save(self, path: str | Path) -> None:
        """Write the key to a new file for the owner only; `load` is its inverse.

        Raises:
            UsageError: there is a file already.
            SystemFault: the operating system refuses to write it.
        """
        path = Path(path)
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"expected no file at {path}, found one; a key file is never overwritten", hint="choose another name"
            )
        write_atomic(path, f"{_MARKER}{self._secret.hex()}\n".encode(), private=True)

    @property
    def name(self) -> str:
        """`data-key:` and 16 hexadecimal digits that are derived from the key and tell nothing of it."""
        return f"data-key:{self.derive('holdfast-key-name-1')[:8].hex()}"

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose (HKDF, RFC 5869, without salt); none tells of another, or of the master."""
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(self._secret)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a data key so that it is unwrapped with the same context alone."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self.derive("holdfast-wrap-1")).encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The inverse of `wrap`.

        Raises:
            IntegrityError: it was not wrapped with this key and context, or was changed.
        """
        nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return AESGCM(self.derive("holdfast-wrap-1")).decrypt(nonce, sealed, context)
        except (InvalidTag, ValueError):  # ValueError: too short for a nonce
            raise IntegrityError(f"expected a key wrapped under {self.name}, got one that is not") from None


def _read_private(path: Path) -> str:
    """The text of a small file that only its owner may touch; the open file is asked, so it cannot be swapped."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise CredentialError(
                    f"others than its owner may read or change {path} (mode {stat.S_IMODE(mode):04o})",
                    hint=f"chmod 600 {path}, and take a new key if somebody may have read this one",
                )
            return file.read(_KEY_FILE_BYTES).decode("ascii", errors="replace")
    except FileNotFoundError:
        raise InputError(
            f"expected a data key at {path}, found no file there",
            hint="make one with: holdfast protect new-key FILE",
        ) from None
    except OSError as error:
        raise system_fault(error, f"read {path}") from None
