# SPDX-License-Identifier: Apache-2.0
"""Golden manifests: a Registry in, the whole set of its children out.

`python hack/golden.py` rewrites tests/golden/*/manifests.yaml from tests/golden/*/registry.yaml;
what changed is then read in the diff. A test compares them.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from cais_operator import backend, desired, names
from cais_operator.brought import Brought
from cais_operator.certificates import Authority, Facts, Leaf
from cais_operator.credentials import UserEntry
from cais_operator.jwks import Issuers, Published
from cais_operator.names import Hosts
from cais_operator.render import Manifest
from cais_operator.resource import Registry, parse
from cais_operator.settings import Settings
from cais_operator.token_keys import TokenKey

CASES = Path(__file__).parent.parent / "tests" / "golden"

# Generated material is made up, so that the same Registry always gives the same text.
_CA = Authority(certificate="a CA certificate", key="its key", bundle="CA certificates")
_LEAF = Leaf(certificate="a certificate", key="its key")
_EVER = datetime(2026, 1, 1, tzinfo=UTC)
_BROUGHT = Brought(
    leaf=_LEAF,
    bundle="CA certificates",
    facts=Facts(not_before=_EVER, not_after=_EVER, dns=frozenset(), ips=frozenset(), sha256=""),
)
_KEY = TokenKey(created=datetime(2026, 3, 1, tzinfo=UTC), pem="a key of tokens\n")
_ISSUER = Published(issuer="https://kubernetes.default.svc", keys="public keys")
_IMAGE = "cais-registry:golden"


def cases() -> list[Path]:
    """The folders of all cases."""
    return sorted(path.parent for path in CASES.glob("*/registry.yaml"))


def manifests(case: Path) -> list[Manifest]:
    """Everything that the Registry of a case owns, in the order of applying."""
    body: dict[str, Any] = yaml.safe_load((case / "registry.yaml").read_text())
    body["metadata"] |= {"uid": "00000000-0000-0000-0000-000000000000", "generation": 1}
    settings = Settings(registry_image=_IMAGE)
    return [_unversioned(one) for one in _children(parse(body), settings)]


def text(case: Path) -> str:
    """The manifests of a case as YAML."""
    head = "# Written by hack/golden.py from registry.yaml.\n---\n"
    return head + yaml.dump_all(manifests(case), Dumper=_Dumper, sort_keys=False, width=100)


def _children(registry: Registry, settings: Settings) -> Iterator[Manifest]:
    hosts = names.hosts(registry, ("10.96.0.50",), settings.cluster_domain)
    claim, copy = desired.claim(registry, settings, None), _copy(registry, settings)
    yield desired.service(registry, settings)
    yield desired.network_policy(registry, settings)
    yield desired.gc_network_policy(registry, settings)
    yield desired.service_account(registry, settings)
    access = registry.spec.access
    cluster = _ISSUER if access.names_service_accounts else None
    known = Issuers(cluster=cluster, keys={one.name: "public keys" for one in access.issuers})
    yield desired.config_map(registry, settings, known)
    if not registry.spec.tls.is_disabled:
        yield desired.ca_config_map(registry, settings, _CA.bundle)
    yield from [] if claim is None else [claim]
    yield from _certificate(registry, settings, hosts)
    yield desired.admin_secret(registry, settings, "a password")
    yield desired.gc_secret(registry, settings, "a password")
    node_port = registry.spec.expose.node_port
    yield desired.pull_secret(registry, settings, "a password", hosts, node_port)
    for user in registry.spec.access.users:
        if user.password_secret_ref is None:
            yield desired.user_secret(registry, settings, user, "a password")
    yield desired.users_secret(registry, settings, tuple(_entries(registry)))
    yield desired.token_keys_secret(registry, settings, (_KEY,))
    yield from [] if copy is None else [copy]
    yield desired.deployment(registry, settings, copy)
    budget = desired.disruption_budget(registry, settings)
    yield from [] if budget is None else [budget]
    yield desired.cron_job(registry, settings, _way(registry))
    yield from desired.exposure(registry, settings, host=_way(registry).host, has_bundle=True)


def _copy(registry: Registry, settings: Settings) -> Manifest | None:
    given = {file: f"content of {file}" for file in backend.files(registry)}
    return desired.backend_secret(registry, settings, given, "a revision") if given else None


def _certificate(registry: Registry, settings: Settings, hosts: Hosts) -> Iterator[Manifest]:
    tls = registry.spec.tls
    if tls.cert_manager is not None:
        yield desired.certificate(registry, settings, tls.cert_manager, hosts)
    if tls.is_issued:
        yield desired.tls_secret(registry, settings, _LEAF, _CA)
    elif not tls.is_disabled:
        yield desired.brought_tls_secret(registry, settings, _BROUGHT)


def _way(registry: Registry) -> desired.Way:
    """A brought certificate is made up to cover the names of the spec and no other."""
    tls, inside, outside = registry.spec.tls, names.inside(registry), registry.spec.expose.hostnames
    if tls.is_issued or tls.is_disabled:
        return desired.Way(host=inside)
    is_inside = not outside or (tls.cert_manager is not None and tls.cert_manager.names == "All")
    if is_inside:
        return desired.Way(host=inside, trust_key=names.TRUST_KEY)
    return desired.Way(host=outside[0], ip="10.96.0.50", trust_key=names.TRUST_KEY)


def _entries(registry: Registry) -> Iterator[UserEntry]:
    declared = (user.name for user in registry.spec.access.users)
    for name in sorted((*names.GENERATED_USERS, *declared)):
        yield UserEntry(name=name, hash="a hash", fingerprint="a fingerprint")


def _unversioned(manifest: Manifest) -> Manifest:
    """A release must not change every golden file."""
    manifest["metadata"]["labels"]["app.kubernetes.io/version"] = "golden"
    return manifest


class _Dumper(yaml.SafeDumper):
    """Without anchors, and long texts as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _as_block(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _as_block)


def main() -> int:
    """Rewrite every case."""
    for case in cases():
        (case / "manifests.yaml").write_text(text(case))
        print(f"wrote {case.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
