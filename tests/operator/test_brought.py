# SPDX-License-Identifier: Apache-2.0
import base64
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from cais_operator import brought, certificates, chains
from cais_operator.brought import Brought, Refusal
from cais_operator.names import Hosts
from operator_builders import NOW, leaf
from support.issuing import PKCS1, Key, issued, issuer, key_pem, new_key, tls_data

HOST = "registry.example.com"
WANTED = Hosts(dns=(HOST,))
ROOT = issuer()
KEY = new_key()
GOOD = ROOT.sign(KEY, HOST)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def judge(data: dict[str, str] | None, required: Hosts = WANTED) -> Brought | Refusal:
    secret = None if data is None else {"data": data}
    return brought.judge(secret, "own", required, now=NOW)


def taken(data: dict[str, str], required: Hosts = WANTED) -> Brought:
    found = judge(data, required)
    assert isinstance(found, Brought), found
    return found


def raw(certificate: bytes, key: bytes) -> dict[str, str]:
    contents = {"tls.crt": certificate, "tls.key": key}
    return {name: base64.b64encode(content).decode() for name, content in contents.items()}


EARLIER, LATER = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)
AUTHORITY = ROOT.certificate
BELOW = ROOT.intermediate()
ENCRYPTED = key_pem(KEY, passphrase=b"secret words")
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
LARGE = ec.generate_private_key(ec.SECP521R1())
BITCOIN = ec.generate_private_key(ec.SECP256K1())
GOLDILOCKS = ed448.Ed448PrivateKey.generate()
DSA = dsa.generate_private_key(key_size=2048)
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (None, "SecretMissing", "no Secret own in this namespace"),
        ({}, "KeyMissing", "has no tls.crt"),
        ({"tls.crt": "Yg=="}, "KeyMissing", "has no tls.key"),
        (tls_data(GOOD, " \n"), "KeyMissing", "has no tls.key"),
        (tls_data("words", key_pem(KEY)), "Unparsable", "tls.crt cannot be read as PEM"),
        (tls_data(GOOD[:200], key_pem(KEY)), "Unparsable", "tls.crt cannot be read"),
        (tls_data(GOOD, "words"), "Unparsable", "tls.key cannot be read as a private key"),
        (tls_data(GOOD, GOOD), "Unparsable", "tls.key cannot be read as a private key"),
        (tls_data(GOOD, "x" * 20_000), "Unparsable", "tls.key is larger than"),
        (tls_data(GOOD * 17, key_pem(KEY)), "Unparsable", "holds 17 certificates"),
        (raw(b"\xff\xfe", b"\xff"), "Unparsable", "tls.crt cannot be read"),
        ({"tls.crt": "Yg=", "tls.key": "Yg=="}, "Unparsable", "tls.crt is not base64"),
        (tls_data(GOOD, key_pem(KEY), "words"), "Unparsable", "ca.crt cannot be read"),
        (tls_data(GOOD, ENCRYPTED), "KeyEncrypted", "tls.key is encrypted"),
        (tls_data(ROOT.sign(WEAK, HOST), key_pem(WEAK)), "KeyWeak", "RSA key of 1024 bits"),
        (tls_data(ROOT.sign(BITCOIN, HOST), key_pem(BITCOIN)), "KeyUnsupported", "allowed are"),
        (tls_data(ROOT.sign(LARGE, HOST), key_pem(LARGE)), "KeyUnsupported", "P-384, and Ed25519"),
        (tls_data(ROOT.sign(GOLDILOCKS, HOST), key_pem(GOLDILOCKS)), "KeyUnsupported", "P-256"),
        (tls_data(ROOT.sign(DSA, HOST), key_pem(DSA)), "KeyUnsupported", "allowed are"),
        (tls_data(GOOD, key_pem(new_key())), "KeyMismatch", "does not belong"),
        (tls_data(GOOD, key_pem(RSA)), "KeyMismatch", "does not belong"),
        (tls_data(AUTHORITY + GOOD, key_pem(KEY)), "KeyMismatch", "must begin with"),
        (
            tls_data(GOOD, key_pem(KEY), issuer().certificate),
            "AuthorityMismatch",
            "ca.crt did not sign tls.crt",
        ),
        (
            tls_data(BELOW.sign(KEY, HOST), key_pem(KEY), AUTHORITY),  # the one between is missing
            "AuthorityMismatch",
            "ca.crt did not sign tls.crt",
        ),
        (
            tls_data(ROOT.sign(KEY, HOST, usage=CLIENT), key_pem(KEY)),
            "NotForServers",
            "lacks serverAuth",
        ),
        (
            tls_data(ROOT.sign(KEY, "other.example.com"), key_pem(KEY)),
            "NamesMissing",
            "does not cover registry.example.com; it has other.example.com",
        ),
        (
            tls_data(ROOT.sign(KEY, common=HOST), key_pem(KEY)),
            "NamesMissing",
            "a CN does not count",
        ),
        (
            tls_data(ROOT.sign(KEY, HOST, begin=LATER), key_pem(KEY)),
            "NotYetValid",
            "valid only from 2026-03-01T12:00:01",
        ),
        (
            tls_data(ROOT.sign(KEY, HOST, end=NOW), key_pem(KEY)),
            "Expired",
            "ended 2026-03-01T12:00:00",
        ),
    ],
)
def test_what_is_not_good_is_refused_by_the_first_check_that_fails(
    data: dict[str, str] | None, reason: str, words: str
) -> None:
    found = judge(data)
    assert isinstance(found, Refusal)
    assert found.reason == reason
    assert words in found.message
    assert "Secret own" in found.message
    assert found.waits == (reason in ("SecretMissing", "NotYetValid"))


