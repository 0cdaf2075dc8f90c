"""Pseudonyms for identifiers: the same within a project, so that tables can be joined; unlinkable between projects.

A pseudonym is `p1` and 32 hexadecimal digits: 128 bits of HMAC-SHA-256 (RFC 2104) of the identifier under a key that
HKDF derives from the master key for the project. Among 20 million identifiers, two share one with a probability below
2^-80. Without the master key nobody can test a guess at an identifier, short as it may be; with it anybody can,
so pseudonymised data is still personal data (GDPR, Article 4(5) and Recital 26).

What counts as one identifier:

* a text: in Unicode's form NFC, without blanks around it; upper and lower case differ, and so do "007" and "7";
* a whole number: the text of its decimal digits, so 7, 7.0 and "7" are one identifier;
* no value, and a text of blanks: stay without a value.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import numpy as np
import pandas as pd

from holdfast.data.protect.keys import DataKey, ProjectKey
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.limits import MAX_WHOLE

_MARKER: Final = "p1"
_KEPT_BYTES: Final = 16
"""Bytes of the digest that are kept."""


class Pseudonyms:
    """The pseudonyms of one project.

    Args:
        key: the master key, and whose pseudonyms; the same master key and another project give others.

    Raises:
        UnsupportedError: the master key lies in a key service, which wraps keys and computes nothing else.
    """

    __slots__ = ("_secret",)

    def __init__(self, key: ProjectKey) -> None:
        if not isinstance(key.service, DataKey):
            raise UnsupportedError(
                f"pseudonyms need a master key from a file or the environment, {key.service.name} is neither",
                hint="make one for pseudonyms alone: holdfast protect new-key FILE",
            )
        self._secret = key.service.derive(f"holdfast-pseudonyms-1/{key.project}")

    def __repr__(self) -> str:
        return "Pseudonyms(secret not shown)"

    def __reduce__(self) -> NoReturn:
        raise UsageError("pseudonyms do not leave their process; make them from the key in the other one")

    def of(self, identifier: object) -> str | None:
        """The pseudonym of one identifier; None where there is none.

        Raises:
            DataError: neither a text nor a whole number.
        """
        text = _text(identifier)
        return None if text is None else self._pseudonym(text)

    def replace(self, frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
        """The table with the identifiers of these columns replaced.

        Raises:
            DataError: a column is not there, or holds something else than texts and whole numbers.
        """
        frame = frame.copy(deep=False)
        for name in columns:
            if name not in frame.columns:
                raise DataError(f"expected a column {name!r} to pseudonymise, the table has none of that name")
            try:
                frame[name] = self._column(frame[name])
            except DataError as error:
                raise DataError(f"column {name!r}: {error}") from None
        return frame

    def _column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        texts = [_text(identifier) for identifier in column]
        known = {text: None if text is None else self._pseudonym(text) for text in set(texts)}
        return pd.Series([known[text] for text in texts], index=column.index, dtype=pd.StringDtype())

    def _pseudonym(self, text: str) -> str:
        return _MARKER + hmac.digest(self._secret, text.encode(), "sha256")[:_KEPT_BYTES].hex()


def _text(identifier: object) -> str | None:
    """The one text of an identifier; None where there is none."""
    if identifier is None or identifier is pd.NA or identifier is pd.NaT:
        return None
    match identifier:
        case str():
            return unicodedata.normalize("NFC", identifier).strip() or None
        case int() | np.integer() if not isinstance(identifier, bool):
            return str(int(identifier))
        case float() | np.floating():
            return _digits(float(identifier))
    raise DataError(f"expected identifiers that are texts or whole numbers, got {type(identifier).__name__}")


def _digits(number: float) -> str | None:
    """The digits of a whole number that is stored as a float, as pandas does where a value is missing."""
    if np.isnan(number):
        return None
    if not number.is_integer() or abs(number) > MAX_WHOLE:
        raise DataError(
            f"expected identifiers that are texts or whole numbers up to {MAX_WHOLE}, got another number",
            hint="read the column as text",
        )
    return str(int(number))
