"""Files of earlier versions stay readable, and docs/data-protection.md is enough to read one.

tests/compat/data-1 and tests/vectors/data_protection.json were made once, when the formats were, and are never made
anew. The master key is the bytes 0 to 31; the array file holds five chunks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from holdfast.data import read_table
from holdfast.data.protect import DataKey, ProjectKey, Pseudonyms, open_arrays, write_arrays, write_table

TESTS = Path(__file__).parents[2]
SAMPLE = TESTS / "compat" / "data-1"
VECTORS: dict[str, Any] = json.loads((TESTS / "vectors" / "data_protection.json").read_text())
KEY = ProjectKey(service=DataKey(bytes(range(32))), project="loans")
PIXELS = (np.arange(70_000) % 251).astype(np.uint8).reshape(700, 10, 10)


def test_the_first_formats_stay_readable() -> None:
    text = (SAMPLE / "data.key").read_text()
    assert DataKey.parse(text, where="the sample").name == VECTORS["name"] == KEY.service.name
    assert read_table(SAMPLE / "table.parquet", key=KEY)["income"].tolist() == [10.5, 90.25, 50.5]
    with open_arrays(SAMPLE / "arrays.hfa", key=KEY) as arrays:
        np.testing.assert_array_equal(arrays["pixels"][:], PIXELS)
        assert arrays["y"][699] == 9


def test_the_vectors_hold() -> None:
    wrapped, context = bytes.fromhex(VECTORS["wrapped"]), VECTORS["context"].encode()
    assert KEY.service.unwrap(wrapped, context).hex() == VECTORS["data_key"]
    assert [[word, Pseudonyms(KEY).of(word)] for word, _ in VECTORS["pseudonyms"]] == VECTORS["pseudonyms"]


# By the book: the document, HMAC, AES-GCM, and nothing of ours


def hkdf(info: str) -> bytes:
    """RFC 5869 with an empty salt, 32 bytes: one block."""
    extracted = hmac.digest(bytes(32), bytes(range(32)), "sha256")
    return hmac.digest(extracted, info.encode() + b"\1", "sha256")


def unwrap(wrapped: bytes, key_id: str) -> bytes:
    context = key_id.split("/", 1)[1].encode()
    return AESGCM(hkdf("holdfast-wrap-1")).decrypt(wrapped[:12], wrapped[12:], context)


@pytest.mark.parametrize("made", ["then", "now"])
def test_the_document_is_enough_to_read_arrays(made: str, tmp_path: Path) -> None:
    path = SAMPLE / "arrays.hfa"
    if made == "now":
        path = tmp_path / "arrays.hfa"
        write_arrays(path, {"pixels": PIXELS, "y": np.arange(700) % 10}, key=KEY)
    data = path.read_bytes()
    assert data.startswith(b"holdfast-array-1\n")
    first = int.from_bytes(data[17:21])
    second = int.from_bytes(data[21 + first : 25 + first])
    told = json.loads(data[25 + first : 25 + first + second])
    cipher = AESGCM(unwrap(base64.b64decode(told["wrapped"]), told["id"]))
    stream = data[25 + first + second :]
    chunks = [stream[at : at + 16_400] for at in range(0, len(stream), 16_400)]
    assert len(chunks) == 5
    clear = b"".join(
        cipher.decrypt(number.to_bytes(11) + bytes([number == len(chunks) - 1]), chunk, data[: 21 + first])
        for number, chunk in enumerate(chunks)
    )
    for item in json.loads(data[21 : 21 + first])["arrays"]:
        array = np.frombuffer(clear, item["dtype"], count=int(np.prod(item["shape"]))).reshape(item["shape"])
        clear = clear[array.nbytes :]
        np.testing.assert_array_equal(array, PIXELS if item["name"] == "pixels" else np.arange(700) % 10)
    assert clear == b""


@pytest.mark.parametrize("made", ["then", "now"])
def test_the_document_is_enough_to_read_a_table(made: str, tmp_path: Path) -> None:
    path = SAMPLE / "table.parquet"
    if made == "now":
        path = tmp_path / "table.parquet"
        write_table(read_table(SAMPLE / "table.parquet", key=KEY), path, key=KEY)
    data = path.read_bytes()
    end = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    start = end.index(b'{"keyMaterialType"')
    material = json.loads(end[start : end.index(b"}", start) + 1])
    data_key = unwrap(base64.b64decode(material["wrappedDEK"]), material["masterKeyID"])
    read = pq.ParquetFile(path, decryption_properties=pe.create_decryption_properties(footer_key=data_key)).read()
    assert read.column("income").to_pylist() == [10.5, 90.25, 50.5]


def test_the_document_is_enough_to_make_a_pseudonym() -> None:
    for word, pseudonym in VECTORS["pseudonyms"]:
        text = unicodedata.normalize("NFC", str(word)).strip()
        digest = hmac.digest(hkdf("holdfast-pseudonyms-1/loans"), text.encode(), "sha256")
        assert "p1" + digest[:16].hex() == pseudonym


def test_the_name_of_a_key_is_as_documented() -> None:
    assert VECTORS["name"] == "data-key:" + hkdf("holdfast-key-name-1")[:8].hex()
    assert hashlib.sha256(bytes(range(32))).hexdigest()[:16] not in VECTORS["name"]
