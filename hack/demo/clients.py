# SPDX-License-Identifier: Apache-2.0
"""docker and crane against the registry."""

from demo.names import (
    ADDRESS,
    HELLO,
    NAMESPACE,
    PLATFORMS,
    REGISTRY,
    SOURCE,
    SOURCE_ADDRESS,
    THREE,
)
from demo.place import ROOT, Place
from demo.shell import CommandFailed, Shell

BUILD = 'CGO_ENABLED=0 go build -ldflags "-s -w"'


def log_in(place: Place) -> None:
    """Log in with the credentials that the operator generated."""
    print("(cais) is the prompt of `make shell`: a shell beside the cluster's engine, with")
    print(f"export DOCKER_CONFIG={place.work}/docker SSL_CERT_FILE={place.work}/ca.crt\n")
    password = (
        f"kubectl -n {NAMESPACE} get secret {REGISTRY}-admin -o jsonpath='{{.data.password}}'"
    )
    login = f"docker login {ADDRESS} --username admin --password-stdin"
    place.beside.type(f"{password} | base64 -d | {login}")


def push_and_pull(place: Place) -> None:
    """Build an image, push it, remove every local copy, pull it."""
    source, shell = ROOT / "hack" / "demo" / "image", place.beside
    shell.ask(f"rm -rf hello && mkdir hello && cp {source}/Dockerfile hello/")
    shell.ask(f"{BUILD} -o hello/hello {source}/main.go")
    shell.type('echo "hello from an image of $(date -u +%T)" > hello/hello.txt')
    shell.type("docker build --tag my-image hello")
    shell.type(f"docker tag my-image {HELLO}")
    shell.type(f"docker push {HELLO}")
    shell.type(f"docker rmi --force my-image {HELLO}")
    absent(shell.type(f"docker images --quiet {HELLO}"), "an image that was just removed")
    shell.type(f"docker pull {HELLO}")


def copy_with_crane(place: Place) -> None:
    """Copy a three-layer image and a two-platform index from another registry."""
    shell = place.beside
    shell.ask(f"docker rm --force {SOURCE} 2> /dev/null || true")
    print("Another registry to copy from: the same image, alone.")
    shell.type(f"docker run --rm --detach --name {SOURCE} --publish 5000:5000 cais-registry")
    shell.wait_for(f"crane catalog {SOURCE_ADDRESS}", lambda found: found == "", seconds=30)
    _make_images(shell)
    shell.type(f"crane copy {SOURCE_ADDRESS}/three-layers:1 {THREE}")
    shell.type(f"crane copy {SOURCE_ADDRESS}/two-platforms:1 {PLATFORMS}")
    shell.type(f"crane manifest {PLATFORMS}")
    for name, copy in (("three-layers:1", THREE), ("two-platforms:1", PLATFORMS)):
        before = shell.ask(f"crane digest {SOURCE_ADDRESS}/{name}")
        after = shell.type(f"crane digest {copy}")
        if before != after:
            raise CommandFailed(f"{copy} has digest {after}and its source {before}")
    shell.type(f"docker stop {SOURCE}")


def _make_images(shell: Shell) -> None:
    for layer in ("one", "two", "three"):
        shell.ask(f"mkdir -p {layer} && date > {layer}/{layer}.txt && tar -cf {layer}.tar {layer}")
    layers = "-f one.tar -f two.tar -f three.tar"
    shell.type(f"crane append --oci-empty-base {layers} -t {SOURCE_ADDRESS}/three-layers:1")
    for platform in ("amd64", "arm64"):
        to = f"{SOURCE_ADDRESS}/{platform}:1"
        mutate = f"crane mutate --set-platform linux/{platform} -t {to}"
        shell.type(f"{mutate} {SOURCE_ADDRESS}/three-layers:1")
    parts = f"-m {SOURCE_ADDRESS}/amd64:1 -m {SOURCE_ADDRESS}/arm64:1"
    shell.type(f"crane index append {parts} -t {SOURCE_ADDRESS}/two-platforms:1")


def absent(printed: str, what: str) -> None:
    """Make sure that a command found nothing.

    Raises:
        CommandFailed: It printed something.
    """
    if printed.strip():
        raise CommandFailed(f"{what} is still there: {printed}")
