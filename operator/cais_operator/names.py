# SPDX-License-Identifier: Apache-2.0
"""Every name the operator gives: children, labels, annotations, managers, hosts. Pure."""

from dataclasses import dataclass

from cais_operator.resource import Registry, RegistryAccess, User

GROUP = "cais.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "Registry"
PLURAL = "registries"
ACCESS_KIND = "RegistryAccess"
ACCESS_PLURAL = "registryaccesses"

MANAGER = "cais-operator"  # field manager of children
STATUS_MANAGER = "cais-operator-status"

MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
CHILDREN = f"{MANAGED_BY}={MANAGER}"  # label selector of the watches on children

OWNER = "cais.dev/registry"  # annotation of a claim: the Registry whose data it holds
STATIC_CONFIG = "cais.dev/static-config"  # annotation of pods: checksum of what needs a restart
TEMPLATE = "cais.dev/template"  # annotation of Deployments: digest of the template applied last
ASKED = "cais.dev/asked"  # the same of what the spec said of it
RESTARTED = "cais.dev/restarted"  # when it was changed in its turn, for an upgrade
NUDGE = "cais.dev/nudge"  # annotation of pods: a touch makes the kubelet refresh mounted files

ACCESS = "cais.dev/access"  # label of a consumer's Secret: the RegistryAccess that it belongs to
PULL_SECRETS = "cais.dev/pull-secrets"  # of ServiceAccounts: what was added to their pull Secrets

COLLECT = "cais.dev/gc"  # annotation of a Registry: asks for a garbage collection, once
ROTATE = "cais.dev/rotate"  # annotation that asks for new material, once

# Annotations of the CA's Secret while one CA takes the place of another.
ROTATION = "cais.dev/rotation"  # words for people: what goes on, and whom it waits for
ROTATION_SINCE = "cais.dev/rotation-since"  # when the phase began
ROTATION_SETTLED = "cais.dev/rotation-settled"  # since when nothing is waited for but the time

RESERVED_PREFIXES = ("app.kubernetes.io/", "cais.dev/")  # labels and annotations we give

PORT = 5000
UID = 65532  # of the images' user; also the group of the volume

ADMIN = "admin"
PULL = "pull"
GC = "cais-gc"
USER_SECRETS = "{}-user-"  # how names of Secrets of declared users begin; the Registry's name
GENERATED_USERS = (ADMIN, PULL, GC)  # always there; a spec may not declare them

REGISTRY = "registry"  # component labels
GC_COMPONENT = "gc"
ACCESS_COMPONENT = "access"

DATA_DIRECTORY = "/data"
CONFIG_DIRECTORY = "/etc/cais/config"
CONFIG_FILE = f"{CONFIG_DIRECTORY}/server.yaml"
HTPASSWD_FILE = "/etc/cais/users/htpasswd"
TOKEN_KEYS_FILE = "/etc/cais/tokens/keys"  # noqa: S105 - the name of a file
TLS_CERT_FILE = "/etc/cais/tls/tls.crt"
TLS_KEY_FILE = "/etc/cais/tls/tls.key"

TRUST_KEY = "trust.crt"  # of the TLS Secret, when the certificate was brought
NODES_CONFIG_MAP = "cais-nodes"  # in the namespace of the nodes' pods
NODE_TRUST = "cais-node-trust"  # name label of the nodes' pods

AUTHORITY_SECRET = "cais-ca"  # noqa: S105 - the name of a Secret; in the system namespace


def service(registry: Registry) -> str:
    """Return the name of the Service."""
    return registry.name


def deployment(registry: Registry) -> str:
    """Return the name of the Deployment."""
    return registry.name


def service_account(registry: Registry) -> str:
    """Return the name of the ServiceAccount."""
    return registry.name


def network_policy(registry: Registry) -> str:
    """Return the name of the server's NetworkPolicy."""
    return registry.name


def gc_network_policy(registry: Registry) -> str:
    """Return the name of the garbage collection pods' NetworkPolicy.

    The dot keeps it apart from the policy of a Registry that is itself named `team-gc`.
    """
    return f"{registry.name}.gc"


def claim(registry: Registry) -> str:
    """Return the name of the claim that is mounted: the existing one, else our own."""
    return registry.spec.storage.existing_claim or f"{registry.name}-data"


def tls_secret(registry: Registry) -> str:
    """Return the name of the Secret with the leaf certificate."""
    return f"{registry.name}-tls"


def certificate(registry: Registry) -> str:
    """Return the name of the Certificate of cert-manager, and of the Secret that it fills."""
    return f"{registry.name}-certificate"


def brought_secret(registry: Registry) -> str | None:
    """Return the name of the Secret that a certificate is taken from; None when we issue it."""
    tls = registry.spec.tls
    if tls.secret_ref is not None:
        return tls.secret_ref.name
    return None if tls.cert_manager is None else certificate(registry)


def admin_secret(registry: Registry) -> str:
    """Return the name of the Secret with the admin user's credentials."""
    return f"{registry.name}-admin"


def gc_secret(registry: Registry) -> str:
    """Return the name of the Secret with the garbage collection user's credentials."""
    return f"{registry.name}-gc"


def pull_secret(registry: Registry) -> str:
    """Return the name of the image pull Secret."""
    return f"{registry.name}-pull"


