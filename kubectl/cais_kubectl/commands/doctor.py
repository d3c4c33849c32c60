# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from cais_kubectl import arguments, checks, dns, findings, output
from cais_kubectl.api import Api, Object
from cais_kubectl.errors import OK, WRONG, Failure, Forbidden, NotFound
from cais_kubectl.findings import Finding
from cais_kubectl.session import Session

SUMMARY: Final = "does the cluster have what Registries need?"
_MORE: Final = """\
Looks at the API server's version, the resource definitions, the operator and its leader, storage
classes, the cluster's DNS (kubectl forwards a port to it for one question), node trust, this
machine's clock, and your rights. Changes nothing. Exit code 1: there is a problem.
"""
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
_ARGUMENT: Final = "--cluster-domain="
_DOMAIN: Final = "cluster.local"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = _MORE
    parser.add_argument("--no-dns", action="store_true", help="leave the question to DNS out")
    arguments.form(parser)
    arguments.cluster(parser)


def run(options: argparse.Namespace, session: Session) -> int:
    """Print what was looked at."""
    found = list(_all(session, with_dns=not options.no_dns))
    if options.output != "table":
        print(output.structured([one.as_object() for one in found], options.output))
    else:
        print("\n".join(output.plain(line) for line in findings.lines(found)))
    return WRONG if findings.is_bad(found) else OK


def _all(session: Session, *, with_dns: bool) -> Iterator[Finding]:
    api = session.api
    yield checks.version(api.get("/version"))
    yield checks.clock(datetime.now(UTC), api.date())
    for name in checks.DEFINITIONS:
        yield _definition(api, name)
    deployments = _list(api, f"/apis/apps/v1/deployments?labelSelector={checks.OPERATOR}")
    yield from _operators(api, deployments)
    yield _classes(api)
    if with_dns:
        yield _dns(session, _domain(deployments or []))
    yield _nodes(api)
    yield checks.rights(_rights(api, session.namespace), session.namespace)


def _definition(api: Api, name: str) -> Finding:
    try:
        return checks.definition(name, api.get(_DEFINITIONS + name))
    except NotFound:
        return checks.definition(name, None)
    except Forbidden:
        return _served(api, name)


def _served(api: Api, name: str) -> Finding:
    """Who may not read definitions may still see whether the kind is served."""
    plural = name.partition(".")[0]
    try:
        served = api.get("/apis/cais.dev/v1alpha1")["resources"]
    except NotFound:
        served = []
    if any(one["name"] == plural for one in served):
        return Finding("ok", f"{plural} are served")
    return checks.definition(name, None)


def _operators(api: Api, deployments: list[Object] | None) -> Iterator[Finding]:
    if deployments is None:
        yield _unseen("the operator's Deployment")
        return
    yield from checks.operators(deployments)
    for namespace in dict.fromkeys(one["metadata"]["namespace"] for one in deployments):
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/cais-operator"
        try:
            lease = api.get(path)
        except NotFound:
            yield checks.leader(None, namespace, api.date())
        except Forbidden:
            yield _unseen(f"the Lease {namespace}/cais-operator")
        else:
            yield checks.leader(lease, namespace, api.date())


def _classes(api: Api) -> Finding:
    found = _list(api, "/apis/storage.k8s.io/v1/storageclasses")
    return _unseen("storage classes") if found is None else checks.classes(found)


def _nodes(api: Api) -> Finding:
    label = "app.kubernetes.io/name=cais-node-trust"
    found = _list(api, f"/apis/apps/v1/daemonsets?labelSelector={label}")
    return _unseen("the DaemonSet of node trust") if found is None else checks.node_trust(found)


def _dns(session: Session, domain: str) -> Finding:
    """Ask the cluster's own name server for a Service that every cluster has."""
    name = f"kubernetes.default.svc.{domain}"
    try:
        services = session.api.items(
            "/api/v1/namespaces/kube-system/services", labelSelector="k8s-app=kube-dns"
        )
        if not services:
            return Finding.note("the cluster's DNS was not found (Service of k8s-app=kube-dns)", "")
        service = services[0]["metadata"]["name"]
        with session.kubectl.forward("kube-system", service, 53) as port:
            is_known = dns.knows(port, name)
    except (Failure, OSError, ValueError) as error:
        return Finding.note(
            f"the cluster's DNS could not be asked: {error}", "--no-dns leaves it out"
        )
    if not is_known:
        return Finding.problem(
            f"the cluster's DNS does not know {name}",
            "is the chart's clusterDomain right? Look at the pods of DNS in kube-system",
        )
    return Finding("ok", f"the cluster's DNS knows {name}")


def _domain(deployments: list[Object]) -> str:
    """Return the cluster's DNS domain as the operator was told."""
    for one in deployments:
        for container in one["spec"]["template"]["spec"]["containers"]:
            for argument in container.get("args") or ():
                if argument.startswith(_ARGUMENT):
                    return str(argument.removeprefix(_ARGUMENT))
    return _DOMAIN


def _rights(api: Api, namespace: str) -> dict[tuple[str, str, str, str], bool]:
    found = {}
    for verb, group, resource, sub, _ in checks.RIGHTS:
        wanted = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": sub,
            "namespace": namespace,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        said = api.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        found[verb, group, resource, sub] = bool((said.get("status") or {}).get("allowed"))
    return found


def _list(api: Api, path: str) -> list[Object] | None:
    """Return a list; None when it may not be read."""
    place, _, labels = path.partition("?labelSelector=")
    try:
        return api.items(place, **({"labelSelector": labels} if labels else {}))
    except Forbidden:
        return None


def _unseen(what: str) -> Finding:
    return Finding.note(f"you may not read {what}: not looked at", "")
