# SPDX-License-Identifier: Apache-2.0
"""From a machine to a cluster with a registry in it."""

from clusterkit.images import TARGETS, version
from clusterkit.places import NODE
from demo.names import ADDRESS, HOST, NAMESPACE, REGISTRY, SAMPLE
from demo.place import ROOT, Place

CERTS = "/etc/containerd/certs.d"


def make_cluster(place: Place) -> None:
    """Bring up the cluster; what it needs is installed and built first."""
    place.machine.type("make cluster-up")


def images() -> list[str]:
    """Return the names of the images that `make images` builds."""
    return [f"cais-{target}:{version(ROOT)}" for target in TARGETS]


def make_images(place: Place) -> None:
    """Build both images and put them where the node finds them."""
    place.machine.type("make images")
    place.machine.type(f"hack/cluster load {' '.join(images())}")


def install_chart(place: Place) -> None:
    """Install the operator with Helm."""
    if place.machine.ask("helm list --namespace cais-system --pending --short").strip():
        print("An earlier installation was interrupted; Helm wants it gone first.")
        place.machine.type("helm uninstall cais --namespace cais-system")
    namespace = "--namespace cais-system --create-namespace"
    place.machine.type(f"helm upgrade --install cais charts/cais {namespace}")
    rollout = "rollout status deployment/cais-operator --timeout=120s"
    place.machine.type(f"kubectl -n cais-system {rollout}")


def apply_sample(place: Place) -> None:
    """Ask for a registry and wait until it does what the sample says."""
    shell = place.machine
    shell.type(f"cat {SAMPLE}")
    shell.type(f"kubectl apply -f {SAMPLE}")
    wait = f"wait --for=condition=Ready registry/{REGISTRY} --timeout=120s"
    shell.type(f"kubectl -n {NAMESPACE} {wait}")
    shell.type(f"kubectl -n {NAMESPACE} get registry -o wide")
    shell.type(f"kubectl -n {NAMESPACE} get pods,services,pvc,secrets,configmaps,cronjobs")


def trust(place: Place) -> None:
    """Tell docker and the node where the registry is and which authority to believe."""
    print("By hand for now: a later version of Cais tells the nodes by itself. Name and CA go to")
    print("the cluster's own engine and node; this machine's files stay as they are.\n")
    shell, authority = place.machine, place.work / "ca.crt"
    get = f"kubectl -n {NAMESPACE} get"
    shell.type(f"{get} configmap {REGISTRY}-ca -o jsonpath='{{.data.ca\\.crt}}' > {authority}")
    address = f"$({get} service {REGISTRY} -o jsonpath='{{.spec.clusterIP}}')"
    shell.type(f"hack/cluster trust {ADDRESS} {address} {authority}")
    shell.type(f"docker exec {NODE} cat {CERTS}/{ADDRESS}/hosts.toml")
    place.beside.type(f"getent hosts {HOST}")