@pytest.mark.parametrize("data", [{"tls.crt": "Yg"}, {"tls.crt": "é"}])
def test_whatever_the_data_holds_it_is_a_refusal(data: dict[str, str]) -> None:
    assert isinstance(judge(data), Refusal)


def test_the_words_tell_nothing_of_the_key() -> None:
    broken = key_pem(KEY)[:-60]
    found = judge(tls_data(GOOD, broken))
    assert isinstance(found, Refusal)
    assert broken.splitlines()[1][:16] not in found.message
    assert broken.splitlines()[1][:16] not in repr(taken(issued(ROOT, HOST)))


@pytest.mark.parametrize("key", [KEY, RSA], ids=["ec", "rsa"])
def test_a_key_in_the_older_form_is_converted(key: Key) -> None:
    found = taken(tls_data(ROOT.sign(key, HOST), key_pem(key, PKCS1)))
    assert found.leaf.key == key_pem(key)
    assert found.leaf.key.startswith("-----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_other_keys_of_today_are_taken(key: Key) -> None:
    assert taken(tls_data(ROOT.sign(key, HOST), key_pem(key))).facts.dns == {HOST}


def test_a_signature_that_clients_refuse_is_told(tmp_path: Path) -> None:
    """Not made by the library, which refuses to."""
    files = {name: tmp_path / name for name in ("key", "crt")}
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha1"),
            *("-keyout", files["key"], "-out", files["crt"], "-days", "9"),
            *("-subj", "/CN=old", "-addext", f"subjectAltName=DNS:{HOST}"),
        ],
        check=True,
        capture_output=True,
    )
    found = judge(raw(files["crt"].read_bytes(), files["key"].read_bytes()))
    assert isinstance(found, Refusal)
    assert found.reason == "SignatureWeak"
    assert "sha1" in found.message


@pytest.mark.parametrize(
    ("has", "wants", "covered"),
    [
        (("*.example.com",), "registry.example.com", True),
        (("*.example.com",), "a.registry.example.com", False),
        (("*.example.com",), "example.com", False),
        (("REGISTRY.example.com",), "registry.example.com", True),
        (("10.96.7.7",), "10.96.7.7", True),
        (("10.96.7.70",), "10.96.7.7", False),
        (("*.96.7.7",), "10.96.7.7", False),  # a pattern is for names only
    ],
)
def test_a_name_is_covered_as_clients_read_it(
    has: tuple[str, ...], wants: str, *, covered: bool
) -> None:
    data = tls_data(ROOT.sign(KEY, *has), key_pem(KEY))
    assert isinstance(judge(data, Hosts(dns=(wants,))), Brought) == covered


def test_the_bundle_is_the_authority_that_came_with_it() -> None:
    found = taken(tls_data(BELOW.sign(KEY, HOST) + BELOW.chain, key_pem(KEY), AUTHORITY))
    assert found.bundle == AUTHORITY
    assert found.leaf.certificate.count("BEGIN CERTIFICATE") == 2


def test_the_bundle_is_the_root_at_the_end_of_the_chain() -> None:
    chain = BELOW.sign(KEY, HOST) + BELOW.chain + AUTHORITY
    assert taken(tls_data(chain, key_pem(KEY))).bundle == AUTHORITY


def test_there_is_no_bundle_when_clients_must_know_the_issuer_already() -> None:
    found = taken(tls_data(BELOW.sign(KEY, HOST) + BELOW.chain, key_pem(KEY)))
    assert found.bundle == ""
    assert found.trust == found.leaf.certificate


def test_text_around_the_certificates_is_left_behind() -> None:
    noisy = f"subject: x\n{GOOD}and more"
    assert taken(tls_data(noisy, key_pem(KEY))).leaf.certificate == GOOD


def test_what_is_served_is_read_back_whatever_its_names_and_time() -> None:
    live = {"data": tls_data(ROOT.sign(KEY, "x.example.com", end=EARLIER), key_pem(KEY))}
    assert brought.serves(live) is not None
    mine = leaf()
    assert brought.serves({"data": tls_data(mine.certificate, mine.key)}) is not None


@pytest.mark.parametrize(
    "data", [None, {}, tls_data(GOOD, "x"), tls_data(GOOD, key_pem(new_key()))]
)
def test_what_no_server_could_use_is_not_served(data: dict[str, str] | None) -> None:
    assert brought.serves(None if data is None else {"data": data}) is None


def test_a_chain_that_goes_in_circles_ends() -> None:
    one, two = issuer("one"), issuer("two")
    below = one.intermediate()
    circle = (*_read(below.certificate), *_read(one.certificate), *_read(below.certificate))
    assert not chains.leads_to(circle, _read(two.certificate))


def _read(pem: str) -> tuple[Any, ...]:
    return (certificates.certificate(pem),)
