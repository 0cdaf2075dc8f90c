"""Keys: none is taken for another, none shows its secret, none is lost."""

from __future__ import annotations

import base64
import copy
import itertools
import pickle
import stat
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from holdfast.custody import Recipient, RecipientKey, SigningKey, VerifyKey
from holdfast.errors import CredentialError, InputError, IntegrityError, SystemFault, UsageError

PRIVATE = (SigningKey, RecipientKey)
PUBLIC = (VerifyKey, Recipient)
PASSPHRASE = "correct horse, größer"


def secret_of(key: SigningKey | RecipientKey) -> bytes:
    return key._key.private_bytes_raw()


def forms_of(secret: bytes) -> tuple[str, ...]:
    return secret.hex(), base64.b64encode(secret).decode()[:40], repr(secret)[2:-1]


@pytest.mark.parametrize("kind", PRIVATE)
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_private_key_comes_back_as_it_was_and_only_its_owner_may_read_it(kind, passphrase, tmp_path):
    key = kind.generate()
    key.save(tmp_path / "key.pem", passphrase=passphrase)
    back = kind.load(tmp_path / "key.pem", passphrase=passphrase)
    assert secret_of(back) == secret_of(key)
    assert back.id == key.id
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_public_key_comes_back_as_it_was(kind, tmp_path):
    public = kind.generate().public
    public.save(tmp_path / "key.pem")
    assert type(public).load(tmp_path / "key.pem") == public


@pytest.mark.parametrize("kind", PRIVATE)
def test_two_keys_are_two_keys(kind):
    one, other = kind.generate(), kind.generate()
    assert one.id != other.id
    assert one.public != other.public


def test_the_id_names_the_algorithm():
    assert SigningKey.generate().id.startswith("ed25519:")
    assert RecipientKey.generate().id.startswith("x25519:")


def test_a_passphrase_really_encrypts_and_costs_a_guesser_128_mebibytes(tmp_path):
    key = SigningKey.generate()
    key.save(tmp_path / "key.pem", passphrase=PASSPHRASE)
    pem = (tmp_path / "key.pem").read_bytes()
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert secret_of(key) not in der
    scrypt, cost_2_17, block_size_8 = "2b06010401da47040b", "0203020000", "020108"
    assert scrypt in der.hex()
    assert cost_2_17 + block_size_8 in der.hex()
    assert load_pem_private_key(pem, PASSPHRASE.encode()).private_bytes_raw() == secret_of(key)


def test_a_key_encrypted_by_another_tool_is_read(tmp_path):
    key = SigningKey.generate()
    pem = key._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"other"))
    (tmp_path / "key.pem").write_bytes(pem)
    assert SigningKey.load(tmp_path / "key.pem", passphrase="other").id == key.id


@pytest.mark.parametrize(("written", "wanted"), list(itertools.permutations((*PRIVATE, *PUBLIC), 2)))
def test_no_key_is_taken_for_another(written, wanted, tmp_path):
    private = written if written in PRIVATE else PRIVATE[PUBLIC.index(written)]
    key = private.generate()
    (key if written is private else key.public).save(tmp_path / "key.pem")
    with pytest.raises(InputError, match=r"^expected a (private|public) .* got a"):
        wanted.load(tmp_path / "key.pem")


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_wrong_or_missing_passphrase_opens_nothing(kind, tmp_path):
    kind.generate().save(tmp_path / "key.pem", passphrase=PASSPHRASE)
    with pytest.raises(CredentialError, match="does not open"):
        kind.load(tmp_path / "key.pem", passphrase=PASSPHRASE + " ")
    with pytest.raises(CredentialError, match="no passphrase was given"):
        kind.load(tmp_path / "key.pem")


def test_an_unencrypted_key_is_refused_where_an_encrypted_one_is_expected(tmp_path):
    SigningKey.generate().save(tmp_path / "key.pem")
    with pytest.raises(InputError, match="expected an encrypted key"):
        SigningKey.load(tmp_path / "key.pem", passphrase=PASSPHRASE)


@pytest.mark.parametrize("passphrase", ["", "x" * 1_001])
def test_a_passphrase_that_protects_nothing_or_cannot_be_read_again_is_refused(passphrase, tmp_path):
    with pytest.raises(UsageError, match="expected a passphrase of 1 to"):
        SigningKey.generate().save(tmp_path / "key.pem", passphrase=passphrase)
    assert not (tmp_path / "key.pem").exists()


def other_key() -> bytes:
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("kind", [*PRIVATE, *PUBLIC])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x80\x04K\x01.",
        b"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----",
        other_key(),
        b"x" * 20_000,
    ],
    ids=[
        "empty",
        "text",
        "pickle",
        "bad base64",
        "bad der",
        "certificate",
        "cut off",
        "another algorithm",
        "too large",
    ],
)
def test_what_is_not_a_key_of_ours_is_refused_in_one_sentence(kind, content, tmp_path):
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(InputError, match=r"^expected a (private|public)") as caught:
        kind.load(tmp_path / "key.pem")
    assert "\n" not in str(caught.value)


