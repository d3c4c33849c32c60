# SPDX-License-Identifier: Apache-2.0
"""A server that gives out tokens, and how tests ask it for them and show them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support.registry import Answer, Server, htpasswd, running
from support.tokens import SERVICE, Key, configure

PULL = "repository:apps/x:pull"
PUSH = "repository:apps/x:pull,push"
HOST = "registry.test:5000"
REALM = "https://registry.test:5000/token"
USERS = {"admin": "a", "ci": "c", "reader": "r", "leaver": "l", "maker": "m"}
RULES: list[dict[str, Any]] = [
    {"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "delete", "admin"]},
    {"users": ["ci", "leaver"], "repositories": ["apps/**"], "actions": ["pull", "push"]},
    {"users": ["reader"], "repositories": ["apps/**"], "actions": ["pull"]},
    {"users": ["maker"], "repositories": ["apps/**"], "actions": ["create"]},
]
KEY, OLD_KEY = Key(), Key()


def configuration(folder: Path, **more: Any) -> dict[str, Any]:
    (folder / "users").write_text(htpasswd(**USERS))
    return {
        "auth": {"htpasswdFile": str(folder / "users")},
        "access": {"anonymous": [], "rules": RULES},
        "tokens": configure(folder, KEY, OLD_KEY, realms={HOST: REALM}),
        **more,
    }


@contextmanager
def guarded_server(folder: Path) -> Iterator[Server]:
    with running(folder, config=configuration(folder), login="admin:a") as server:
        server.push_image("apps/x", "v1")
        server.push_image("apps/y", "v1")
        server.push_image("secret", "v1", layer=b"of the secret")
        yield server


def fetch(server: Server, login: str | None, *scopes: str, service: str = SERVICE) -> Answer:
    query = urlencode([("service", service), *(("scope", scope) for scope in scopes)])
    return server.ask("GET", f"/token?{query}", login=login)


def token(server: Server, login: str | None, *scopes: str) -> str:
    answer = fetch(server, login, *scopes)
    assert answer.status == 200, answer.body
    return str(answer.json["token"])


def show(server: Server, text: str, method: str = "GET", path: str = "/v2/", **more: Any) -> Answer:
    headers = {"Authorization": f"Bearer {text}", "Host": HOST, **more.pop("headers", {})}
    return server.ask(method, path, headers=headers, login=None, **more)
