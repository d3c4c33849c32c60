# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cais_registry.config import document, durations, settings
from cais_registry.config.errors import ConfigError
from cais_registry.config.settings import Flags

WHOLE = """
data: /data
listen: 0.0.0.0:5000
tls: {certFile: /tls/tls.crt, keyFile: /tls/tls.key}
auth: {htpasswdFile: /users/htpasswd, realm: cais}
access:
  anonymous: [pull]
  rules:
  - {users: [admin], repositories: ["**"], actions: [pull, push, delete, admin]}
  - {users: [cais-gc], repositories: [], actions: [gc, usage]}
garbageCollection: {pushLease: 1h30m, undeleteWindow: 0s}
quota: 16106127360
readOnly: true
immutableTags: [{repositories: ["apps/**"], tags: ["v*"]}]
log: {format: json}
limits: {manifestBytes: 8388608, sparseManifests: true, slowestBytesPerSecond: 0}
timeouts: {stalled: 5m, upload: 48h}
"""


def test_every_setting_of_a_file_is_used() -> None:
    found = settings.resolve(document.parse(WHOLE), Flags())
    assert found.data == Path("/data")
    assert f"{found.host}:{found.port}" == "0.0.0.0:5000"
    assert found.tls == document.TlsFiles(cert_file="/tls/tls.crt", key_file="/tls/tls.key")
    assert found.auth == document.AuthFiles(htpasswd_file="/users/htpasswd")
    assert found.access.anonymous == ("pull",)
    assert found.access.rules[1].actions == ("gc", "usage")
    assert found.push_lease == timedelta(minutes=90)
    assert found.undelete_window == timedelta(0)
    assert found.log.format == "json"
    assert (found.quota, found.read_only) == (15 * 2**30, True)
    assert found.immutable_tags == (document.TagRule(repositories=("apps/**",), tags=("v*",)),)
    assert found.limits.manifest_bytes == 8 * 1024 * 1024
    assert found.limits.sparse_manifests
    assert found.limits.slowest_bytes_per_second == 0
    assert (found.stalled, found.upload) == (timedelta(minutes=5), timedelta(days=2))


def test_json_says_the_same_as_yaml() -> None:
    tree = {"listen": "[::1]:0", "auth": {"htpasswdFile": "f"}, "access": {"rules": []}}
    assert document.parse(json.dumps(tree)) == document.parse(
        "listen: '[::1]:0'\nauth: {htpasswdFile: f}\naccess: {rules: []}"
    )


def test_flow_style_that_is_not_json_is_read_as_yaml() -> None:
    assert document.parse("{listen: '127.0.0.1:1'}").listen == "127.0.0.1:1"


def test_flags_override_the_file() -> None:
    flags = Flags(data="/other", listen="127.0.0.1:1", tls_cert="c", tls_key="k", htpasswd="h")
    found = settings.resolve(document.parse(WHOLE), flags)
    assert (found.data, found.port) == (Path("/other"), 1)
    assert found.tls == document.TlsFiles(cert_file="c", key_file="k")
    assert found.auth is not None
    assert found.auth.htpasswd_file == "h"
    assert len(found.access.rules) == 2


def test_nothing_at_all_is_an_open_registry_on_loopback() -> None:
    found = settings.resolve(document.parse(""), Flags())
    assert (found.host, found.port) == ("127.0.0.1", 5000)
    assert found.data == Path("cais-data").absolute()
    assert found.auth is None


def test_an_htpasswd_flag_alone_allows_every_user_everything() -> None:
    found = settings.resolve(document.Document(), Flags(htpasswd="users"))
    assert found.access == settings.EVERYTHING


def test_users_in_the_file_without_rules_may_do_nothing() -> None:
    found = settings.resolve(document.parse("auth: {htpasswdFile: users}"), Flags())
    assert found.access.rules == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("colour: red", "colour"),
        ("auth: {htpasswdFile: f, realms: x}", "auth: has an unknown field `realms`"),
        ("auth: {}", "auth: lacks the required field `htpasswdFile`"),
        ("listen: 5000", "listen: Expected `str"),
        ("data: /a\ndata: /b", "data: is given twice"),
        ('{"data": "/a", "data": "/b"}', "data: is given twice"),
        ("auth: {htpasswdFile: f, htpasswdFile: g}", "htpasswdFile: is given twice"),
        ("log: {format: xml}", "log.format"),
        ("a: &x 1\nb: *x", "aliases"),
        ("a: [", "not YAML"),
        ("- 1", "Expected `object`"),
        (
            "access: {rules: [{users: [a], repositories: [a], actions: [fly]}]}",
            "access.rules[0].actions[0]: Invalid enum value 'fly' is not one of pull,",
        ),
        ("access: {anonymous: [push]}", "access.anonymous"),
        ("quota: 15Gi", "quota: Expected `int"),
        ("quota: 1.5", "quota: Expected `int"),
        ("quota: true", "quota: Expected `int"),
        ("readOnly: 'yes'", "readOnly: Expected `bool`"),
        ("immutableTags: [{tags: [v1]}]", "immutableTags[0]: lacks the required field"),
        ("immutableTags: v1", "immutableTags: Expected `array`"),
    ],
)
def test_a_bad_file_is_refused_by_name(text: str, names: str) -> None:
    with pytest.raises(ConfigError, match=r".") as caught:
        document.parse(text)
    assert names in str(caught.value)
    assert "\n" not in str(caught.value)


