# SPDX-License-Identifier: Apache-2.0
"""The few requests to the API server that the provisioner needs, without any library."""

import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kube:
    """The API server as a pod sees it.

    Attributes:
        url: Its address.
        context: The authorities it is believed by.
        account: Folder with the pod's token, which the kubelet renews.
    """

    url: str
    context: ssl.SSLContext
    account: Path

    @staticmethod
    def in_cluster() -> "Kube":
        """Return the API server of the cluster this pod runs in."""
        host = os.environ["KUBERNETES_SERVICE_HOST"]
        port = os.environ["KUBERNETES_SERVICE_PORT"]
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        return Kube(url=f"https://{host}:{port}", context=context, account=ACCOUNT)

    def list(self, path: str) -> Json:
        """Return all objects of a kind."""
        found: Json = json.loads(self._ask("GET", path))
        return found

    def create(self, path: str, body: Json) -> None:
        """Create an object; one that is there already is left as it is."""
        try:
            self._ask("POST", path, body, "application/json")
        except urllib.error.HTTPError as refused:
            if refused.code != HTTPStatus.CONFLICT:
                raise

    def patch(self, path: str, body: Json) -> None:
        """Merge `body` into an object."""
        self._ask("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str) -> None:
        """Delete an object; one that is gone is fine."""
        try:
            self._ask("DELETE", path)
        except urllib.error.HTTPError as refused:
            if refused.code != HTTPStatus.NOT_FOUND:
                raise

    def wait_for_change(self, path: str, version: str, *, seconds: int) -> None:
        """Return when something has changed since `version`, or after some seconds."""
        watch = f"{path}?watch=1&resourceVersion={version}&timeoutSeconds={seconds}"
        with self._open("GET", watch, None, "") as answer:
            answer.readline()

    def _ask(self, method: str, path: str, body: Json | None = None, kind: str = "") -> bytes:
        with self._open(method, path, body, kind) as answer:
            content: bytes = answer.read()
            return content

    def _open(self, method: str, path: str, body: Json | None, kind: str) -> Any:  # noqa: ANN401  # urllib names no type
        headers = {"Authorization": f"Bearer {(self.account / 'token').read_text().strip()}"}
        if kind:
            headers["Content-Type"] = kind
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(  # noqa: S310  # always the API server's own https address
            f"{self.url}{path}", data=data, headers=headers, method=method
        )
        return urllib.request.urlopen(request, context=self.context, timeout=15)  # noqa: S310  # see above