def test_two_keys_in_one_file_are_refused(tmp_path):
    key = SigningKey.generate()
    key.save(tmp_path / "one.pem")
    key.public.save(tmp_path / "two.pem")
    (tmp_path / "both.pem").write_bytes((tmp_path / "two.pem").read_bytes() + (tmp_path / "one.pem").read_bytes())
    with pytest.raises(InputError, match="not one PEM key"):
        VerifyKey.load(tmp_path / "both.pem")


@pytest.mark.parametrize("kind", [*PRIVATE, *PUBLIC])
def test_a_missing_key_file_is_the_callers_to_mend(kind, tmp_path):
    with pytest.raises(InputError, match="found no file there"):
        kind.load(tmp_path / "none.pem")


def test_a_key_file_with_an_impossible_scrypt_cost_is_refused_and_takes_no_memory(tmp_path):
    SigningKey.generate().save(tmp_path / "key.pem", passphrase=PASSPHRASE)
    der = base64.b64decode(b"".join((tmp_path / "key.pem").read_bytes().splitlines()[1:-1]))
    hostile = base64.b64encode(der.replace(bytes.fromhex("0203020000020108"), bytes.fromhex("02037f0001020108")))
    (tmp_path / "bad.pem").write_bytes(
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + hostile + b"\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    with pytest.raises(CredentialError, match="or the file is damaged"):
        SigningKey.load(tmp_path / "bad.pem", passphrase=PASSPHRASE)


def test_a_key_file_is_never_overwritten(tmp_path):
    SigningKey.generate().save(tmp_path / "key.pem")
    before = (tmp_path / "key.pem").read_bytes()
    for key in (SigningKey.generate(), SigningKey.generate().public, RecipientKey.generate()):
        with pytest.raises(UsageError, match="never overwritten"):
            key.save(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() == before


def test_a_key_that_cannot_be_written_leaves_no_half_of_it(read_only, small_disk, public_folder):
    with pytest.raises(SystemFault, match="permission is denied"), read_only(public_folder):
        SigningKey.generate().save(public_folder / "key.pem")
    with pytest.raises(SystemFault, match="too large"), small_disk(20):
        SigningKey.generate().save(public_folder / "key.pem")
    assert list(public_folder.iterdir()) == []


@pytest.mark.parametrize("kind", PRIVATE)
def test_no_secret_is_in_what_people_log(kind, tmp_path):
    key = kind.generate()
    key.save(tmp_path / "key.pem", passphrase=PASSPHRASE)
    guess = PASSPHRASE[::-1]
    with pytest.raises(CredentialError) as caught:
        kind.load(tmp_path / "key.pem", passphrase=guess)
    trace = "".join(traceback.format_exception(caught.value))
    shown = f"{key} {key!r} {key.public!r} {[key]} {trace}"
    assert key.id in shown
    for form in (*forms_of(secret_of(key)), guess, PASSPHRASE):
        assert form not in shown


@pytest.mark.parametrize("kind", PRIVATE)
@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy], ids=lambda f: f.__name__)
def test_a_private_key_refuses_to_leave(kind, leave):
    with pytest.raises(UsageError, match="does not leave its process"):
        leave(kind.generate())


def test_a_signature_is_worth_nothing_for_another_message_purpose_or_key():
    key = SigningKey.generate()
    signature = key.sign(b"message", purpose="one")
    key.public.verify(signature, b"message", purpose="one")
    for message, purpose, signer in (
        (b"messagf", "one", key.public),
        (b"message", "two", key.public),
        (b"message", "one", SigningKey.generate().public),
    ):
        with pytest.raises(IntegrityError, match="expected a signature by"):
            signer.verify(signature, message, purpose=purpose)


def test_a_secret_is_read_by_its_recipient_with_its_info_only():
    key = RecipientKey.generate()
    encrypted = key.public.encrypt(b"secret", info=b"one")
    assert key.decrypt(encrypted, info=b"one") == b"secret"
    assert b"secret" not in encrypted
    for other, info in ((key, b"two"), (RecipientKey.generate(), b"one")):
        with pytest.raises(IntegrityError, match="expected a secret encrypted to"):
            other.decrypt(encrypted, info=info)


SMALL_ORDER = (
    bytes(32),
    bytes([1]) + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
)
"""The points of small order on Curve25519: https://cr.yp.to/ecdh.html, "How do I validate Curve25519 public keys?"."""


@pytest.mark.parametrize("raw", SMALL_ORDER, ids=lambda raw: raw.hex()[:8])
def test_nothing_is_sealed_to_a_point_that_hides_nothing(raw):
    with pytest.raises(InputError, match="hides nothing"):
        Recipient(raw)


@pytest.mark.parametrize("kind", PUBLIC)
def test_a_public_key_has_32_bytes(kind):
    with pytest.raises(InputError, match="32 bytes"):
        kind(b"short")


def test_a_path_may_be_a_text(tmp_path: Path):
    key = SigningKey.generate()
    key.save(str(tmp_path / "key.pem"))
    assert SigningKey.load(str(tmp_path / "key.pem")).id == key.id
