# SPDX-License-Identifier: Apache-2.0
"""A Pod whose image comes from the registry."""

from clusterkit.places import NODE
from demo.clients import absent
from demo.names import ADDRESS, NAMESPACE, REGISTRY
from demo.place import Place
from demo.shell import Shell

IMAGES = "ctr --namespace k8s.io images"


def run_pod(place: Place) -> None:
    """Let the kubelet pull the image; it was not on the node before."""
    shell = place.machine
    _forget(shell)
    listed = f"docker exec {NODE} {IMAGES} ls -q 'name~={ADDRESS}' 2> /dev/null"
    absent(shell.type(listed), "an image on the node")
    shell.type("cat hack/demo/pod.yaml")
    shell.type("kubectl apply -f hack/demo/pod.yaml")
    shell.type(f"kubectl -n {NAMESPACE} wait --for=condition=Ready pod/hello --timeout=90s")
    shell.type(f"kubectl -n {NAMESPACE} get pod hello -o wide")
    shell.type(f"kubectl -n {NAMESPACE} logs hello")
    shell.type(listed)
    print("The registry's log of it; `ns` is the registry that containerd says it means:")
    log = f"kubectl -n {NAMESPACE} logs deployment/{REGISTRY} --since=5m"
    shell.type(f'{log} | grep \'"ns":"{ADDRESS}"\' | tail -3')


def _forget(shell: Shell) -> None:
    shell.ask(f"kubectl -n {NAMESPACE} delete pod hello --ignore-not-found --timeout=60s")
    found = f"{IMAGES} ls -q | grep '^{ADDRESS}/' | xargs --no-run-if-empty {IMAGES} rm --sync"
    shell.ask(f'docker exec {NODE} sh -c "{found}"')
