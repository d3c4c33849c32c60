# SPDX-License-Identifier: Apache-2.0
"""Several servers over a bucket and a PostgreSQL: all is real but who starts the pods.

A kubelet is played: what the Deployment mounts is written to files, and each pod's command is run
on an address of loopback of its own.
"""

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cais_operator import backend, names
from cais_operator.observed import ServerState
from cais_operator.registry_api import HttpRegistryApi, Way
from support.apiserver import free_port
from support.objectstore import ACCESS, SECRET, S3Server, s3_running
from support.operators import Place
from support.played import is_ready, operator, until
from support.postgresql import cluster
from support.registry import Server, digest_of, start

ADDRESSES = ("127.0.0.2", "127.0.0.3")


@dataclass(frozen=True, kw_only=True)
class Stores:
    """What servers share."""

    s3: S3Server
    url: str


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    with (
        s3_running(tmp_path_factory.mktemp("s3")) as s3,
        cluster(port=free_port()) as postgres,
    ):
        postgres.create("registry")
        yield Stores(s3=s3, url=postgres.url("registry"))


class TranslatedApi(HttpRegistryApi):
    """What servers say of files below folders of ours, told as if these were at the root."""

    def __init__(self, port: int, roots: dict[str, Path]) -> None:
        super().__init__(port)
        self._roots = roots

    async def state(self, way: Way) -> ServerState:
        said = await super().state(way)
        return replace(said, files=_translated(said.files, self._roots[way.host]))


def _translated(said: Mapping[str, str], root: Path) -> dict[str, str]:
    files = {path.removeprefix(str(root)): sha for path, sha in said.items()}
    text = _config(root).read_text()
    if files.get(names.CONFIG_FILE) == sha256(text.encode()).hexdigest():
        files[names.CONFIG_FILE] = sha256(text.replace(str(root), "").encode()).hexdigest()
    return files


def _config(root: Path) -> Path:
    return Path(str(root) + names.CONFIG_FILE)


def _edit(root: Path, before: str, after: str) -> None:
    _config(root).write_text(_config(root).read_text().replace(before, after))


def _spec(stores: Stores) -> dict[str, Any]:
    s3 = {"bucket": "blobs", "endpoint": stores.s3.endpoint, "secretRef": {"name": "keys"}}
    database = {"secretRef": {"name": "database", "key": "url"}}
    plain: dict[str, Any] = {"disabled": {}}
    return {
        "storage": {"s3": s3},
        "database": database,
        "tls": plain,
        "pod": {"replicas": 2},
    }


