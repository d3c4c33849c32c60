# SPDX-License-Identifier: Apache-2.0
"""Bodies of Secrets with generated material, for CREATE or a change under a precondition. Pure."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cais_operator import backend, issuer_marks, names, token_keys
from cais_operator.brought import Brought
from cais_operator.certificates import Authority, Leaf
from cais_operator.consumers import Account, accounts
from cais_operator.credentials import UserEntry, fingerprints_of
from cais_operator.desired.metadata import finish, finish_access
from cais_operator.jwks import NOBODY, Issuers
from cais_operator.names import Hosts
from cais_operator.render import Manifest, render
from cais_operator.resource import Registry, RegistryAccess, User
from cais_operator.settings import Settings
from cais_operator.token_keys import TokenKey

_DOCKER = "kubernetes.io/dockerconfigjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Secret:
    name: str
    type: str
    data: Mapping[str, str]


def authority_secret(settings: Settings, authority: Authority) -> Manifest:
    """Return the installation's CA, in the system namespace; nobody owns it."""
    texts = {
        "tls.crt": authority.certificate,
        "tls.key": authority.key,
        "ca.crt": authority.bundle,
    }
    manifest = _secret(names.AUTHORITY_SECRET, texts, kind="kubernetes.io/tls")
    labels = {names.MANAGED_BY: names.MANAGER, names.COMPONENT: "authority"}
    place = {"namespace": settings.system_namespace, "labels": labels}
    return {**manifest, "metadata": {**manifest["metadata"], **place}}


def tls_secret(
    registry: Registry, settings: Settings, leaf: Leaf, authority: Authority
) -> Manifest:
    """Return the leaf certificate with its key and the CA bundle."""
    del settings
    texts = {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": authority.bundle}
    manifest = _secret(names.tls_secret(registry), texts, kind="kubernetes.io/tls")
    return finish(manifest, registry)


def brought_tls_secret(registry: Registry, settings: Settings, brought: Brought) -> Manifest:
    """Return the copy of a certificate that was brought, in the form that the server reads.

    `ca.crt` is what clients should trust, `trust.crt` what operator and garbage collection do.
    """
    del settings
    texts = {
        "tls.crt": brought.leaf.certificate,
        "tls.key": brought.leaf.key,
        "ca.crt": brought.bundle,
        names.TRUST_KEY: brought.trust,
    }
    manifest = _secret(names.tls_secret(registry), texts, kind="kubernetes.io/tls")
    return finish(manifest, registry)


def admin_secret(registry: Registry, settings: Settings, password: str) -> Manifest:
    """Return the credentials of `admin`."""
    del settings
    texts = _login(names.ADMIN, password)
    return finish(_secret(names.admin_secret(registry), texts), registry)


def gc_secret(registry: Registry, settings: Settings, password: str) -> Manifest:
    """Return the credentials of `cais-gc`, also as the line that `--credentials-file` reads."""
    del settings
    texts = {**_login(names.GC, password), "credentials": f"{names.GC}:{password}"}
    return finish(_secret(names.gc_secret(registry), texts), registry)


def user_secret(registry: Registry, settings: Settings, user: User, password: str) -> Manifest:
    """Return the generated credentials of a declared user without a reference."""
    del settings
    texts = _login(user.name, password)
    return finish(_secret(names.user_secret(registry, user), texts), registry)


def pull_secret(
    registry: Registry, settings: Settings, password: str, hosts: Hosts, node_port: int | None
) -> Manifest:
    """Return the credentials of `pull` as an image pull Secret for every address of the registry.

    Args:
        registry: The Registry.
        settings: Not used; every function of this room takes it.
        password: Of the user `pull`.
        hosts: From `names.hosts`.
        node_port: Of the live Service; None when it has none.
    """
    del settings
    addresses = names.addresses(registry, hosts, node_port)
    texts = _docker_login(names.PULL, password, addresses)
    return finish(_secret(names.pull_secret(registry), texts, kind=_DOCKER), registry)


def consumer_secret(
    access: RegistryAccess, password: str, addresses: tuple[str, ...], bundle: str
) -> Manifest:
    """Return the Secret of a RegistryAccess: an image pull Secret with the CA beside it.

    Args:
        access: Whose it is.
        password: Of its account.
        addresses: Of the registry, from `names.addresses`.
        bundle: PEM of the CA bundle; empty where there is none to trust.
    """
    texts = _docker_login(names.account(access), password, addresses)
    texts |= {"ca.crt": bundle} if bundle else {}
    return finish_access(_secret(access.spec.secret_name, texts, kind=_DOCKER), access)


def accounts_secret(registry: Registry, issued: Mapping[str, Account]) -> Manifest:
    """Return the accounts of consumers; nobody but the operator reads it."""
    texts = {accounts.KEY: accounts.text(issued)}
    return finish(_secret(names.accounts_secret(registry), texts), registry)


def users_secret(
    registry: Registry, settings: Settings, entries: tuple[UserEntry, ...]
) -> Manifest:
    """Return the htpasswd file, and the fingerprints that spare reconcile from bcrypt.

    Only `htpasswd` is mounted into the pod.
    """
    del settings
    lines = "".join(f"{entry.name}:{entry.hash}\n" for entry in entries)
    marks = json.dumps(fingerprints_of(entries), sort_keys=True)
    texts = {"htpasswd": lines, "fingerprints": marks}
    return finish(_secret(names.users_secret(registry), texts), registry)


def token_keys_secret(
    registry: Registry,
    settings: Settings,
    keys: tuple[TokenKey, ...],
    known: Issuers = NOBODY,
) -> Manifest:
    """Return the file of the keys that sign tokens, the one that signs first.

    Only that file is mounted into the pod; the marks of issuers are for the operator.
    """
    del settings
    texts = {token_keys.FILE: token_keys.text(keys)}
    texts |= {issuer_marks.FILE: issuer_marks.text(known.marks)} if known.marks else {}
    return finish(_secret(names.token_keys_secret(registry), texts), registry)


def backend_secret(
    registry: Registry, settings: Settings, given: Mapping[str, str], revision: str
) -> Manifest:
    """Return the copy of the keys and addresses of bucket and database, for the pods to mount."""
    del settings
    texts = {**given, backend.REVISION: revision}
    return finish(_secret(backend.secret_name(registry), texts), registry)


def _docker_login(user: str, password: str, addresses: tuple[str, ...]) -> dict[str, str]:
    login = _login(user, password)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    auths = {address: {**login, "auth": auth} for address in addresses}
    return {**login, ".dockerconfigjson": json.dumps({"auths": auths}, sort_keys=True)}


def _login(user: str, password: str) -> dict[str, str]:
    return {"username": user, "password": password}


def _secret(name: str, texts: Mapping[str, str], *, kind: str = "Opaque") -> Manifest:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return render("secret", _Secret(name=name, type=kind, data=data))
