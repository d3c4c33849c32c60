# SPDX-License-Identifier: Apache-2.0
"""For each CEL rule of the CRD one spec that it accepts and one that it refuses.

A contract test sees to it that no rule is without a case; an integration test asks a real
API server.
"""

from typing import Any

from support.crd_access_cases import ACCESS_BROKEN, ACCESS_CASES
from support.crd_case import Case, Spec
from support.crd_exposure_cases import EXPOSURE_BROKEN, EXPOSURE_CASES
from support.crd_storage_cases import STORAGE_BROKEN, STORAGE_CASES


def _issued(validity: str, renew_before: str) -> Spec:
    return {"tls": {"issued": {"validity": validity, "renewBefore": renew_before}}}


def _asked(**more: str) -> Spec:
    return {"tls": {"certManager": {"issuerRef": {"name": "ca"}, **more}}}


def _rule(user: str) -> Spec:
    rule = {"users": [user], "repositories": ["apps/**"], "actions": ["pull"]}
    return {"access": {"users": [{"name": "ci"}], "rules": [rule]}}


def _immutable(repositories: list[str], tags: list[str]) -> Spec:
    return {"immutableTags": [{"repositories": repositories, "tags": tags}]}


def _kept(**rule: Any) -> Spec:
    return {"retention": [{"repositories": ["**"], **rule}]}


def _pod(**pod: Any) -> Spec:
    return {"pod": pod}


CASES = (
    *ACCESS_CASES,
    Case(
        message="metadata.name must begin with a letter",
        accepted={},
        refused={},
        names=("a" * 40, "a" * 41),
    ),
    Case(
        message="metadata.name must begin with a letter",
        accepted={},
        refused={},
        names=("team-1", "1-team"),
    ),
    Case(
        message="metadata.name must begin with a letter",
        accepted={},
        refused={},
        names=("team-1", "team.1"),
    ),
    Case(
        message="renewBefore must be less than validity",
        accepted=_issued("24h", "23h59m"),
        refused=_issued("24h", "24h"),
    ),
    Case(
        message="validity must be at least 1h",
        accepted=_issued("1h", "0s"),
        refused=_issued("59m59s", "0s"),
    ),
    Case(
        message="name exactly one of issued, secretRef, certManager and disabled",
        accepted={"tls": {"secretRef": {"name": "own"}}},
        refused={"tls": {"secretRef": {"name": "own"}, "issued": {}}},
    ),
    Case(
        message="name exactly one of issued, secretRef, certManager and disabled",
        accepted={"tls": {"disabled": {}}},
        refused={"tls": {"disabled": {}, "certManager": {"issuerRef": {"name": "ca"}}}},
    ),
    Case(
        message="name exactly one of issued, secretRef, certManager and disabled",
        before={},  # nobody has to take a default out
        accepted={"tls": {"secretRef": {"name": "own"}}},
        refused={"tls": {"secretRef": {"name": "own"}, "disabled": {}}},
    ),
    Case(
        message="renewBefore must be less than duration",
        accepted=_asked(duration="24h", renewBefore="23h59m"),
        refused=_asked(duration="24h", renewBefore="24h"),
    ),
    Case(
        message="duration must be at least 1h",
        accepted=_asked(duration="1h", renewBefore="5m"),
        refused=_asked(duration="59m", renewBefore="5m"),
    ),
    Case(
        message="renewBefore must be at least 5m",
        accepted=_asked(renewBefore="5m"),
        refused=_asked(renewBefore="299s"),
    ),
    Case(
        message="names Hostnames needs a name in spec.expose.hostnames",
        accepted={**_asked(names="Hostnames"), "expose": {"hostnames": ["r.example.com"]}},
        refused={**_asked(names="Hostnames"), "expose": {"hostnames": []}},
    ),
    Case(
        message="names Hostnames needs a name in spec.expose.hostnames",
        accepted=_asked(names="All"),
        refused=_asked(names="Hostnames"),
    ),
    Case(
        message="a rule may only name users of spec.access.users",
        accepted=_rule("ci"),
        refused=_rule("admin"),
    ),
    Case(
        message="admin, pull and cais-gc are generated for every Registry",
        accepted={"access": {"users": [{"name": "admins"}]}},
        refused={"access": {"users": [{"name": "cais-gc"}]}},
    ),
    Case(
        message="nodePort needs type NodePort",
        accepted={"expose": {"type": "NodePort", "nodePort": 30500}},
        refused={"expose": {"nodePort": 30500}},
    ),
    Case(
        message="a host name may not be a Service's name",
        accepted={"expose": {"hostnames": ["svc.example.com"]}},
        refused={"expose": {"hostnames": ["other.team-b.svc.cluster.local"]}},
    ),
    Case(
        message="a host name may not be a Service's name",
        accepted={"expose": {"hostnames": ["other.example"]}},
        refused={"expose": {"hostnames": ["other.team-b.svc"]}},
    ),
    Case(
        message="pushLease may be at most 8760h",
        accepted={"garbageCollection": {"pushLease": "8760h"}},
        refused={"garbageCollection": {"pushLease": "8760h1s"}},
    ),
    Case(
        message="undeleteWindow may be at most 8760h",
        accepted={"garbageCollection": {"undeleteWindow": "0s"}},
        refused={"garbageCollection": {"undeleteWindow": "999999h"}},
    ),
    Case(
        message="quota must be more than zero",
        accepted={"quota": "4Ei"},
        refused={"quota": "4097Pi"},
    ),
    Case(
        message="quota must be more than zero",
        accepted={"quota": "1"},
        refused={"quota": "0Gi"},
    ),
    Case(
        message="keepNewerThan must be more than 0s and at most 87600h",
        accepted=_kept(keepNewerThan="87600h"),
        refused=_kept(keepNewerThan="87600h1s"),
    ),
    Case(
        message="keepNewerThan must be more than 0s and at most 87600h",
        accepted=_kept(keepNewerThan="1s"),
        refused=_kept(keepNewerThan="0h0s"),
    ),
    Case(
        message="keepPulledWithin must be more than 0s and at most 87600h",
        accepted=_kept(keepPulledWithin="720h"),
        refused=_kept(keepPulledWithin="0s"),
    ),
    Case(
        message="untaggedAfter may be at most 87600h",
        accepted=_kept(untaggedAfter="0s"),
        refused=_kept(untaggedAfter="87601h"),
    ),
    Case(
        message="labels that begin with app.kubernetes.io/",
        accepted=_pod(labels={"example.com/app.kubernetes.io": "a"}),
        refused=_pod(labels={"app.kubernetes.io/name": "a"}),
    ),
    Case(
        message="annotations that begin with app.kubernetes.io/",
        accepted=_pod(annotations={"example.com/cais.dev": "a"}),
        refused=_pod(annotations={"cais.dev/nudge": "a"}),
    ),
    *EXPOSURE_CASES,
    *STORAGE_CASES,
)

