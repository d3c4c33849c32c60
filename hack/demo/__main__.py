# SPDX-License-Identifier: Apache-2.0
"""`make demo` and `make demo-down`."""

import argparse
import contextlib
import sys
from collections.abc import Callable

from clusterkit.command import ClusterError
from clusterkit.places import places
from demo import clients, garbage, pods, setup
from demo.names import LEFT, NAMESPACE, REGISTRY, SOURCE
from demo.place import Place
from demo.shell import CommandFailed
from demo.story import Step, tell

ACTS: tuple[tuple[str, Callable[[Place], None]], ...] = (
    ("A cluster", setup.make_cluster),
    ("Both images, from one Dockerfile", setup.make_images),
    ("The operator, by its chart", setup.install_chart),
    ("A registry, by applying a Registry", setup.apply_sample),
    ("Trust: where the registry is, and whom to believe", setup.trust),
    ("Log in with the generated password", clients.log_in),
    ("Build, push, remove, pull with docker", clients.push_and_pull),
    ("Copy images from another registry with crane", clients.copy_with_crane),
    ("A Pod whose image the kubelet pulls from the registry", pods.run_pod),
    ("Delete a tag, collect garbage, get the space back", garbage.collect),
    ("Everything that is left can still be pulled", garbage.pull_what_is_left),
)


def up(place: Place) -> int:
    """Tell the whole story; return the exit code."""

    def bound(act: Callable[[Place], None]) -> Callable[[], None]:
        return lambda: act(place)

    try:
        tell([Step(title=title, act=bound(act)) for title, act in ACTS])
    except (CommandFailed, ClusterError) as failed:
        print(f"\nThe demo failed: {failed}", flush=True)
        _show_state(place)
        _look_around(place)
        return 1
    _look_around(place)
    return 0


def down(place: Place) -> int:
    """Remove what the demo made, and the cluster; return the exit code."""
    with contextlib.suppress(CommandFailed, ClusterError):  # there may be no engine any more
        images = " ".join(LEFT)
        shell = place.beside
        shell.ask(f"docker rm --force {SOURCE} || true")
        shell.ask(f"docker rmi --force my-image {images}")
    try:
        place.machine.type("make cluster-down")
    except CommandFailed as failed:
        print(f"The cluster could not be removed: {failed}")
        return 1
    return 0


def _show_state(place: Place) -> None:
    """Show what may explain a failure; each command may itself fail."""
    try:
        place.machine.ask("kubectl get --raw /readyz --request-timeout=5s")
    except CommandFailed:
        return  # there is no cluster yet, and what failed has said why
    print("\nWhat may explain it:")
    for command in (
        "kubectl get pods --all-namespaces",
        "kubectl -n cais-system logs deployment/cais-operator --tail=10",
        f"kubectl -n {NAMESPACE} describe registry {REGISTRY} | tail -30",
        f"kubectl -n {NAMESPACE} logs deployment/{REGISTRY} --tail=10",
        f"kubectl -n {NAMESPACE} get events --sort-by=.lastTimestamp | tail -10",
    ):
        with contextlib.suppress(CommandFailed):
            place.machine.type(command)


def _look_around(place: Place) -> None:
    print("\nLook around:")
    print(f"  export KUBECONFIG={place.where.kubeconfig} PATH={place.where.programs}:$PATH")
    print(f"  kubectl -n {NAMESPACE} describe registry {REGISTRY}")
    print("  make shell        docker, crane and curl beside the cluster's engine")
    print("  make demo         the same again")
    print("  make demo-down    remove everything", flush=True)


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("what", choices=["up", "down"])
    what = parser.parse_args(arguments).what
    return (up if what == "up" else down)(Place(where=places()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
