# SPDX-License-Identifier: Apache-2.0
"""What should be there: one pure function a child, in the order of applying.

Every result is in normal form (what the API server would store), so that its hash equals that of
the live object projected on our own fields. Objects with generated material (`*_secret`) are for
CREATE, or for a change with the live resourceVersion; never for a forced apply.
"""

from cais_operator.certificates import Authority, Leaf
from cais_operator.credentials import UserEntry
from cais_operator.names import Hosts
from cais_operator.observed import Live
from cais_operator.render import Manifest
from cais_operator.resource import Registry
from cais_operator.settings import Settings


def service(registry: Registry, settings: Settings) -> Manifest:
    """First of all: its ClusterIP goes into the certificate.

    A ClusterIP that the status still knows (`status.clusterIP`) is asked for again, because nodes
    and certificates carry it.
    """
    raise NotImplementedError


def network_policy(registry: Registry, settings: Settings) -> Manifest:
    """The server: anyone may reach its port, it may reach nobody."""
    raise NotImplementedError


def gc_network_policy(registry: Registry, settings: Settings) -> Manifest:
    """Garbage collection pods: DNS and the server, nothing else."""
    raise NotImplementedError


def service_account(registry: Registry, settings: Settings) -> Manifest:
    """An account without a token."""
    raise NotImplementedError


def config_map(registry: Registry, settings: Settings) -> Manifest:
    """The server's configuration."""
    raise NotImplementedError


def ca_config_map(registry: Registry, settings: Settings, authority: Authority) -> Manifest:
    """The CA bundle that clients of this registry trust."""
    raise NotImplementedError


def claim(registry: Registry, settings: Settings, live: Live | None) -> Manifest | None:
    """The claim; None when an existing one is used. Never smaller than the live one."""
    raise NotImplementedError


def deployment(registry: Registry, settings: Settings) -> Manifest:
    """The server."""
    raise NotImplementedError


def cron_job(registry: Registry, settings: Settings) -> Manifest:
    """The scheduled garbage collection: a thin client of the server's admin API."""
    raise NotImplementedError


def authority_secret(settings: Settings, authority: Authority) -> Manifest:
    """The installation's CA, in the system namespace."""
    raise NotImplementedError


def tls_secret(
    registry: Registry, settings: Settings, leaf: Leaf, authority: Authority
) -> Manifest:
    """The leaf certificate with its key and the CA bundle."""
    raise NotImplementedError


def admin_secret(registry: Registry, settings: Settings, password: str) -> Manifest:
    """Credentials of `admin`."""
    raise NotImplementedError


def gc_secret(registry: Registry, settings: Settings, password: str) -> Manifest:
    """Credentials of `cais-gc`, also as one line for `--credentials-file`."""
    raise NotImplementedError


def pull_secret(
    registry: Registry, settings: Settings, password: str, hosts: Hosts, node_port: int | None
) -> Manifest:
    """Credentials of `pull` as an image pull Secret for every host of the registry."""
    raise NotImplementedError


def user_secret(registry: Registry, settings: Settings, user: str, password: str) -> Manifest:
    """Generated credentials of a declared user without a reference."""
    raise NotImplementedError


def users_secret(
    registry: Registry, settings: Settings, entries: tuple[UserEntry, ...]
) -> Manifest:
    """The htpasswd file, and the fingerprints that spare reconcile from bcrypt."""
    raise NotImplementedError


def loaded_files(config_map: Live, users: Live, tls: Live) -> dict[str, str]:
    """Return path to SHA-256 of what the server should report as loaded (`GET config`)."""
    raise NotImplementedError
