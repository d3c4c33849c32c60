# SPDX-License-Identifier: Apache-2.0
"""Forms of the chart: values that people set, each with and without every other one."""

from collections.abc import Iterable, Iterator
from itertools import combinations

DIGEST = "sha256:" + "a" * 64
_PREFERRED = "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"

# Each may be set or not, whatever else is; every value of the chart is in one.
VALUES: dict[str, list[str]] = {
    "two replicas": ["replicas=2"],
    "images": ["image.prefix=q.example.com:5000/x,image.pullSecrets={one,two}"],
    "own images": [
        f"image.{one}.repository=own-{one},image.{one}.tag=v2" for one in ("operator", "registry")
    ],
    "digests": [f"image.operator.digest={DIGEST},image.registry.digest={DIGEST}"],
    "pulls": ["image.pullPolicy=Always"],
    "without": ["crds.install=false,rbac.aggregateToDefaultRoles=false"],
    "no account": ["serviceAccount.create=false"],
    "no roles": ["rbac.create=false"],
    "labels": ["commonLabels.team=platform,podLabels.tier=ops,podAnnotations.note=x"],
    "account": ["serviceAccount.name=own,serviceAccount.annotations.role=y"],
    "places": [
        "nodeSelector.disk=ssd,priorityClassName=system-cluster-critical",
        "tolerations[0].key=a,tolerations[0].operator=Exists,tolerations[0].effect=NoExecute",
        f"{_PREFERRED}.weight=1,{_PREFERRED}.podAffinityTerm.topologyKey=zone",
    ],
    "resources": ["resources.limits.cpu=2,test.volumeSize=1Gi"],
    "pace": [
        "ca.overlap=48h,ca.renewBefore=720h,operator.logFormat=json,operator.resyncSeconds=60",
        "operator.workers=2,rollout.maxConcurrent=1,rollout.maxFailed=1,rollout.deadline=5m",
    ],
    "IPv6": ["network.listen=::,network.ipFamilyPolicy=PreferDualStack"],
    "proxy": [r"proxy.httpsProxy=http://p:3128,proxy.noProxy=10.96.0.1\,.svc"],
    "policy": ["networkPolicy.create=true"],
    "policy of addresses": [
        "networkPolicy.apiServer.ports={8443}",
        "networkPolicy.apiServer.addresses={192.0.2.0/24,2001:db8::/64}",
    ],
    "domain": ["clusterDomain=corp.example"],
    "monitoring": [
        "monitoring.dashboard.create=true,monitoring.prometheusRule.create=true",
        "monitoring.serviceMonitor.create=true",
        # The chart refuses a policy that keeps Prometheus out.
        "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=platform",
        "networkPolicy.metricsFrom[1].ipBlock.cidr=192.0.2.9/32",
    ],
    "monitoring elsewhere": [
        f"monitoring.{one}.namespace=x,monitoring.{one}.labels.release=p"
        f",monitoring.{one}.annotations.a=b"
        for one in ("dashboard", "prometheusRule", "serviceMonitor")
    ],
    "monitoring of some": [
        "monitoring.serviceMonitor.interval=1m",
        "monitoring.prometheusRule.disabled={CaisRegistryNotCollected}",
    ],
    "monitoring of registries": ["monitoring.registryServiceMonitor.create=true"],
    "monitoring of registries by some": [
        "monitoring.registryServiceMonitor.labels.release=p",
        "monitoring.registryServiceMonitor.annotations.a=b",
        "monitoring.registryServiceMonitor.interval=1m",
    ],
}
# Not together with named namespaces.
NODES: dict[str, list[str]] = {
    "nodes": ["nodeTrust.enabled=true"],
    "nodes elsewhere": [
        "nodeTrust.namespace=x,nodeTrust.seLinuxOptions.type=spc_t,nodeTrust.nodeSelector.a=b",
        "nodeTrust.tolerations[0].key=a,nodeTrust.tolerations[0].operator=Exists",
        "nodeTrust.priorityClassName=system-node-critical,nodeTrust.resources.limits.memory=1Gi",
    ],
    "nodes of others": [
        "nodeTrust.certsDirectory=/etc/x/certs.d,nodeTrust.configFile=/etc/x/config.toml"
    ],
    "nodes no more": ["nodeTrust.remove=true"],
}
NAMED = ["watchNamespaces={team-a,team-b}"]
_ROWS, _ON = 7, 4  # of the rows that are not all off, and in how many of them a choice is on


def paired(choices: Iterable[str]) -> list[set[str]]:
    """Return sets of choices; of each two there are sets with both, either and none of them.

    Each choice is on in another four of seven sets: two of those share one at least, and neither
    has all of the other's. An eighth is empty.
    """
    fours = combinations(range(_ROWS), _ON)
    on = dict(zip(choices, fours, strict=False))
    assert on.keys() == set(choices), "there are more choices than sets of four rows"
    return [{one for one, rows in on.items() if row in rows} for row in range(_ROWS + 1)]


def _forms() -> Iterator[list[str]]:
    everywhere = VALUES | NODES
    for chosen in paired(everywhere):
        yield [value for one in everywhere if one in chosen for value in everywhere[one]]
    for chosen in paired(VALUES):
        yield NAMED + [value for one in VALUES if one in chosen for value in VALUES[one]]


FORMS = list(_forms())
