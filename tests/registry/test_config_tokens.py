# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from cais_registry.config import document, settings
from cais_registry.config.errors import ConfigError
from cais_registry.config.settings import Flags, Settings


def resolve(tokens: Any, **rest: Any) -> Settings:
    config = {"auth": {"htpasswdFile": "f"}, "tokens": tokens, **rest}
    return settings.resolve(document.parse(json.dumps(config)), Flags())


def test_one_file_is_enough_and_then_nobody_is_sent_anywhere() -> None:
    found = resolve({"keyFile": "k"}).tokens
    assert found is not None
    assert (found.key_file, found.service, found.lifetime) == ("k", "cais", timedelta(minutes=5))
    assert found.realms == {}


def test_the_file_as_it_is_in_the_documents_is_taken_from_yaml() -> None:
    text = """
auth: {htpasswdFile: f}
tokens:
  keyFile: k
  service: r.example.org
  lifetime: 1m
  realms:
    r.example.org: https://r.example.org/token
    r.example.org:5000: https://r.example.org:5000/token
    "[::1]:5000": http://[::1]:5000/token
"""
    found = settings.resolve(document.parse(text), Flags()).tokens
    assert found is not None
    assert list(found.realms) == ["r.example.org", "r.example.org:5000", "[::1]:5000"]
    assert found.lifetime == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"keyFile": 1}, "tokens.keyFile"),
        ({"keys": "x"}, "keys"),
        ({"service": ""}, "tokens.service"),
        ({"service": 'a"b'}, "tokens.service"),
        ({"service": "a b"}, "tokens.service"),
        ({"service": "ä"}, "tokens.service"),
        ({"service": "x" * 256}, "tokens.service"),
        ({"lifetime": "59s"}, "between 1m and 1h"),
        ({"lifetime": "2h"}, "between 1m and 1h"),
        ({"lifetime": "soon"}, "tokens.lifetime"),
        ({"realms": ["a"]}, "tokens.realms"),
        ({"realms": {"https://a": "https://a/token"}}, "is not a host"),
        ({"realms": {"a:b": "https://a/token"}}, "is not a host"),
        ({"realms": {"*.a": "https://a/token"}}, "is not a host"),
        ({"realms": {"": "https://a/token"}}, "is not a host"),
        ({"realms": {"a": "a/token"}}, "is not a URL"),
        ({"realms": {"a": "ftp://a/token"}}, "is not a URL"),
        ({"realms": {"a": 'https://a/"'}}, "is not a URL"),
        ({"realms": {"a": "https://a/token?x=1"}}, "is not a URL"),
        ({"realms": {"a": "https://a/\n"}}, "is not a URL"),
        ({"realms": {"a": 1}}, "tokens.realms"),
    ],
)
def test_a_wrong_value_is_refused_by_name(changed: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        resolve({"keyFile": "k", **changed})


def test_a_key_file_is_needed_and_so_are_users() -> None:
    with pytest.raises(ConfigError, match="tokens"):
        resolve({})
    with pytest.raises(ConfigError, match="needs auth"):
        resolve({"keyFile": "k"}, auth=None)


def test_no_other_issuer_may_have_the_name_of_the_service() -> None:
    issuer = {"issuer": "cais", "audiences": ["x"], "jwksFile": "j", "prefix": "hub"}
    with pytest.raises(ConfigError, match=r"tokens\.service: is the issuer"):
        resolve({"keyFile": "k"}, access={"issuers": [issuer]})


def test_only_the_name_of_the_key_file_is_fixed_while_a_server_runs() -> None:
    first = resolve({"keyFile": "k"})
    assert resolve({"keyFile": "k", "lifetime": "9m", "service": "x"}).fixed() == first.fixed()
    assert resolve({"keyFile": "other"}).fixed() != first.fixed()
    assert resolve(None).fixed() != first.fixed()
