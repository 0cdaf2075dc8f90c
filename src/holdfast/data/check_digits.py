"""Numbers that carry a check: bank accounts, payment cards, national numbers, network addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final

_IBAN_SHAPE: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_CARD_SHAPE: Final = re.compile(r"(?:4|5[1-5]|2[2-7]|3[4-7]|30|38|39|6)\d{11,18}")
_SPANISH_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_ITALIAN_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21] * 2 + [2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23],
        strict=True,
    )
)


def is_iban(text: str) -> bool:
    """Whether a text is an IBAN: ISO 13616, checked modulo 97 (ISO 7064)."""
    compact = text.replace(" ", "").upper()
    if not _IBAN_SHAPE.fullmatch(compact):
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def is_card_number(text: str) -> bool:
    """Whether a text is a payment card number: a prefix in use, 13 to 19 digits, checked by Luhn (ISO/IEC 7812-1)."""
    compact = re.sub(r"[ -]", "", text)
    if not _CARD_SHAPE.fullmatch(compact):
        return False
    digits = [int(c) for c in reversed(compact)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2])) % 10 == 0


def is_ip_address(text: str) -> bool:
    """Whether a text is an IPv4 address in four parts, or an IPv6 address."""
    if text.count(".") != 3 and text.count(":") < 2:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_national_number(text: str) -> bool:
    """Whether a text is a national number of the US, UK, Germany, Spain, France or Italy, check digits included."""
    compact = text.strip().upper()
    return any(is_one(compact) for is_one in _NATIONAL)


def _is_us(text: str) -> bool:
    """Social security number. It has no check digit: the dashes tell it, and the areas that are never issued."""
    return re.fullmatch(r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}", text) is not None


def _is_uk(text: str) -> bool:
    """National insurance number. It has no check digit: the letters tell it."""
    return re.fullmatch(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", text) is not None


def _is_german(text: str) -> bool:
    """Tax identification number: 11 digits, of the first ten one occurs two or three times, ISO 7064 mod 11,10."""
    if not re.fullmatch(r"[1-9]\d{10}", text):
        return False
    if sorted(text[:10].count(d) for d in set(text[:10]))[-2:] not in ([1, 2], [1, 3]):
        return False
    product = 10
    for digit in text[:10]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(text[10])


def _is_spanish(text: str) -> bool:
    """DNI or NIE: seven or eight digits and a letter, modulo 23."""
    if not re.fullmatch(r"(?:\d{8}|[XYZ]\d{7})[A-Z]", text):
        return False
    number = int(text[:-1].translate(str.maketrans("XYZ", "012")))
    return _SPANISH_LETTERS[number % 23] == text[-1]


def _is_french(text: str) -> bool:
    """INSEE number: 13 digits and two that check modulo 97; sex and month of birth must be possible."""
    compact = text.replace(" ", "")
    if not re.fullmatch(r"[12]\d\d(?:0[1-9]|1[0-2]|[2-9]\d)\d{10}", compact):
        return False
    return 97 - int(compact[:13]) % 97 == int(compact[13:])


def _is_italian(text: str) -> bool:
    """Codice fiscale: 16 letters and digits, the last a check over odd and even places."""
    if not re.fullmatch(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", text):
        return False
    odd = sum(_ITALIAN_ODD[c] for c in text[0:15:2])
    even = sum(int(c) if c.isdigit() else ord(c) - ord("A") for c in text[1:15:2])
    return chr(ord("A") + (odd + even) % 26) == text[15]


_NATIONAL: Final[tuple[Callable[[str], bool], ...]] = (_is_us, _is_uk, _is_german, _is_spanish, _is_french, _is_italian)
