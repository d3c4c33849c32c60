# SPDX-License-Identifier: Apache-2.0
"""`kubectl cais` as a person starts it: kubectl, a real API server, a real registry."""

import asyncio
import base64
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from e2e.readme import blocks
from support.api_certificates import client_certificate
from support.apiserver import ApiServer, program, write_kubeconfig
from support.operators import Place, new_place
from support.played import PlayedServer, is_ready, operator, run_pods, until
from support.registry import htpasswd, make_certificate, running

ROOT = Path(__file__).parents[3]
PASSWORD = "correct-horse"
RULES = [{"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push"]}]
FORWARD = """\
#!{python}
# stands in for a kubelet, which alone can forward a port
import contextlib, os, socket, sys, threading
if sys.argv[1] != "port-forward":
    os.execv({kubectl!r}, ["kubectl", *sys.argv[1:]])
def copy(one, other):
    while data := one.recv(65536):
        other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)
with socket.create_server(("127.0.0.1", 0)) as server:
    print(f"Forwarding from 127.0.0.1:{{server.getsockname()[1]}} -> 5000", flush=True)
    while True:
        here, _ = server.accept()
        there = socket.create_connection(("127.0.0.1", {port}))
        for pair in ((here, there), (there, here)):
            threading.Thread(target=copy, args=pair, daemon=True).start()
"""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Someone at a terminal, with a kubeconfig and a namespace."""

    place: Place
    path: str
    kubeconfig: Path

    def types(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PATH": self.path, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(
            ["kubectl", *words],
            env=environment,
            input=given,
            text=True,
            capture_output=True,
            check=False,
        )

    def cais(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.types("cais", *words, "-n", self.place.team)


def tools(folder: Path, port: int) -> str:
    """A PATH with kubectl, which forwards ports to the given one, and this project's programs."""
    text = FORWARD.format(python=sys.executable, kubectl=program("kubectl"), port=port)
    (folder / "kubectl").write_text(text)
    (folder / "kubectl").chmod(0o755)
    docker = '#!/bin/sh\necho "$*" > "$0.words"\ncat > "$0.stdin"\necho Login Succeeded\n'
    (folder / "docker").write_text(docker)
    (folder / "docker").chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def person(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """With a Registry `team` whose status leads to a real server on loopback."""
    folder = tmp_path_factory.mktemp("person")
    cert, key = make_certificate(folder)
    (folder / "users").write_text(htpasswd(admin=PASSWORD))
    config = {"auth": {"htpasswdFile": str(folder / "users")}, "access": {"rules": RULES}}
    options = ("--tls-cert", cert, "--tls-key", key)
    with running(folder, *options, config=config, login=f"admin:{PASSWORD}") as server:
        for tag in ("1", "2"):
            server.push_image("tools/app", tag)
        server.push_image("base", "latest")
        place = new_place(api)
        describe(place, server.address[1], cert.read_text())
        path = tools(folder, server.address[1])
        yield Person(place=place, path=path, kubeconfig=api.kubeconfig)


def describe(place: Place, port: int, authority: str) -> None:
    """What an operator would have made: status, CA and password."""
    place.create_registry()
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "message": "serving",
        "lastTransitionTime": "2026-03-01T00:00:00Z",
    }
    status = {
        "observedGeneration": 1,
        "conditions": [ready],
        "url": f"https://localhost:{port}",
        "caBundle": {"configMapName": "team-ca"},
        "usage": {"repositories": 2, "tags": 3, "bytes": 1 << 20},
    }
    place.api.merge(place.path("Registry", "team") + "/status", {"status": status})
    bundle = {"metadata": {"name": "team-ca"}, "data": {"ca.crt": authority}}
    place.api.request("POST", place.path("ConfigMap"), bundle)
    password = {"password": base64.b64encode(PASSWORD.encode()).decode()}
    secret = {"metadata": {"name": "team-admin"}, "data": password}
    place.api.request("POST", place.path("Secret"), secret)


def test_status_and_usage_read_the_cluster(person: Person) -> None:
    told = person.cais("status")
    assert (told.returncode, told.stderr) == (0, "")
    assert "nothing is wrong" in told.stdout
    (used,) = yaml.safe_load(person.cais("usage", "-o", "yaml").stdout)
    assert used["usage"]["tags"] == 3


def test_status_of_all_names_the_pod_that_does_not_run(person: Person) -> None:
    place = person.place
    place.create_registry(name="sick")
    labels = {
        "app.kubernetes.io/name": "cais-registry",
        "app.kubernetes.io/component": "registry",
        "app.kubernetes.io/instance": "sick",
    }
    pod = {
        "metadata": {"name": "sick-0", "labels": labels},
        "spec": {"containers": [{"name": "x", "image": "x"}]},
    }
    pods = f"/api/v1/namespaces/{place.team}/pods"
    place.api.request("POST", pods, pod)
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    state = {"containerStatuses": [{"name": "x", "state": {"waiting": waiting}}]}
    place.api.merge(f"{pods}/sick-0/status", {"status": state})
    found = person.types("cais", "status", "-A", "-o", "json")
    assert found.returncode == 1
    by_name = {(one["namespace"], one["name"]): one for one in json.loads(found.stdout)}
    words = [one["what"] for one in by_name[place.team, "sick"]["findings"]]
    assert any("sick-0: ImagePullBackOff: no such image" in one for one in words)
    assert by_name[place.team, "team"]["ready"]
    place.delete("Registry", "sick")


