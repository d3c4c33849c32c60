# SPDX-License-Identifier: Apache-2.0
"""From a machine to a cluster with a registry in it."""

from clusterkit.images import TARGETS, version
from clusterkit.places import NODE
from demo.names import ADDRESS, HOST, NAMESPACE, REGISTRY, SAMPLE
from demo.place import ROOT, Place
from demo.shell import Shell

CERTS = "/etc/containerd/certs.d"


def make_cluster(place: Place) -> None:
    """Bring up the cluster; what it needs is installed and built first."""
    place.machine.type("make cluster-up")


def tags(shell: Shell) -> dict[str, str]:
    """Return the tag of each image: version and content, so that a changed image is a new one."""
    release = version(ROOT)
    inspect = "docker image inspect --format '{{slice .Id 7 19}}'"
    return {
        target: f"{release}-{shell.ask(f'{inspect} cais-{target}:{release}').strip()}"
        for target in TARGETS
    }


def make_images(place: Place) -> None:
    """Build both images and put them where the node finds them."""
    shell = place.machine
    shell.type("make images")
    named = tags(shell)
    for target, tag in named.items():
        shell.type(f"docker tag cais-{target}:{version(ROOT)} cais-{target}:{tag}")
    shell.type(f"hack/cluster load {' '.join(f'cais-{t}:{tag}' for t, tag in named.items())}")


def install_chart(place: Place) -> None:
    """Install the operator with Helm."""
    if place.machine.ask("helm list --namespace cais-system --pending --short").strip():
        print("An earlier installation was interrupted; Helm wants it gone first.")
        place.machine.type("helm uninstall cais --namespace cais-system")
    namespace = "--namespace cais-system --create-namespace"
    values = ",".join(f"image.{t}.tag={tag}" for t, tag in tags(place.machine).items())
    values += ",nodeTrust.enabled=true"
    place.machine.type(f"helm upgrade --install cais charts/cais {namespace} --set {values}")
    rollout = "rollout status deployment/cais-operator --timeout=120s"
    place.machine.type(f"kubectl -n cais-system {rollout}")


def apply_sample(place: Place) -> None:
    """Ask for a registry and wait until it does what the sample says."""
    shell = place.machine
    shell.type(f"cat {SAMPLE}")
    shell.type(f"kubectl apply -f {SAMPLE}")
    _wait_for_image(shell)
    wait = f"wait --for=condition=Ready registry/{REGISTRY} --timeout=120s"
    shell.type(f"kubectl -n {NAMESPACE} {wait}")
    shell.type(f"kubectl -n {NAMESPACE} get registry -o wide")
    shell.type(f"kubectl -n {NAMESPACE} get pods,services,pvc,secrets,configmaps,cronjobs")


def _wait_for_image(shell: Shell) -> None:
    """A registry of an earlier run gets the new image first; its old state must not count."""
    image = f"cais-registry:{tags(shell)['registry']}"
    kubectl = f"kubectl -n {NAMESPACE}"
    seen = f"{kubectl} get deployment {REGISTRY} -o jsonpath='{{.spec.template.spec..image}}'"
    shell.wait_for(seen, lambda found: found == image, seconds=60)
    shell.type(f"{kubectl} rollout status deployment/{REGISTRY} --timeout=120s")


def trust(place: Place) -> None:
    """See that the node was told where the registry is and whom to believe; tell docker."""
    print("nodeTrust.enabled: a pod on each node tells its containerd of every registry.")
    print("Nobody changed anything on the node by hand.\n")
    shell, authority = place.machine, place.work / "ca.crt"
    get = f"kubectl -n {NAMESPACE} get"
    address = shell.ask(f"{get} service {REGISTRY} -o jsonpath='{{.spec.clusterIP}}'").strip()
    told = f"docker exec {NODE} cat {CERTS}/{ADDRESS}/hosts.toml"
    shell.wait_for(told, lambda found: f"https://{address}:" in found, seconds=120)
    shell.type(told)
    shell.type("kubectl -n cais-system rollout status daemonset/cais-node-trust --timeout=60s")
    print(
        "\ndocker, beside the cluster, is told by hand: name and CA go to the cluster's own engine;"
    )
    print("this machine's files stay as they are.\n")
    shell.type(f"{get} configmap {REGISTRY}-ca -o jsonpath='{{.data.ca\\.crt}}' > {authority}")
    shell.type(f"hack/cluster trust {ADDRESS} {address} {authority}")
    place.beside.type(f"getent hosts {HOST}")
