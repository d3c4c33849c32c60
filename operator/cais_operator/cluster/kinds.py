# SPDX-License-Identifier: Apache-2.0
"""Which kinds the operator handles and where the API server keeps them. Pure."""

from dataclasses import dataclass
from urllib.parse import quote

from cais_operator import names


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object; all are namespaced but Namespace and ClusterRole, which are only read.

    Attributes:
        name: As in `kind`.
        api_version: As in `apiVersion`.
        plural: As in the path.
    """

    name: str
    api_version: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
        """Return the request path; without a namespace, that of all namespaces together."""
        root = "/apis/" if "/" in self.api_version else "/api/"
        place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        tail = "".join(f"/{quote(part, safe='')}" for part in (name, sub) if part)
        return f"{root}{self.api_version}{place}/{self.plural}{tail}"


_GATEWAY = "gateway.networking.k8s.io/v1"
REGISTRY = Kind(name=names.KIND, api_version=names.API_VERSION, plural=names.PLURAL)
SECRET = Kind(name="Secret", api_version="v1", plural="secrets")

# What a Registry owns; watched by label.
CHILD_KINDS = (
    Kind(name="Service", api_version="v1", plural="services"),
    SECRET,
    Kind(name="ConfigMap", api_version="v1", plural="configmaps"),
    Kind(name="ServiceAccount", api_version="v1", plural="serviceaccounts"),
    Kind(name="PersistentVolumeClaim", api_version="v1", plural="persistentvolumeclaims"),
    Kind(name="Deployment", api_version="apps/v1", plural="deployments"),
    Kind(name="CronJob", api_version="batch/v1", plural="cronjobs"),
    Kind(name="Job", api_version="batch/v1", plural="jobs"),
    Kind(name="NetworkPolicy", api_version="networking.k8s.io/v1", plural="networkpolicies"),
    Kind(name="Ingress", api_version="networking.k8s.io/v1", plural="ingresses"),
)
# Owned too, but not known to every cluster, or asked for by few; watched once a Registry does.
OPTIONAL_KINDS = (
    Kind(name="PodDisruptionBudget", api_version="policy/v1", plural="poddisruptionbudgets"),
    Kind(name="Certificate", api_version="cert-manager.io/v1", plural="certificates"),
    Kind(name="HTTPRoute", api_version=_GATEWAY, plural="httproutes"),
    Kind(name="BackendTLSPolicy", api_version=_GATEWAY, plural="backendtlspolicies"),
)
_OTHERS = (
    REGISTRY,
    Kind(name=names.ACCESS_KIND, api_version=names.API_VERSION, plural=names.ACCESS_PLURAL),
    Kind(name="Namespace", api_version="v1", plural="namespaces"),
    Kind(name="Pod", api_version="v1", plural="pods"),
    Kind(name="Event", api_version="v1", plural="events"),
    Kind(name="Lease", api_version="coordination.k8s.io/v1", plural="leases"),
    Kind(name="Role", api_version="rbac.authorization.k8s.io/v1", plural="roles"),
    Kind(name="ClusterRole", api_version="rbac.authorization.k8s.io/v1", plural="clusterroles"),
)
_BY_NAME = {kind.name: kind for kind in (*CHILD_KINDS, *OPTIONAL_KINDS, *_OTHERS)}


def kind_of(name: str) -> Kind:
    """Return the kind of that name.

    Raises:
        KeyError: When the operator has nothing to do with it.
    """
    return _BY_NAME[name]
