# SPDX-License-Identifier: Apache-2.0
"""The server's configuration file, the CA bundle, and which files it should have loaded. Pure."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cais_operator import backend, edge, names, token_keys, versions
from cais_operator.consumers import Grant
from cais_operator.desired import identities
from cais_operator.desired.metadata import finish
from cais_operator.jwks import NOBODY, Issuers
from cais_operator.observed import Live
from cais_operator.render import Manifest, render
from cais_operator.resource import Registry, RetentionRule, Rule, Spec
from cais_operator.settings import Settings
from cais_operator.versions import Version

_HTPASSWD_KEY = "htpasswd"
_CONFIG_KEY = identities.CONFIG_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class _ConfigMap:
    name: str
    data: Mapping[str, str]


def config_map(
    registry: Registry,
    settings: Settings,
    known: Issuers = NOBODY,
    grants: tuple[Grant, ...] = (),
    reader: Version | None = None,
) -> Manifest:
    """Return the ConfigMap with the server's configuration; its text is JSON, which is YAML.

    Args:
        registry: Whose.
        settings: Of the operator.
        known: Issuers of tokens; whom others would name is nobody.
        grants: What consumers of other namespaces may do.
        reader: The version of the server that reads it; the one that the spec asks for if None.
    """
    live = _live_part(registry, known)
    live["access"]["rules"] += [_granted(one) for one in grants]
    fixed = static_part(registry, settings)
    parts = {**fixed, **live, "tokens": _tokens(registry, settings)}
    parts = versions.readable(parts, reader or versions.pinned(registry))
    text = msgspec.json.format(msgspec.json.encode(parts), indent=2).decode()
    data = {_CONFIG_KEY: text + "\n", **identities.files(known)}
    context = _ConfigMap(name=names.config_map(registry), data=data)
    return finish(render("config-map", context), registry)


def ca_config_map(registry: Registry, settings: Settings, bundle: str) -> Manifest:
    """Return the ConfigMap with the CA bundle (PEM) that clients of this registry trust."""
    del settings
    context = _ConfigMap(name=names.ca_config_map(registry), data={"ca.crt": bundle})
    return finish(render("config-map", context), registry)


def loaded_files(config: Live, users: Live, tls: Live | None, keys: Live) -> dict[str, str]:
    """Return path to SHA-256 (hex) of what the server should report as loaded (`GET config`).

    Nothing where somebody has emptied a Secret: it is put right as soon as it may be.

    Args:
        config: The configuration's ConfigMap, wanted or live.
        users: The users Secret.
        tls: The TLS Secret; None without TLS.
        keys: The Secret with the keys of tokens.
    """
    secret = {
        names.HTPASSWD_FILE: _decoded(users, _HTPASSWD_KEY),
        names.TOKEN_KEYS_FILE: _decoded(keys, token_keys.FILE),
    }
    if tls is not None:
        secret[names.TLS_CERT_FILE] = _decoded(tls, "tls.crt")
    config_text = config["data"][_CONFIG_KEY].encode()
    contents = {names.CONFIG_FILE: config_text, **identities.keys_in(config)}
    for path, content in secret.items():
        if content is None:
            return {}
        contents[path] = content
    return {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}


def has_loaded(files: Mapping[str, str], users: Live) -> bool:
    """Return whether a server that has loaded such files lets in whom the users Secret names."""
    content = _decoded(users, _HTPASSWD_KEY)
    return content is not None and (
        files.get(names.HTPASSWD_FILE) == hashlib.sha256(content).hexdigest()
    )


def _decoded(secret: Live, key: str) -> bytes | None:
    text = (secret.get("data") or {}).get(key)
    return None if text is None else base64.b64decode(text)


def static_part(registry: Registry, settings: Settings) -> dict[str, Any]:
    """Return the settings that the server reads once: a change of them restarts the pod."""
    host = settings.registry_listen
    address = f"[{host}]:{names.PORT}" if ":" in host else f"{host}:{names.PORT}"
    return {"data": names.DATA_DIRECTORY, "listen": address, **backend.settings(registry)}


def _live_part(registry: Registry, known: Issuers) -> dict[str, Any]:
    access = registry.spec.access
    rules = (_rule(rule, known) for rule in access.rules)
    collection = registry.spec.garbage_collection
    return {
        **_tls(registry),
        "auth": {"htpasswdFile": names.HTPASSWD_FILE, "realm": "cais"},
        "access": {
            "anonymous": list(access.anonymous),
            "rules": [*_GENERATED_RULES, *(rule for rule in rules if rule is not None)],
            **identities.block(registry, known),
        },
        "garbageCollection": {
            "pushLease": str(collection.push_lease),
            "undeleteWindow": str(collection.undelete_window),
        },
        **_limits(registry.spec),
        **_retention(registry),
    }


def _tls(registry: Registry) -> dict[str, Any]:
    if registry.spec.tls.is_disabled:
        return {}
    return {"tls": {"certFile": names.TLS_CERT_FILE, "keyFile": names.TLS_KEY_FILE}}


def _tokens(registry: Registry, settings: Settings) -> dict[str, Any]:
    """Names that a client can resolve send it to the token endpoint; others ask for a password.

    So a node, which reaches a registry by its ClusterIP and resolves no Service names, can pull.
    """
    hosts = names.hosts(registry, (), settings.cluster_domain)
    bare = registry.spec.expose.hostnames
    inner, outer = names.scheme(registry), edge.scheme(registry)
    addresses = names.addresses(registry, hosts, registry.spec.expose.node_port)
    return {
        "keyFile": names.TOKEN_KEYS_FILE,
        "service": names.inside(registry),
        "realms": {
            address: f"{outer if address in bare else inner}://{address}/token"
            for address in addresses
        },
    }


def _retention(registry: Registry) -> dict[str, Any]:
    """The block of the rules; none without rules, so that an older server reads the rest."""
    rules = [_kept_by(rule) for rule in registry.spec.retention]
    return {"retention": rules} if rules else {}


def _kept_by(rule: RetentionRule) -> dict[str, Any]:
    times = {
        "keepNewerThan": rule.keep_newer_than,
        "keepPulledWithin": rule.keep_pulled_within,
        "untaggedAfter": rule.untagged_after,
    }
    return {
        "repositories": list(rule.repositories),
        "keepTags": list(rule.keep_tags),
        **({} if rule.keep_last is None else {"keepLast": rule.keep_last}),
        **{field: str(time) for field, time in times.items() if time is not None},
        "dryRun": rule.dry_run,
    }


def _limits(spec: Spec) -> dict[str, Any]:
    """Only what is asked for: a server of the version before knows nothing of the rest."""
    found: dict[str, Any] = {}
    if spec.quota is not None:
        found["quota"] = spec.quota.whole
    if spec.read_only:
        found["readOnly"] = True
    if spec.immutable_tags:
        found["immutableTags"] = [
            {"repositories": list(rule.repositories), "tags": list(rule.tags)}
            for rule in spec.immutable_tags
        ]
    return found


def _granted(grant: Grant) -> dict[str, Any]:
    return {
        "users": [grant.user],
        "repositories": list(grant.repositories),
        "actions": list(grant.actions),
    }


def _rule(rule: Rule, known: Issuers) -> dict[str, Any] | None:
    """One rule; None for one that names nobody who can log in."""
    found = identities.named(rule, known)
    if not rule.users and not found:
        return None
    return {
        "users": list(rule.users),
        **({"identities": found} if found else {}),
        "repositories": list(rule.repositories),
        "actions": list(rule.actions),
    }


_GENERATED_RULES: tuple[dict[str, Any], ...] = (
    {
        "users": [names.ADMIN],
        "repositories": ["**"],
        "actions": ["pull", "push", "delete", "admin"],
    },
    {"users": [names.PULL], "repositories": ["**"], "actions": ["pull"]},
    {"users": [names.GC], "repositories": [], "actions": ["gc", "usage"]},
)