def _pods(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = (place.get("Deployment", "team") or {})["spec"]["template"]
    return found


def _mount(place: Place, root: Path) -> None:
    """Write down what the pods mount, below a folder."""
    spec = _pods(place)["spec"]
    where = {one["name"]: one["mountPath"] for one in spec["containers"][0]["volumeMounts"]}
    for volume in spec["volumes"]:
        folder = root / where[volume["name"]].lstrip("/")
        folder.mkdir(parents=True)
        for name, content in _files(place, volume).items():
            (folder / name).write_bytes(content)


def _files(place: Place, volume: dict[str, Any]) -> dict[str, bytes]:
    if "configMap" in volume:
        data = (place.get("ConfigMap", volume["configMap"]["name"]) or {})["data"]
        return {name: text.encode() for name, text in data.items()}
    if "secret" not in volume:
        return {}
    data = (place.get("Secret", volume["secret"]["secretName"]) or {}).get("data", {})
    items = volume["secret"].get("items") or [{"key": key, "path": key} for key in data]
    return {one["path"]: base64.b64decode(data[one["key"]]) for one in items}


def _start(place: Place, root: Path, address: str, port: int) -> Server:
    """Run a pod's command with all its paths below a folder."""
    _mount(place, root)
    file = _config(root)
    _edit(root, "/etc/cais", f"{root}/etc/cais")
    arguments = _pods(place)["spec"]["containers"][0]["args"]
    assert arguments == ["serve", "--config", names.CONFIG_FILE]
    where = ("--config", file, "--listen", f"{address}:{port}")
    server = start(root, *where, data=root / names.DATA_DIRECTORY.lstrip("/"))
    server.url = f"http://{address}:{port}"
    server.login = f"admin:{place.secret('team-admin')}"
    return server


def _run(place: Place, server: Server, name: str) -> None:
    """Say what a kubelet says of a pod whose server is ready."""
    server.wait_ready()
    labels = _pods(place)["metadata"]["labels"]
    path = f"/api/v1/namespaces/{place.team}/pods"
    spec = {"containers": [{"name": "x", "image": "x"}]}
    place.api.request("POST", path, {"metadata": {"name": name, "labels": labels}, "spec": spec})
    ready = [{"type": "Ready", "status": "True"}]
    status = {"podIP": server.address[0], "conditions": ready}
    place.api.merge(f"{path}/{name}/status", {"status": status})


def _count(place: Place, count: int) -> None:
    """Say what the Deployment's controller says."""
    generation = (place.get("Deployment", "team") or {})["metadata"]["generation"]
    kinds = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    status = {"observedGeneration": generation, **dict.fromkeys(kinds, count)}
    place.api.merge(place.path("Deployment", "team") + "/status", {"status": status})


def _revision(place: Place) -> str:
    found: str = _pods(place)["metadata"]["annotations"][backend.ANNOTATION]
    return found


def _is_told(place: Place, kind: str, words: str) -> bool:
    return words in place.condition(kind).get("message", "")


async def test_two_servers_of_a_registry_serve_as_one(
    place: Place, stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, roots = free_port(), {address: tmp_path / address for address in ADDRESSES}
    place.give("keys", AWS_ACCESS_KEY_ID=ACCESS)
    async with operator(place, TranslatedApi(port, roots), resync=1):
        await asyncio.to_thread(place.create_registry, _spec(stores))
        await until(lambda: _is_told(place, "Stalled", "Secret keys has no such key"), "what lacks")
        assert _is_told(place, "Stalled", "there is no such Secret in this namespace: create it")
        place.give("database", url=stores.url)
        keys = {"AWS_SECRET_ACCESS_KEY": base64.b64encode(SECRET.encode()).decode()}
        place.api.merge(place.path("Secret", "keys"), {"data": keys})
        await until(lambda: place.get("CronJob", "team-gc"), "the children")
        with ExitStack() as stack:
            servers = []
            for address, root in roots.items():
                server = _start(place, root, address, port)
                stack.callback(server.stop)
                servers.append(server)
            await asyncio.to_thread(_run, place, servers[0], "team-0")
            _count(place, 1)
            await until(lambda: _is_told(place, "Ready", "1 of 2 servers are ready"), "one of two")
            await asyncio.to_thread(_run, place, servers[1], "team-1")
            _count(place, 2)
            await until(lambda: is_ready(place), "Ready")
            await asyncio.to_thread(_push_and_pull, servers, stores, place)
            await _told_of_one_that_lags(place, roots)
        await _replaced(place, stores)
    shown = [one for kind in ("ConfigMap", "Deployment", "Event") for one in place.all(kind)]
    text = json.dumps([*shown, place.get("Registry", "team")]) + caplog.text
    text += "".join(server.log.read_text() for server in servers)
    for secret in (ACCESS, SECRET, stores.url, "any@"):
        assert secret not in text


def _push_and_pull(servers: list[Server], stores: Stores, place: Place) -> None:
    one, two = servers
    layer = b"a layer in a bucket"
    digest = one.push_image("team/app", "v1", layer)
    assert two.ask("HEAD", "/v2/team/app/manifests/v1")["Docker-Content-Digest"] == digest
    assert two.ask("GET", f"/v2/team/app/blobs/{digest_of(layer)}").body == layer
    kept = stores.s3.folder / place.team / "team" / "blobs"
    assert any(path.read_bytes() == layer for path in kept.rglob("*") if path.is_file())


async def _told_of_one_that_lags(place: Place, roots: dict[str, Path]) -> None:
    """One server that has not loaded what the other one has keeps the whole from being ready."""
    good, bad = '"realm": "cais"', '"realm": 7'
    for pod, root in zip(("team-0", "team-1"), roots.values(), strict=True):
        _edit(root, good, bad)
        await until(partial(_is_told, place, "ServerReady", f"pod {pod}: "), "what is refused")
        _edit(root, bad, good)
        await until(partial(is_ready, place), "Ready again")


async def _replaced(place: Place, stores: Stores) -> None:
    """A changed Secret of others is another revision, and so another kind of pods."""
    before = _revision(place)
    url = base64.b64encode(f"{stores.url}?application_name=x".encode()).decode()
    place.api.merge(place.path("Secret", "database"), {"data": {"url": url}})
    await until(lambda: _revision(place) != before, "the pods are replaced")
    place.delete("Secret", "keys")
    await until(lambda: place.condition("Stalled"), "what lacks is told")
    assert place.secret("team-backend", "access-key-id") == ACCESS
