# SPDX-License-Identifier: Apache-2.0
"""What the operator takes the server serves, and both their clients trust it by itself alone."""

import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from cais_operator import brought
from cais_operator.brought import Brought
from cais_operator.names import Hosts
from operator_builders import NOW
from support.issuing import PKCS1, PKCS8, Key, issuer, key_pem, tls_data
from support.registry import htpasswd, running

ROOT = issuer()
KEYS = {
    "rsa-2048": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "p-256": ec.generate_private_key(ec.SECP256R1()),
    "p-384": ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_key_that_is_taken_is_served(tmp_path: Path, key: Key) -> None:
    names = ("localhost", "127.0.0.1")
    form = PKCS8 if isinstance(key, ed25519.Ed25519PrivateKey) else PKCS1
    chain = ROOT.sign(key, *names) + ROOT.certificate
    data = tls_data(chain, key_pem(key, form))
    taken = brought.judge({"data": data}, "own", Hosts(dns=names[:1], ips=names[1:]), now=NOW)
    assert isinstance(taken, Brought), taken
    leaf = chain.removesuffix(ROOT.certificate)
    contents = {
        "tls.crt": taken.leaf.certificate,
        "tls.key": taken.leaf.key,
        "leaf.crt": leaf,
        "login": "ci:secret",
        "users": htpasswd(ci="secret"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    config = {
        "auth": {"htpasswdFile": str(tmp_path / "users")},
        "access": {"rules": [{"users": ["ci"], "repositories": [], "actions": ["usage"]}]},
    }
    flags = ("--tls-cert", tmp_path / "tls.crt", "--tls-key", tmp_path / "tls.key")
    with running(tmp_path, *flags, config=config) as server:
        command: list[str | Path] = [
            *(sys.executable, "-m", "cais_registry", "usage", "--server", server.url),
            *("--ca-file", tmp_path / "leaf.crt", "--credentials-file", tmp_path / "login"),
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        assert ssl.get_server_certificate(server.address) == leaf
