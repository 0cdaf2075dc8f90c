"""Columns that look like personal data are found; columns that merely have large or odd numbers are not.

All numbers here are made: from published examples of each scheme, or by computing the check digits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.data import find_personal, read_table, tumour_frame
from holdfast.data.check_digits import is_card_number, is_iban, is_ip_address, is_national_number
from holdfast.data.protect import DataKey, ProjectKey, Pseudonyms

RNG = np.random.default_rng(0)


def kinds(name: str, values: Any) -> list[str]:
    return [found.kind for found in find_personal(pd.DataFrame({name: values}), rng=np.random.default_rng(0))]


def luhn(prefix: str) -> str:
    """A number of 16 digits that passes Luhn's check."""
    body = prefix + "".join(map(str, RNG.integers(0, 10, 15 - len(prefix))))
    return next(body + str(d) for d in range(10) if is_card_number(body + str(d)))


EXAMPLES: dict[str, tuple[str, list[Any], str]] = {
    "e-mail": ("contact", ["a.b@example.org", "c+d@mail.example.co.uk"], "e-mail address"),
    "iban": ("account", ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"], "IBAN"),
    "card as text": ("pay", ["4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"], "payment card number"),
    "card as number": ("pay", [int(luhn("4")) for _ in range(20)], "payment card number"),
    "us": ("n", [f"{100 + i:03d}-45-678{i}" for i in range(5)], "national number"),
    "uk": ("n", [f"AB 12 34 5{i} C" for i in range(5)], "national number"),
    "ipv4": ("source", ["192.0.2.1", "198.51.100.7"], "IP address"),
    "ipv6": ("source", ["2001:db8::1", "2001:db8:0:1::2"], "IP address"),
    "phone, international": ("n", ["+44 20 7946 0018", "+49 (0)30 901820", "+1-202-555-0123"], "phone number"),
    "phone, national": ("n", ["(202) 555-0123", "202-555-0199", "0151 5550123"], "phone number"),
    "date of birth": ("date_of_birth", ["1970-01-02", "1999-12-31"], "date of birth"),
    "first name": ("First Name", ["Maria", "Jean-Luc", "Ann"], "person's name"),
    "full name": ("patient name", ["Maria Rossi", "Dr. John B. Smith", "Rossi, Maria"], "person's name"),
    "address, english": (
        "a",
        ["221b Baker Street", "1600 Pennsylvania Ave, Washington", "5 High St."],
        "postal address",
    ),
    "address, german": ("a", ["Hauptstraße 5", "Am Waldweg 17, 80331 München", "Lindenstr. 3"], "postal address"),
    "address, romance": ("a", ["Via Roma 12", "Calle Mayor 5, Madrid", "12 rue de la Paix"], "postal address"),
}


@pytest.mark.parametrize(("name", "values", "kind"), EXAMPLES.values(), ids=list(EXAMPLES))
def test_each_kind_is_found_by_its_examples(name: str, values: list[Any], kind: str) -> None:
    assert kinds(name, values) == [kind]


def test_full_names_are_found_without_a_telling_column_name() -> None:
    first, last = ["Maria", "John", "Aisha", "Pierre", "Olga"], ["Rossi", "Smith", "Khan", "Dubois", "Ivanova"]
    assert kinds("c7", [f"{a} {b}" for a in first for b in last]) == ["person's name"]


def test_one_address_in_a_thousand_texts_is_enough() -> None:
    texts = [f"order {i} was late" for i in range(1000)]
    assert kinds("note", texts) == []
    for needle, kind in [
        ("please write to a.b@example.org today", "e-mail address"),
        ("pay to DE89 3704 0044 0532 0130 00 please", "IBAN"),
        ("card 4111-1111-1111-1111 declined", "payment card number"),
    ]:
        found = find_personal(pd.DataFrame({"note": [*texts, needle]}), rng=np.random.default_rng(0))
        assert [(column.kind, column.embedded) for column in found] == [(kind, True)]


ORDINARY: dict[str, tuple[str, Any]] = {
    "small numbers": ("n", RNG.integers(0, 1000, 500)),
    "large numbers": ("n", RNG.integers(10**15, 10**16, 500)),
    "numbers of eleven digits": ("n", RNG.integers(10**10, 10**11, 500)),
    "fractions": ("n", RNG.random(500)),
    "truths": ("n", [True, False] * 50),
    "codes": ("n", [f"A{i:03d}" for i in range(100)]),
    "versions": ("n", ["1.2.3", "10.0.1", "2.4.4"]),
    "words": ("colour", ["red", "blue", "green"]),
    "countries": ("native country", ["United States", "New Zealand", "Great Britain", "Sri Lanka"] * 6),
    "times": ("n", ["2020-01-02", "2021-03-04"]),
    "ranges": ("n", ["[0-10)", "[10-20)", "100-200"]),
    "number as text": ("n", [str(i) for i in RNG.integers(10**9, 10**10, 200)]),
    "nothing": ("n", [None, None]),
}


@pytest.mark.parametrize(("name", "values"), ORDINARY.values(), ids=list(ORDINARY))
def test_ordinary_columns_are_left_alone(name: str, values: Any) -> None:
    assert kinds(name, values) == []


def test_tumour_data_has_no_personal_column() -> None:
    assert find_personal(tumour_frame(), rng=np.random.default_rng(0)) == ()


@pytest.mark.parametrize(
    "name",
    [
        "uci_default_credit_card.csv.gz",
        "uci_diabetes_130us_readmission.csv.gz",
        "ulb_creditcard_sample.csv.gz",
        "phishing_url_hannousse_B_05_2020.csv.gz",
    ],
)
def test_real_anonymous_tables_raise_no_false_alarm(real_data: Callable[[str], Path], name: str) -> None:
    assert find_personal(read_table(real_data(name)), rng=np.random.default_rng(0)) == ()


class TestCheckDigits:
    IBANS = ("GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606", "NO9386011117947")
    CARDS = ("4111111111111111", "5500000000000004", "340000000000009", "6011000000000004", "2223003122003222")
    # Germany: the number in the Federal Central Tax Office's description; Spain, France, Italy: documentation examples.
    NATIONAL = ("86095742719", "47036892816", "12345678Z", "X1234567L", "255081416802538", "RSSMRA85T10A562S")

    @pytest.mark.parametrize("text", IBANS)
    def test_ibans_hold_and_no_other_last_digit_does(self, text: str) -> None:
        assert is_iban(text)
        assert is_iban(f"{text[:4]} {text[4:]}".lower())
        assert not any(is_iban(text[:-1] + digit) for digit in "0123456789" if digit != text[-1])

    @pytest.mark.parametrize("text", CARDS)
    def test_cards_hold_and_no_other_last_digit_does(self, text: str) -> None:
        assert is_card_number(text)
        assert not any(is_card_number(text[:-1] + digit) for digit in "0123456789" if digit != text[-1])

    @pytest.mark.parametrize("text", NATIONAL)
    def test_national_numbers_hold_and_no_other_last_sign_does(self, text: str) -> None:
        assert is_national_number(text)
        signs = "0123456789" if text[-1].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        assert not any(is_national_number(text[:-1] + sign) for sign in signs if sign != text[-1])

    @pytest.mark.parametrize("text", ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000"])
    def test_social_security_numbers_that_are_never_issued_do_not_count(self, text: str) -> None:
        assert not is_national_number(text)

    @pytest.mark.parametrize("text", ["1.2.3.999", "1.2.3", "12:34", "12:34:56", "::g", "1.2.3.4.5"])
    def test_what_only_looks_like_an_address_of_the_internet_does_not_count(self, text: str) -> None:
        assert not is_ip_address(text)

    @given(st.text(max_size=40))
    def test_any_text_is_judged_without_an_error(self, text: str) -> None:
        for check in (is_iban, is_card_number, is_ip_address, is_national_number):
            assert check(text) in (True, False)


@pytest.mark.parametrize(
    "text", ["a" * 5_000, "1" * 5_000, "a@" * 2_500, "A1 " * 1_700, "Aa " * 1_700, "1-" * 2_500, "strasse " * 600]
)
def test_hostile_texts_do_not_stall_the_search(text: str) -> None:
    """A pattern that backtracks without end would never come back; 200 such texts must."""
    assert isinstance(kinds("name", [text + str(i) for i in range(200)]), list)


def test_pseudonyms_and_digests_are_not_taken_for_card_numbers() -> None:
    """Some hold a run of digits between letters that passes Luhn's check; a card number in a text stands alone."""
    key = ProjectKey(service=DataKey(bytes(32)), project="loans")
    names = Pseudonyms(key).replace(pd.DataFrame({"id": range(5_000)}), ["id"])["id"]
    card = luhn("4")
    assert kinds("ref", [*names, f"{'a' * 8}{card}{'b' * 8}", f"p1{card}"]) == []
    assert kinds("ref", [*names, f"paid by {card}, thanks"]) == ["payment card number"]
