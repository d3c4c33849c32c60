# SPDX-License-Identifier: Apache-2.0
"""What the operator writes for the server is what the server reads."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import golden
from cais_operator import desired, names, pki, token_keys, versions
from cais_operator.jwks import Issuers, Published
from cais_operator.resource import Duration, checks
from cais_registry.config import document, settings
from cais_registry.config.settings import Settings
from cais_registry.config.strict import Strict
from cais_registry.http.token_keys import parse as parse_keys
from operator_builders import NOW, SETTINGS, registry


def _read(text: str) -> Settings:
    return settings.resolve(document.parse(text), settings.Flags())


def _is_short(glob: str) -> bool:
    return len(glob) <= checks.REPOSITORY_GLOB.longest


def _config(spec: dict[str, Any]) -> str:
    text: str = desired.config_map(registry(spec), SETTINGS)["data"]["server.yaml"]
    return text


@pytest.mark.parametrize("case", golden.cases(), ids=lambda case: case.name)
def test_the_server_takes_the_configuration(case: Any) -> None:
    config = next(one for one in golden.manifests(case) if one["metadata"]["name"] == "team-config")
    found = _read(config["data"]["server.yaml"])
    assert (str(found.data), found.port) == (names.DATA_DIRECTORY, names.PORT)
    files = found.tls and (found.tls.cert_file, found.tls.key_file)
    wanted = (names.TLS_CERT_FILE, names.TLS_KEY_FILE)
    assert files == (None if case.name.endswith("plain") else wanted)
    assert found.auth is not None
    assert found.auth.htpasswd_file == names.HTPASSWD_FILE
    assert found.tokens is not None
    assert found.tokens.key_file == names.TOKEN_KEYS_FILE


def _paths(text: str) -> set[str]:
    """Fields of a configuration, and of its blocks."""
    tree = json.loads(text)
    blocks = {key: value for key, value in tree.items() if isinstance(value, dict)}
    return {*tree, *(f"{key}.{one}" for key, block in blocks.items() for one in block)}


def test_of_every_field_that_is_written_it_is_known_since_when_it_is_read() -> None:
    found = set[str]()
    for case in golden.cases():
        made = golden.manifests(case)
        config = next(one for one in made if one["metadata"]["name"] == "team-config")
        found |= _paths(config["data"]["server.yaml"])
    assert found == set(versions.FIELDS)


@pytest.mark.parametrize("field", ["tokens", "quota", "read_only", "immutable_tags", "retention"])
def test_a_server_from_before_reads_what_is_left(field: str) -> None:
    known = [one for one in msgspec.structs.fields(document.Document) if one.name != field]
    shape = [(one.name, one.type, msgspec.field(default=one.default)) for one in known]
    older = msgspec.defstruct("Older", shape, bases=(Strict,), frozen=True)
    case = next(one for one in golden.cases() if one.name == "everything")
    config = next(one for one in golden.manifests(case) if one["metadata"]["name"] == "team-config")
    tree = json.loads(config["data"]["server.yaml"])
    name = "".join(part.title() if at else part for at, part in enumerate(field.split("_")))
    with pytest.raises(msgspec.ValidationError, match=f"unknown field `{name}`"):
        msgspec.convert(tree, older)
    fields = {**versions.FIELDS, name: versions.Field(since=versions.Version(0, 2, 0))}
    msgspec.convert(versions.readable(tree, versions.Version(0, 1, 0), fields), older)


def test_the_server_takes_the_keys_of_tokens_in_their_order() -> None:
    keys = [pki.new_token_key(NOW), pki.new_token_key(NOW - token_keys.EVERY)]
    taken = parse_keys(token_keys.text(keys).encode())
    assert [f"{pem.decode()}\n" for pem in taken] == [key.pem for key in keys]


def test_the_server_knows_where_tokens_are_by_every_name_that_clients_resolve() -> None:
    long = ".".join(["x" * 62] * 4) + "x"  # as long as can be
    names_given = ["r.example.org", long]
    spec = {"expose": {"type": "NodePort", "nodePort": 30500, "hostnames": names_given}}
    found = _read(_config(spec))
    assert found.tokens is not None
    assert found.tokens.service == "team.team-a.svc"
    inside = ["team.team-a.svc", "team.team-a.svc.cluster.local", "team.team-a"]
    hosts = [f"{host}:5000" for host in (*inside, *names_given)]
    hosts += [host + port for host in names_given for port in (":30500", "")]
    assert found.tokens.realms == {host: f"https://{host}/token" for host in hosts}


@pytest.mark.parametrize("time", ["0s", "24h", "90m", "8760h"])
def test_the_server_takes_every_time_that_a_spec_may_ask_for(time: str) -> None:
    found = _read(_config({"garbageCollection": {"pushLease": time, "undeleteWindow": time}}))
    assert found.push_lease == found.undelete_window <= timedelta(days=365)


@given(st.from_regex(checks.REPOSITORY_GLOB.regex, fullmatch=True).filter(_is_short))
def test_the_server_takes_every_repository_glob_that_a_spec_may_hold(glob: str) -> None:
    rule = {"users": ["ci"], "repositories": [glob], "actions": ["pull"]}
    found = _read(_config({"access": {"users": [{"name": "ci"}], "rules": [rule]}}))
    assert found.access.rules[-1].repositories == (glob,)
    found = _read(_config({"immutableTags": [{"repositories": [glob], "tags": ["v*"]}]}))
    assert found.immutable_tags[-1].repositories == (glob,)


def _is_short_tag(glob: str) -> bool:
    return len(glob) <= checks.TAG_GLOB.longest


@given(st.from_regex(checks.TAG_GLOB.regex, fullmatch=True).filter(_is_short_tag))
def test_the_server_takes_every_tag_glob_that_a_spec_may_hold(glob: str) -> None:
    found = _read(_config({"immutableTags": [{"repositories": ["**"], "tags": [glob]}]}))
    assert found.immutable_tags[-1].tags == (glob,)


@pytest.mark.parametrize(
    ("quota", "count"),
    [("1", 1), ("1m", 1), ("1.5k", 1500), ("15Gi", 15 * 2**30), ("4Ei", 4 * 2**60)],
)
def test_the_server_takes_every_quota_that_a_spec_may_ask_for(quota: str, count: int) -> None:
    assert _read(_config({"quota": quota})).quota == count


def test_what_a_spec_does_not_ask_for_is_not_written() -> None:
    """A server of the version before would refuse the whole file for a key that it lacks."""
    text = _config({})
    assert not {"quota", "readOnly", "immutableTags", "retention"} & set(json.loads(text))
    assert _read(text).quota is None
    assert _read(_config({"readOnly": True})).read_only


@given(
    st.from_regex(checks.DNS_LABEL.regex, fullmatch=True).filter(checks.DNS_LABEL.allows),
    st.none()
    | st.from_regex(checks.DNS_SUBDOMAIN.regex, fullmatch=True).filter(checks.DNS_SUBDOMAIN.allows),
)
def test_the_server_takes_every_service_account_that_a_spec_may_name(
    namespace: str, name: str | None
) -> None:
    account = {"namespace": namespace, **({} if name is None else {"name": name})}
    rule = {"serviceAccounts": [account], "repositories": ["**"], "actions": ["pull"]}
    known = Issuers(cluster=Published(issuer="https://kubernetes.default.svc", keys="{}"))
    config = desired.config_map(registry({"access": {"rules": [rule]}}), SETTINGS, known)
    access = _read(config["data"]["server.yaml"]).access
    assert access.rules[-1].identities == (f"system:serviceaccount:{namespace}:{name or '*'}",)
    assert access.issuers[0].audiences == ("https://team.team-a.svc:5000",)


@given(
    st.from_regex(checks.IDENTITY.regex, fullmatch=True).filter(checks.IDENTITY.allows),
    st.from_regex(checks.TEXT.regex, fullmatch=True).filter(checks.TEXT.allows),
    st.sampled_from(["1s", "90m", "24h"]),
)
def test_the_server_takes_every_issuer_and_every_identity_that_a_spec_may_name(
    identity: str, text: str, time: str
) -> None:
    name = identity.partition(":")[0]
    assume(name != "system" and len(name) <= checks.DNS_LABEL.longest)
    issuer = {
        "name": name,
        "issuer": text,
        "audiences": [text],
        "jwksRef": {"name": "keys"},
        "maxLifetime": time,
        "claims": [{"name": text, "values": [text]}],
    }
    rule = {"identities": [identity], "repositories": ["**"], "actions": ["pull"]}
    asked = registry({"access": {"issuers": [issuer], "rules": [rule]}})
    config = desired.config_map(asked, SETTINGS, Issuers(keys={name: "{}"}))
    access = _read(config["data"]["server.yaml"]).access
    assert access.rules[-1].identities == (identity,)
    assert (access.issuers[0].issuer, access.issuers[0].prefix) == (text, name)
    assert access.issuers[0].claims == {text: (text,)}


TIMES = ["1s", "90m", "720h", "87600h"]


@pytest.mark.parametrize("time", TIMES)
def test_the_server_takes_every_rule_of_retention_that_a_spec_may_hold(time: str) -> None:
    rule = {
        "repositories": ["apps/**", "*/x"],
        "keepTags": ["v*", "*.*-RC_*", "*"],
        "keepLast": 1000,
        "keepNewerThan": time,
        "keepPulledWithin": time,
        "untaggedAfter": time,
        "dryRun": True,
    }
    found = _read(_config({"retention": [rule, {"repositories": ["**"], "untaggedAfter": "0s"}]}))
    assert found.retention.problems == ()
    assert [one.limits_tags for one in found.retention.rules] == [True, False]
    assert found.retention.rules[0].keep_newer_than == Duration.parse(time).delta


@given(st.from_regex(checks.TAG_GLOB.regex, fullmatch=True).filter(_is_short_tag))
def test_the_server_takes_every_tag_glob_of_a_rule_of_retention(glob: str) -> None:
    rule = {"repositories": ["**"], "keepTags": [glob]}
    found = _read(_config({"retention": [rule]}))
    assert found.retention.problems == ()
    assert found.retention.rules[0].keep_tags == (glob,)
