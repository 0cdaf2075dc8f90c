"""Columns that look like personal data, by what their values are, and where that is not enough by what they are called.

Every detector is a hint and none a proof of absence: names and addresses are told by their shape, in the spelling
habits of Western Europe and North America; national numbers of other countries are not known. Numbers with check
digits are counted only where the check holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from holdfast.data.check_digits import is_card_number, is_iban, is_ip_address, is_national_number
from holdfast.data.hints import has_hint

PersonalKind = Literal[
    "e-mail address",
    "phone number",
    "IBAN",
    "payment card number",
    "national number",
    "IP address",
    "date of birth",
    "person's name",
    "postal address",
]

SAMPLED_VALUES: Final = 5_000
"""Different values of a column that are looked at, chosen at random where there are more."""

_MAX_CHARS: Final = 1_000  # of a value; a personal detail in a text stands near its beginning or repeats elsewhere
_MOST: Final = 0.8
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b")
_CARD: Final = re.compile(r"(?<![A-Za-z\d.-])\d(?:[ -]?\d){12,18}(?![A-Za-z\d.-])")  # not digits of a digest
_PHONE: Final = re.compile(
    r"(?:\+|00)[1-9][\d ().\-/]{6,20}\d|\(?0\d{1,5}\)?[ \-/][\d \-/]{4,14}\d|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}"
)
_DATE: Final = re.compile(r"(?:18|19|20)\d\d-\d\d?-\d\d?(?:[T ].*)?|\d\d?[./-]\d\d?[./-](?:(?:18|19|20)\d\d|\d\d)")
_WORD: Final = r"[A-ZÀ-ÖØ-Þ](?:[a-zß-öø-ÿ]+|\.)?(?:['\u2019-]?[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]+)?"
_FULL_NAME: Final = re.compile(rf"(?:(?:Mr|Mrs|Ms|Dr|Prof)\.? )?{_WORD},? (?:{_WORD} ){{0,2}}{_WORD}")
_ONE_NAME: Final = re.compile(rf"{_WORD}(?: {_WORD})?")
_STREET: Final = (
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|way|place|rue|via|viale|calle|plaza"
    r"|platz|allee|weg|\w*stra(?:ß|ss)e|\w*str|\w*weg|\w*straat|\w*laan|rua)"
)
_ADDRESS: Final = re.compile(
    rf"\d{{1,5}}[a-z]?,? (?:[\w'\u2019-]+\.? ){{0,3}}{_STREET}\b.*|{_STREET}\.? (?:[\w'\u2019.-]+ ){{0,4}}\d{{1,5}}\b.*"
    rf"|(?:[\w'\u2019]{{1,30}}[ -]){{0,3}}{_STREET}\.? \d{{1,5}}\b.*",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class PersonalColumn:
    """A column that looks like personal data.

    Args:
        name: the column's name.
        kind: what its values look like.
        share: of the different values looked at, how many look so, 0 to 1.
        embedded: whether they stand inside longer texts.
    """

    name: str
    kind: PersonalKind
    share: float
    embedded: bool = False

    def __str__(self) -> str:
        if self.embedded:
            return f"column {self.name!r} has texts that look as if they held {_plural(self.kind)}: {self._part}"
        return f"column {self.name!r} looks like {_plural(self.kind)}: {self._part}"

    @property
    def _part(self) -> str:
        return "under 1% of its values" if self.share < 0.005 else f"{self.share:.0%} of its values"


def find_personal(frame: pd.DataFrame, *, rng: np.random.Generator) -> tuple[PersonalColumn, ...]:
    """The columns of a table that look like personal data, at most one kind for each, in the table's order."""
    found = (personal_kind(frame[name], rng=rng) for name in frame.columns)
    return tuple(column for column in found if column is not None)


def personal_kind(column: pd.Series[Any], *, rng: np.random.Generator) -> PersonalColumn | None:
    """What kind of personal data a column looks like, or None."""
    name = str(column.name)
    values = _sample(column, rng)
    if not values:
        return None
    for kind, looks_so, least_share, least_count in _WHOLE:
        count = sum(map(looks_so, values))
        if count >= least_count and count >= least_share * len(values):
            return PersonalColumn(name=name, kind=kind, share=count / len(values))
    if column.dtype.kind in "iuf":
        return None
    for kind, looks_so in _EMBEDDED:
        if count := sum(map(looks_so, values)):
            return PersonalColumn(name=name, kind=kind, share=count / len(values), embedded=True)
    return _by_name(name, values)


def _by_name(name: str, values: list[str]) -> PersonalColumn | None:
    """Kinds whose values alone are too ordinary: a date or a capitalised word, under a name that says what it is."""
    for kind, pattern in _NAMED:
        share = sum(pattern.fullmatch(value) is not None for value in values) / len(values)
        if share >= _MOST and has_hint(name, kind):
            return PersonalColumn(name=name, kind=kind, share=share)
    count = sum(_FULL_NAME.fullmatch(value) is not None for value in values)
    if len(values) >= 20 and count >= _MOST * len(values) and not has_hint(name, "place"):
        return PersonalColumn(name=name, kind="person's name", share=count / len(values))
    return None


def _sample(column: pd.Series[Any], rng: np.random.Generator) -> list[str]:
    """Different values of a column as text; a float that is whole loses its point."""
    values = column.dropna().unique()
    if column.dtype.kind == "b" or len(values) == 0:
        return []
    if len(values) > SAMPLED_VALUES:
        values = values[np.sort(rng.choice(len(values), SAMPLED_VALUES, replace=False))]
    if column.dtype.kind == "f":
        values = values[np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**63)].astype(np.int64)
    return [str(value)[:_MAX_CHARS].strip() for value in values]


def _fully(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda value: pattern.fullmatch(value) is not None


def _is_phone(value: str) -> bool:
    return 8 <= sum(map(str.isdigit, value)) <= 15 and _PHONE.fullmatch(value) is not None


def _has_iban(value: str) -> bool:
    return any(is_iban(match) for match in _IBAN.findall(value))


def _has_card(value: str) -> bool:
    return any(is_card_number(match) for match in _CARD.findall(value))


# kind, detector, least share and least number of the values that it must hold for. One number in ten passes the Luhn
# check by chance, so weak checks need nearly all values; an e-mail address or an IBAN is no accident.
_WHOLE: Final[tuple[tuple[PersonalKind, Callable[[str], bool], float, int], ...]] = (
    ("e-mail address", _fully(_EMAIL), 0.5, 1),
    ("IBAN", is_iban, 0.5, 1),
    ("payment card number", is_card_number, _MOST, 3),
    ("national number", is_national_number, _MOST, 5),
    ("IP address", is_ip_address, _MOST, 1),
    ("phone number", _is_phone, _MOST, 3),
    ("postal address", _fully(_ADDRESS), _MOST, 3),
)
_NAMED: Final[tuple[tuple[PersonalKind, re.Pattern[str]], ...]] = (
    ("date of birth", _DATE),
    ("person's name", _ONE_NAME),
    ("person's name", _FULL_NAME),
    ("postal address", _ADDRESS),
)
_EMBEDDED: Final[tuple[tuple[PersonalKind, Callable[[str], bool]], ...]] = (
    ("e-mail address", lambda value: _EMAIL.search(value) is not None),
    ("IBAN", _has_iban),
    ("payment card number", _has_card),
)


def _plural(kind: PersonalKind) -> str:
    special = {"date of birth": "dates of birth", "person's name": "names of persons"}
    return special.get(kind, kind + ("es" if kind.endswith("s") else "s"))
