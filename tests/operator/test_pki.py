# SPDX-License-Identifier: Apache-2.0
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from cais_operator import pki
from cais_operator.certificates import Authority, authority_from, facts, private_key
from cais_operator.credentials import UserEntry
from cais_operator.desired import authority_secret
from operator_builders import HOSTS, NOW, SETTINGS, authority, leaf, secret

KEY = pki.fingerprint_key(authority())


def _read(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def test_an_authority_may_sign_and_nothing_else() -> None:
    found = _read(authority().certificate)
    constraints = found.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = found.extensions.get_extension_for_class(x509.KeyUsage).value
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert usage.key_cert_sign
    assert not usage.digital_signature
    assert authority().bundle == authority().certificate


def test_a_leaf_is_for_a_server_of_these_names() -> None:
    made = leaf()
    found = _read(made.certificate)
    read = facts(made.certificate)
    extended = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (read.dns, read.ips) == (frozenset(HOSTS.dns), frozenset(HOSTS.ips))
    assert read.not_before == NOW - timedelta(minutes=5)  # for clocks that are behind
    assert read.not_after == NOW + timedelta(days=90)


def test_a_leaf_names_its_authority_by_key() -> None:
    issuer = _read(authority().certificate).extensions
    made = _read(leaf().certificate).extensions
    of = made.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert of == issuer.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert made.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest != of


def test_keys_are_of_p256_in_pkcs8() -> None:
    key = private_key(leaf().key)
    assert isinstance(key.curve, ec.SECP256R1)
    assert leaf().key != leaf().key


def test_a_leaf_never_outlives_its_authority() -> None:
    short = pki.new_authority(name="short", validity=timedelta(days=10), now=NOW)
    assert facts(leaf(by=short).certificate).not_after == NOW + timedelta(days=10)


@pytest.mark.parametrize("host", ["team.team-a.svc", "10.96.7.7"])
def test_a_client_that_trusts_the_bundle_accepts_name_and_address(
    host: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    own = pki.new_authority(name="own", validity=timedelta(days=2), now=now)
    made = leaf(by=own, days=1, at=now)
    (tmp_path / "tls.pem").write_text(made.certificate + made.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "tls.pem")
    _shake_hands(ssl.create_default_context(cadata=own.bundle), server, host)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(Hostname|IP address) mismatch"):
        _shake_hands(ssl.create_default_context(cadata=own.bundle), server, "10.96.7.8")
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        _shake_hands(ssl.create_default_context(cadata=authority().bundle), server, host)


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(down, up, server_hostname=host)
    callee = server.wrap_bio(up, down, server_side=True)
    for side in (caller, callee, caller):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert caller.getpeercert()


def test_keys_do_not_show_in_a_representation() -> None:
    assert "PRIVATE" not in repr(authority()) + repr(leaf())


def test_the_authority_is_read_back_from_its_secret() -> None:
    assert authority_from(authority_secret(SETTINGS, authority())) == authority()


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Authority(certificate=leaf().certificate, key=leaf().key, bundle=""), "does not belong"),
        (
            Authority(certificate=authority().certificate, key=authority().key, bundle="x"),
            "PEM",
        ),
        (
            Authority(
                certificate=authority().certificate,
                key=authority().key,
                bundle=leaf().certificate,
            ),
            "does not begin with",
        ),
    ],
)
def test_a_secret_that_is_no_authority_is_refused(broken: Authority, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        authority_from(authority_secret(SETTINGS, broken))


def test_a_leaf_cannot_pass_for_an_authority() -> None:
    made = leaf()
    texts = secret(tls_crt=made.certificate, tls_key=made.key, ca_crt=made.certificate)
    with pytest.raises(ValueError, match="may not sign"):
        authority_from(texts)


def test_passwords_are_long_plain_and_never_the_same() -> None:
    made = {pki.new_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 32 and one.isalnum() and one.isascii() for one in made)


def known(*entries: UserEntry) -> dict[str, list[UserEntry]]:
    names = {entry.name for entry in entries}
    return {name: [one for one in entries if one.name == name] for name in names}


def test_only_a_new_password_is_hashed() -> None:
    first = pki.hash_users({"ci": ["one"], "bo": ["two"]}, known={}, key=KEY)
    assert [entry.name for entry in first] == ["bo", "ci"]
    given = {"ci": ["three"], "bo": ["two"]}
    again = pki.hash_users(given, known=known(*first), key=KEY)
    assert again[0] == first[0]
    assert again[1] != first[1]
    assert bcrypt.checkpw(b"three", again[1].hash.encode())
    assert not bcrypt.checkpw(b"one", again[1].hash.encode())


def test_of_two_passwords_of_a_user_both_are_hashed_and_each_is_known_again() -> None:
    (old,) = pki.hash_users({"ci": ["old"]}, known={}, key=KEY)
    new, kept = pki.hash_users({"ci": ["new", "old"]}, known=known(old), key=KEY)
    assert kept == old
    assert bcrypt.checkpw(b"new", new.hash.encode())
    assert pki.hash_users({"ci": ["new"]}, known=known(new, kept), key=KEY) == (new,)


def test_a_hash_that_somebody_put_in_place_of_ours_is_made_anew() -> None:
    (ours,) = pki.hash_users({"ci": ["one"]}, known={}, key=KEY)
    theirs = bcrypt.hashpw(b"theirs", bcrypt.gensalt(4)).decode()
    edited = UserEntry(name="ci", hash=theirs, fingerprint=ours.fingerprint)
    (again,) = pki.hash_users({"ci": ["one"]}, known=known(edited), key=KEY)
    assert bcrypt.checkpw(b"one", again.hash.encode())


def test_a_user_that_is_gone_is_not_kept() -> None:
    old = UserEntry(name="old", hash="h", fingerprint="f")
    assert pki.hash_users({}, known=known(old), key=KEY) == ()


def test_a_fingerprint_is_bound_to_user_password_hash_and_installation() -> None:
    base = pki.fingerprint(KEY, "ci", "pw", "hash")
    other = pki.fingerprint_key(pki.new_authority(name="x", validity=timedelta(days=1), now=NOW))
    assert base == pki.fingerprint(KEY, "ci", "pw", "hash")
    assert base not in (
        pki.fingerprint(KEY, "bo", "pw", "hash"),
        pki.fingerprint(KEY, "ci", "pv", "hash"),
        pki.fingerprint(KEY, "ci", "pw", "other"),
        pki.fingerprint(other, "ci", "pw", "hash"),
    )