@pytest.mark.parametrize("via", ["address", "port-forward"])
def test_ls_lists_what_the_registry_itself_has(person: Person, via: str) -> None:
    found = person.cais("ls", "team", "--via", via)
    assert (found.stdout.splitlines(), found.stderr) == (["base", "tools/app"], "")
    tags = person.cais("ls", "team", "tools/app", "--digests", "-o", "json", "--via", via)
    rows = json.loads(tags.stdout)
    assert [one["tag"] for one in rows] == ["1", "2"]
    assert all(one["digest"].startswith("sha256:") for one in rows)


def test_ls_of_what_is_not_there_repeats_the_registrys_words(person: Person) -> None:
    refused = person.cais("ls", "team", "no/such")
    assert refused.returncode == 3
    assert "refuses /v2/no/such/tags/list to admin" in refused.stderr


def test_a_certificate_of_somebody_else_is_not_believed(person: Person, tmp_path: Path) -> None:
    other, _ = make_certificate(tmp_path, "other")
    place = person.place
    before = place.get("ConfigMap", "team-ca") or {}
    place.api.merge(place.path("ConfigMap", "team-ca"), {"data": {"ca.crt": other.read_text()}})
    try:
        refused = person.cais("ls", "team", "--via", "address")
    finally:
        place.api.merge(place.path("ConfigMap", "team-ca"), {"data": before["data"]})
    assert refused.returncode == 3
    assert "is not that of localhost" in refused.stderr


def test_login_hands_the_password_to_docker_and_the_ca_where_it_looks(
    person: Person, tmp_path: Path
) -> None:
    more = ("--via", "address", "--trust", "--trust-dir", str(tmp_path))
    done = person.cais("login", "team", *more)
    assert (done.returncode, done.stdout) == (0, "Login Succeeded\n")
    folder = Path(person.path.partition(":")[0])
    words = (folder / "docker.words").read_text().split()
    address = words[1]
    assert words == ["login", address, "--username", "admin", "--password-stdin"]
    assert (folder / "docker.stdin").read_text() == PASSWORD
    assert PASSWORD not in done.stdout + done.stderr
    said = person.place.get("ConfigMap", "team-ca") or {}
    assert (tmp_path / address / "ca.crt").read_text() == said["data"]["ca.crt"]
    shown = json.loads(person.cais("login", "team", "--print", "--via", "address").stdout)
    login = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    assert shown == {"auths": {address: {"auth": login}}}


async def test_gc_waits_for_the_operator_and_tells_what_the_run_did(
    place: Place, person: Person
) -> None:
    server = PlayedServer(place=place)
    async with operator(place, server, resync=3600):
        place.create_registry()
        await asyncio.to_thread(place.wait_complete)
        run_pods(place)
        await until(lambda: is_ready(place), "Ready")
        mine = Person(place=place, path=person.path, kubeconfig=person.kubeconfig)
        done = await asyncio.to_thread(mine.cais, "gc", "--wait")
    assert done.returncode == 0, done.stderr
    assert "the operator has started it" in done.stderr
    assert "7 blobs deleted, 1 B given back, in 1 s" in done.stdout


def test_doctor_finds_what_is_there_and_what_is_missing(person: Person) -> None:
    found = person.cais("doctor", "--no-dns", "-o", "json")
    assert found.returncode == 1
    by_level: dict[str, list[str]] = {}
    for one in json.loads(found.stdout):
        by_level.setdefault(one["level"], []).append(one["what"])
    good = " ".join(by_level["ok"])
    for words in (
        "Kubernetes is v",
        "registries.cais.dev is established",
        "clock agrees",
        "you may",
    ):
        assert words in good
    assert by_level["problem"] == ["no operator is installed"]
    assert "no storage class is the default one" in by_level["warning"][0]


def test_somebody_without_rights_is_told_which(
    person: Person, api: ApiServer, tmp_path: Path
) -> None:
    client_certificate(api.folder, tmp_path, "nobody", "nobody")
    for name in ("ca.crt",):
        (tmp_path / name).write_bytes((api.folder / name).read_bytes())
    config = write_kubeconfig(api, tmp_path, "nobody")
    nobody = Person(place=person.place, path=person.path, kubeconfig=config)
    found = nobody.cais("doctor", "--no-dns")
    assert "may not list registries (status, usage); patch registries (gc)" in found.stdout
    refused = nobody.cais("status")
    assert refused.returncode == 3
    assert "not allowed" in refused.stderr


def test_a_cluster_that_is_not_there_and_a_context_that_is_not_are_told(
    person: Person, tmp_path: Path
) -> None:
    config = json.loads(person.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "config").write_text(json.dumps(config))
    gone = person.cais("status", "--kubeconfig", str(tmp_path / "config"))
    assert gone.returncode == 3
    assert "the API server cannot be reached" in gone.stderr
    unknown = person.cais("status", "--context", "nowhere")
    assert unknown.returncode == 3
    assert 'context "nowhere" does not exist' in unknown.stderr


def test_the_example_of_the_documentation_works(person: Person) -> None:
    ((*lines,),) = blocks((ROOT / "docs" / "kubectl-cais.md").read_text(), "An example")
    assert len(lines) == 5
    for line in lines:
        program, *words = shlex.split(line.replace("team-a", person.place.team))
        assert program == "kubectl"
        done = person.types(*words)
        assert (done.returncode, done.stderr) == (0, ""), line
        assert done.stdout.strip()


def test_kubectl_completes_commands_and_names_of_registries(person: Person) -> None:
    shown = person.types("__complete", "cais", "st")
    assert shown.stdout.splitlines()[0].split("\t")[0] == "status"
    names = person.types("__complete", "cais", "gc", "-n", person.place.team, "te")
    assert names.stdout.splitlines() == ["team", ":4"]