def _rule(glob: str) -> str:
    rule = {"users": ["a"], "repositories": [glob], "actions": ["pull"]}
    return json.dumps({"auth": {"htpasswdFile": "f"}, "access": {"rules": [rule]}})


def _immutable(repositories: list[str], tags: list[str]) -> str:
    return json.dumps({"immutableTags": [{"repositories": repositories, "tags": tags}]})


@pytest.mark.parametrize(
    ("text", "flags", "names"),
    [
        ("listen: nowhere", {}, "listen: 'nowhere'"),
        ("listen: '::1:5000'", {}, "listen"),
        ("listen: '127.0.0.1:70000'", {}, "port 70000"),
        ("listen: '127.0.0.1:\u0665'", {}, "listen"),
        ("", {"tls_cert": "c"}, "--tls-key"),
        ("garbageCollection: {pushLease: 1 day}", {}, "garbageCollection.pushLease: '1 day'"),
        ("garbageCollection: {undeleteWindow: -1h}", {}, "garbageCollection.undeleteWindow"),
        ("access: {anonymous: [pull]}", {}, "access: needs auth"),
        ("auth: {htpasswdFile: f, realm: 'a\"b'}", {}, "auth.realm"),
        ("limits: {manifestBytes: 1}", {}, "limits.manifestBytes"),
        ("timeouts: {idle: 999ms}", {}, "timeouts.idle"),
        ("timeouts: {drain: 61m}", {}, "timeouts.drain"),
        ("timeouts: {drain: soon}", {}, "timeouts.drain"),
        ("limits: {tagsPerPush: 0}", {}, "limits.tagsPerPush"),
        ("limits: {manifestReferences: 0}", {}, "limits.manifestReferences"),
        ("limits: {openUploads: 0}", {}, "limits.openUploads: at least 1"),
        ("limits: {openUploadsPerUser: 0}", {}, "limits.openUploadsPerUser"),
        ("limits: {slowestBytesPerSecond: -1}", {}, "limits.slowestBytesPerSecond: at least 0"),
        ("timeouts: {stalled: 0s}", {}, "timeouts.stalled: '0s' is not between 1s and 1h"),
        ("timeouts: {upload: 721h}", {}, "timeouts.upload: '721h' is not between 1s and 720h"),
        (_rule("Apps/**"), {}, "access.rules[0].repositories: 'Apps/**'"),
        (_rule("a**"), {}, "access.rules[0].repositories"),
        (_rule("/a"), {}, "access.rules[0].repositories"),
        (_rule(""), {}, "access.rules[0].repositories"),
        ("quota: 0", {}, "quota: 0 is not a number of bytes from 1"),
        ("quota: -1", {}, "quota: -1"),
        ("quota: 9223372036854775808", {}, "quota: 9223372036854775808"),
        (_immutable(["a"], []), {}, "immutableTags[0]: names no repositories or no tags"),
        (_immutable([], ["a"]), {}, "immutableTags[0]: names no repositories or no tags"),
        (_immutable(["A"], ["a"]), {}, "immutableTags[0].repositories: 'A'"),
        (_immutable(["a"], ["a/b"]), {}, "immutableTags[0].tags: 'a/b'"),
        (_immutable(["a"], ["**"]), {}, "immutableTags[0].tags: '**'"),
        (_immutable(["a"], ["a" * 129]), {}, "immutableTags[0].tags"),
        (_immutable(["a"], [""]), {}, "immutableTags[0].tags: ''"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(
    text: str, flags: dict[str, Any], names: str
) -> None:
    with pytest.raises(ConfigError, match=r".") as caught:
        settings.resolve(document.parse(text), Flags(**flags))
    assert names in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 86400), ("1h30m", 5400), ("0s", 0), ("500ms", 0.5), ("1.5h", 5400)],
)
def test_durations_are_read_as_go_writes_them(text: str, seconds: float) -> None:
    assert durations.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "h", "1d", "1h ", "-1h", "1h-", "99999999h", "1 h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        durations.parse(text)