# What the schema alone refuses, and the field that the refusal names.
BROKEN: tuple[tuple[str, Spec], ...] = (
    *ACCESS_BROKEN,
    ("spec.tls.issued.validity", _issued("90d", "1h")),
    ("spec.tls.secretRef.name", {"tls": {"secretRef": {}}}),
    ("spec.tls.secretRef.name", {"tls": {"secretRef": {"name": "Own"}}}),
    ("spec.tls.certManager.issuerRef", {"tls": {"certManager": {}}}),
    (
        "spec.tls.certManager.issuerRef.kind",
        {"tls": {"certManager": {"issuerRef": {"name": "ca", "kind": "issuer"}}}},
    ),
    ("spec.tls.certManager.names", _asked(names="Some")),
    ("spec.tls.certManager.duration", _asked(duration="90d")),
    ("spec.access.anonymous[0]", {"access": {"anonymous": ["push"]}}),
    ("spec.access.users[1]", {"access": {"users": [{"name": "ci"}, {"name": "ci"}]}}),
    ("spec.access.users[0].name", {"access": {"users": [{"name": "Ci"}]}}),
    ("spec.expose.hostnames[0]", {"expose": {"hostnames": ["10.0.0.1"]}}),
    ("spec.expose.hostnames[0]", {"expose": {"hostnames": ["localhost"]}}),
    ("spec.expose.type", {"expose": {"type": "Route"}}),
    ("spec.expose.nodePort", {"expose": {"type": "NodePort", "nodePort": 70000}}),
    ("spec.garbageCollection.schedule", {"garbageCollection": {"schedule": "at night"}}),
    ("spec.garbageCollection.undeleteWindow", {"garbageCollection": {"undeleteWindow": ""}}),
    ("spec.garbageCollection.timeZone", {"garbageCollection": {"timeZone": "here there"}}),
    ("spec.quota", {"quota": "-1Gi"}),
    ("spec.quota", {"quota": 5}),
    ("spec.quota", {"quota": "plenty"}),
    ("spec.readOnly", {"readOnly": "yes"}),
    ("spec.version", {"version": "latest"}),
    ("spec.version", {"version": "0.1"}),
    ("spec.version", {"version": "v0.1.0"}),
    ("spec.version", {"version": "0.1.0@sha256:0"}),
    ("spec.version", {"version": ""}),
    ("spec.immutableTags[0].tags", {"immutableTags": [{"repositories": ["**"]}]}),
    ("spec.immutableTags[0].repositories", _immutable([], ["v*"])),
    ("spec.immutableTags[0].tags", _immutable(["**"], [])),
    ("spec.immutableTags[0].repositories[0]", _immutable(["Apps/**"], ["v*"])),
    ("spec.immutableTags[0].tags[0]", _immutable(["**"], ["a/b"])),
    ("spec.immutableTags[0].tags[0]", _immutable(["**"], ["**"])),
    ("spec.immutableTags[0].tags[0]", _immutable(["**"], ["v" * 129])),
    ("spec.immutableTags[0].tags[1]", _immutable(["**"], ["v*", "v*"])),
    ("spec.retention[0].repositories", {"retention": [{"keepLast": 1}]}),
    ("spec.retention[0].repositories", _kept(repositories=[])),
    ("spec.retention[0].repositories[0]", _kept(repositories=["apps/["])),
    ("spec.retention[0].keepTags[0]", _kept(keepTags=["v[0-9]"])),
    ("spec.retention[0].keepTags[0]", _kept(keepTags=["v**"])),
    ("spec.retention[0].keepTags[0]", _kept(keepTags=[""])),
    ("spec.retention[0].keepLast", _kept(keepLast=0)),
    ("spec.retention[0].keepLast", _kept(keepLast=1001)),
    ("spec.retention[0].keepNewerThan", _kept(keepNewerThan="30d")),
    ("spec.retention[0].untaggedAfter", _kept(untaggedAfter="")),
    ("spec.retention", {"retention": [{"repositories": ["**"]}] * 33}),
    ("spec.pod.resources.limits.memory", _pod(resources={"limits": {"memory": "lots"}})),
    *EXPOSURE_BROKEN,
    *STORAGE_BROKEN,
)
