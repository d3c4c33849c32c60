# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver as plain processes on loopback: no nodes, no root, four seconds.

Every instance has its own folder, ports and certificates, so that several can live side by side.
Requests share connections: to make one costs both sides more than to answer.
"""

import json
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import Message
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import urllib3

import programs
from support.api_certificates import certificates
from support.audit import AuditLog
from support.etcd import Etcd

DEADLINE = 90.0  # seconds; generous, because the machine may be busy
_PAUSE = 0.05  # seconds between two looks
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServer:
    """A running API server."""

    url: str
    folder: Path
    etcd: Etcd

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any]:
        """One request as cluster admin; raises urllib's HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content, "Accept": accept, "User-Agent": "cais-tests"}
        while True:
            answer = self._pool().request(method, self.url + path, body=data, headers=headers)
            if answer.status < 400:
                found: dict[str, Any] = json.loads(answer.data)
                return found
            if answer.status != 429:  # of a kind that was defined just now
                raise urllib.error.HTTPError(
                    path, answer.status, answer.reason or "", Message(), BytesIO(answer.data)
                )
            time.sleep(_PAUSE)

    def find(self, path: str) -> dict[str, Any] | None:
        """GET; None when it is not there."""
        try:
            return self.request("GET", path)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def apply(self, path: str, body: Mapping[str, Any], manager: str = "tests") -> dict[str, Any]:
        query = f"?fieldManager={manager}&force=true&fieldValidation=Strict"
        return self.request("PATCH", path + query, body, "application/apply-patch+yaml")

    def merge(self, path: str, change: Mapping[str, Any]) -> dict[str, Any]:
        return self.request("PATCH", path, change, "application/merge-patch+json")

    def is_ready(self) -> bool:
        """Whether it says so; not while etcd is away."""
        try:
            with urllib.request.urlopen(  # noqa: S310 - the URL is ours
                self.url + "/readyz", context=self.tls(), timeout=5
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def tls(self) -> ssl.SSLContext:
        return _tls(self.folder)

    def audit(self, agent: str = "") -> list[dict[str, Any]]:
        """Requests that were answered so far, by those whose user agent starts so."""
        done = _audit_log(self.folder).answered()
        return [one for one in done if one.get("userAgent", "").startswith(agent)]

    def _pool(self) -> urllib3.PoolManager:
        return _pool(self.folder)


@cache
def _tls(folder: Path) -> ssl.SSLContext:
    """The same for all requests: to make one costs as much as to connect."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
    return context


@cache
def _pool(folder: Path) -> urllib3.PoolManager:
    """Connections that are kept; one for each thread of a test that may ask at a time."""
    return urllib3.PoolManager(ssl_context=_tls(folder), maxsize=8, timeout=30, retries=False)


@cache
def _audit_log(folder: Path) -> AuditLog:
    return AuditLog(folder / "audit.log")


def wait_for(
    what: Callable[[], Any], words: str, deadline: float = DEADLINE, pause: float = _PAUSE
) -> Any:
    """Ask until the answer is true; a failing test says what it waited for."""
    end = time.monotonic() + deadline
    while not (found := what()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:.0f} s: {words}")
        time.sleep(pause)
    return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone afterwards, with its output in a file."""
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def api_server(folder: Path, *, controllers: tuple[str, ...] = ()) -> Iterator[ApiServer]:
    """Start the pair, and a controller manager with these controllers; stop all at the end."""
    certificates(folder)
    (folder / "audit.yaml").write_text(json.dumps(_AUDIT))
    with ExitStack() as stack:
        etcd = stack.enter_context(_etcd(folder).running())
        port = free_port()
        process = stack.enter_context(
            running(_apiserver(folder, port, etcd.url), folder / "apiserver.log")
        )
        server = ApiServer(url=f"https://127.0.0.1:{port}", folder=folder, etcd=etcd)
        write_kubeconfig(server, folder, "admin")
        _wait_ready(server, process)
        if controllers:
            stack.enter_context(controller_manager(server, controllers))
        stack.callback(_pool(folder).clear)
        yield server


@contextmanager
def controller_manager(server: ApiServer, controllers: tuple[str, ...]) -> Iterator[None]:
    """Run these controllers; they know the kinds of now, others half a minute later."""
    with running(_controller_manager(server, controllers), server.folder / "controllers.log"):
        yield


def program(name: str) -> str:
    """The path of a program that `hack/programs.py` has built."""
    path = programs.program_path(programs.cache_folder(), name)
    if not path.exists():
        raise AssertionError(f"{path} is missing: run python3 hack/programs.py {name}")
    return str(path)


def _etcd(folder: Path) -> Etcd:
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    return Etcd(program=program("etcd"), folder=folder, url=client, peer=peer)


def _apiserver(folder: Path, port: int, etcd: str) -> list[str]:
    return [
        program("kube-apiserver"),
        f"--etcd-servers={etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'apiserver.crt'}",
        f"--tls-private-key-file={folder / 'apiserver.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={folder / 'tokens.key'}",
        f"--service-account-key-file={folder / 'tokens.pub'}",
        f"--audit-policy-file={folder / 'audit.yaml'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--audit-log-maxsize=10000",  # MB; one file, whoever reads it goes on where they were
        "--disable-admission-plugins=ServiceAccount",
        # as OpenShift has it: who makes owners may be asked for more rights
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        "--endpoint-reconciler-type=none",
    ]


def _controller_manager(server: ApiServer, controllers: tuple[str, ...]) -> list[str]:
    return [
        program("kube-controller-manager"),
        f"--kubeconfig={server.kubeconfig}",
        f"--controllers={','.join(controllers)}",
        "--leader-elect=false",
        "--secure-port=0",
        f"--root-ca-file={server.folder / 'ca.crt'}",
        f"--service-account-private-key-file={server.folder / 'tokens.key'}",
        "--use-service-account-credentials=false",
    ]


def _wait_ready(server: ApiServer, process: subprocess.Popen[bytes]) -> None:
    def ready() -> bool:
        if process.poll() is not None:
            raise AssertionError((server.folder / "apiserver.log").read_text()[-2000:])
        return server.is_ready()

    wait_for(ready, "the API server is ready")


def write_kubeconfig(server: ApiServer, folder: Path, name: str) -> Path:
    """A kubeconfig for the user whose certificate is in the folder under that name."""
    cluster = {"server": server.url, "certificate-authority": str(server.folder / "ca.crt")}
    user = {
        "client-certificate": str(folder / f"{name}.crt"),
        "client-key": str(folder / f"{name}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": name}}],
        "current-context": "tests",
    }
    path = folder / f"{name}.kubeconfig"
    path.write_text(json.dumps(config))
    return path