def user_secret(registry: Registry, user: User) -> str:
    """Return the name of the Secret that holds a declared user's password, given or generated."""
    if user.password_secret_ref is not None:
        return user.password_secret_ref.name
    return USER_SECRETS.format(registry.name) + user.name


def users_secret(registry: Registry) -> str:
    """Return the name of the Secret with the htpasswd file."""
    return f"{registry.name}-users"


def token_keys_secret(registry: Registry) -> str:
    """Return the name of the Secret with the keys that sign tokens."""
    return f"{registry.name}-token-keys"


def accounts_secret(registry: Registry) -> str:
    """Return the name of the Secret with the accounts of consumers."""
    return f"{registry.name}-access"


def account(access: RegistryAccess) -> str:
    """Return the user name of a RegistryAccess; no declared user may have an `@` in its name."""
    return f"{access.name}@{access.namespace}"


def config_map(registry: Registry) -> str:
    """Return the name of the ConfigMap with the server's configuration."""
    return f"{registry.name}-config"


def ca_config_map(registry: Registry) -> str:
    """Return the name of the ConfigMap with the CA bundle that clients trust."""
    return f"{registry.name}-ca"


def cron_job(registry: Registry) -> str:
    """Return the name of the CronJob."""
    return f"{registry.name}-gc"


def selector(registry: Registry, component: str) -> dict[str, str]:
    """Return the labels that select pods: fixed for ever, never a user's labels."""
    return {
        "app.kubernetes.io/name": "cais-registry",
        INSTANCE: registry.name,
        COMPONENT: component,
    }


def labels(registry: Registry, component: str, version: str) -> dict[str, str]:
    """Return the labels of a child object."""
    return {
        **selector(registry, component),
        MANAGED_BY: MANAGER,
        "app.kubernetes.io/version": version,
    }


def access_labels(access: RegistryAccess, version: str) -> dict[str, str]:
    """Return the labels of the Secret of a RegistryAccess; no Registry of its namespace has it."""
    return {
        "app.kubernetes.io/name": "cais-registry",
        COMPONENT: ACCESS_COMPONENT,
        ACCESS: access.name,
        MANAGED_BY: MANAGER,
        "app.kubernetes.io/version": version,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Under which names and addresses a registry is reached; what its certificate must cover.

    Attributes:
        dns: Host names, without ports.
        ips: ClusterIPs, as text.
    """

    dns: tuple[str, ...]
    ips: tuple[str, ...] = ()


def route(registry: Registry) -> str:
    """Return the name of the Ingress, the HTTPRoute and its policy."""
    return registry.name


def hosts(
    registry: Registry,
    cluster_ips: tuple[str, ...],
    cluster_domain: str,
    balancer: Hosts | None = None,
) -> Hosts:
    """Return names and addresses of a registry.

    Args:
        registry: The Registry.
        cluster_ips: Of its Service.
        cluster_domain: DNS domain of the cluster.
        balancer: Where its load balancer listens, once it does.

    The bare Service name and `localhost` are left out: every Registry of that name in any
    namespace would share them, and one CA signs for all.
    """
    service = inside(registry)
    own = (service, f"{service}.{cluster_domain}", service.removesuffix(".svc"))
    outside = balancer or Hosts(dns=())
    dns = (*own, *registry.spec.expose.hostnames, *outside.dns)
    ips = (*cluster_ips, *outside.ips)
    return Hosts(dns=tuple(dict.fromkeys(dns)), ips=tuple(dict.fromkeys(ips)))


def required(registry: Registry, hosts: Hosts) -> Hosts:
    """Return the names that a certificate which was brought must cover.

    Those that it was asked for of cert-manager. Of one's own it is the names of the spec, because
    who signs for them seldom signs for the names of a cluster; without any, the Service's.
    """
    outside, asked = registry.spec.expose.hostnames, registry.spec.tls.cert_manager
    if asked is not None and asked.names == "All":
        return hosts
    return Hosts(dns=outside or hosts.dns[:1])


def scheme(registry: Registry) -> str:
    """Return `https`, or `http` for a registry without TLS."""
    return "http" if registry.spec.tls.is_disabled else "https"


def inside(registry: Registry) -> str:
    """Return the address inside the cluster without a port, for example `team.team-a.svc`."""
    return f"{registry.name}.{registry.namespace}.svc"


def url(registry: Registry) -> str:
    """Return the address inside the cluster, for example `https://team.team-a.svc:5000`."""
    return f"{scheme(registry)}://{inside(registry)}:{PORT}"


def audience(registry: Registry) -> str:
    """Return whom the tokens of ServiceAccounts are to be for, however clients reach the registry.

    No other registry of the cluster has the same, so that none can use what it was shown.
    """
    return f"https://{inside(registry)}:{PORT}"


def addresses(registry: Registry, hosts: Hosts, node_port: int | None) -> tuple[str, ...]:
    """Return every `host` and `host:port` that an image reference may start with.

    Names of the spec may be routed to us by any port: the default one, ours, or the node port.
    """
    outside = set(registry.spec.expose.hostnames)
    ports = (PORT, node_port) if node_port else (PORT,)
    inside = [f"{host}:{PORT}" for host in (*hosts.dns, *map(_bracketed, hosts.ips))]
    shown = [f"{host}:{port}" for host in hosts.dns if host in outside for port in ports]
    return tuple(dict.fromkeys((*inside, *shown, *registry.spec.expose.hostnames)))


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
