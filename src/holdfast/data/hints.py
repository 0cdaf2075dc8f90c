"""What a column's name says of it: the words in it, and what those words hint at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


HINTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "identifier": _set(
            "id ids uuid guid nr nbr no number key iban ssn nino email mail phone telephone mobile passport account "
            "card customer client patient user mrn index"
        ),
        "fixed": _set(
            "age sex gender birth birthday birthdate birthyear dob born race ethnicity ethnic nationality citizenship "
            "ancestry"
        ),
        "date of birth": _set("birth birthday birthdate dob born"),
        "person's name": _set("name firstname lastname surname forename fullname vorname nachname nom prenom"),
        "postal address": _set("address street addr adresse strasse"),
        "place": _set("country city town state region native place county province"),
    }
)
"""The words that hint at something, by what they hint at."""

PAIRS: Final = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("low", "high"),
    ("lower", "upper"),
    ("min", "mean"),
    ("mean", "max"),
    ("mean", "worst"),
    ("first", "last"),
    ("start", "end"),
)
"""Words of which the first names the smaller of two columns whose names are otherwise alike."""


def words(name: str) -> tuple[str, ...]:
    """The words of a column's name, in lower case: `PatientId`, `patient_id` and `patient id` have the same two."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]?[a-zà-ÿß]+|[A-ZÀ-Þ]+(?![a-zà-ÿß])|\d+", name))


def has_hint(name: str, hint: str) -> bool:
    """Whether a word of a column's name hints at something; `hint` is a key of `HINTS`."""
    return not HINTS[hint].isdisjoint(words(name))
