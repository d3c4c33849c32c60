# SPDX-License-Identifier: Apache-2.0
"""Clients that are sent to the token endpoint, where it is more than a pull or a push."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from support.layout import make_image
from support.registry import wait_until

CONFIG = "server.yaml"

COPY: dict[str, Callable[[str, str], tuple[str, ...]]] = {
    "crane": lambda source, target: ("crane", "copy", source, target),
    "regctl": lambda source, target: ("regctl", "image", "copy", source, target),
    "skopeo": lambda source, target: (
        "skopeo",
        "copy",
        f"docker://{source}",
        f"docker://{target}",
    ),
    "oras": lambda source, target: ("oras", "cp", source, target),
}

MOUNTING = ("crane", "regctl")  # the others send the bytes


@pytest.mark.parametrize("place", ["token"], indirect=True)
@pytest.mark.parametrize("client", COPY)
def test_a_copy_within_the_registry_is_allowed_to_mount(place: Any, client: str) -> None:
    digest = make_image(place.folder / "source", "hello")
    source, target = f"{place.host}/team/hello:v1", f"{place.host}/team/other:v1"
    place.run("crane", "push", place.folder / "source", source)
    place.run(*COPY[client](source, target))
    assert place.digest("team/other", "v1") == digest
    if client in MOUNTING:
        wait_until(
            lambda: any(line.get("event") == "blob.mount" for line in place.server.lines()),
            what="the audit log tells a mount",
        )


def change(place: Any, **access: Any) -> None:
    """Give the registry other rules."""
    path = place.folder / CONFIG
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "access": access}))


@pytest.mark.parametrize("place", ["token"], indirect=True)
def test_who_may_only_pull_is_told_so_when_pushing(place: Any) -> None:
    digest = make_image(place.folder / "source", "hello")
    reference = f"{place.host}/team/hello:v1"
    place.run("crane", "push", place.folder / "source", reference)
    rule = {"users": ["ci"], "repositories": ["**"], "actions": ["pull"]}
    change(place, anonymous=[], rules=[rule])

    def is_loaded() -> bool:
        return bool(place.server.ask("DELETE", "/v2/team/none/manifests/v1").status == 403)

    wait_until(is_loaded, what="the rules are loaded")
    assert place.run("crane", "digest", reference) == f"{digest}\n"
    for push in (
        ("crane", "push", place.folder / "source", f"{reference}.1"),
        ("regctl", "image", "copy", f"ocidir://{place.folder}/source:v1", f"{reference}.2"),
        ("skopeo", "copy", f"oci:{place.folder}/source:v1", f"docker://{reference}.3"),
        ("oras", "cp", "--from-oci-layout", f"{place.folder}/source:v1", f"{reference}.4"),
    ):
        words = place.shown(*push, fails=True).lower()
        assert "denied" in words or "forbidden" in words, words


@pytest.mark.parametrize("place", ["token"], indirect=True)
def test_what_anyone_may_pull_is_pulled_without_a_password(place: Any) -> None:
    digest = make_image(place.folder / "source", "hello")
    reference = f"{place.host}/team/hello:v1"
    place.run("crane", "push", place.folder / "source", reference)
    rule = {"users": ["ci"], "repositories": ["**"], "actions": ["pull", "push"]}
    change(place, anonymous=["pull"], rules=[rule])
    anonymous = {"DOCKER_CONFIG": str(place.folder), "REGISTRY_AUTH_FILE": "/dev/null"}

    def answers() -> bool:
        path = "/v2/team/hello/manifests/v1"
        return bool(place.server.ask("GET", path, login=None).status == 200)

    wait_until(answers, what="the rules are loaded")
    assert place.run("crane", "digest", reference, **anonymous) == f"{digest}\n"


@pytest.mark.parametrize("place", ["token"], indirect=True)
def test_clients_that_come_by_another_name_use_their_password(place: Any) -> None:
    """As nodes do that reach the registry by an address instead of its name."""
    make_image(place.folder / "source", "hello")
    port = place.server.address[1]
    place.run("crane", "push", place.folder / "source", f"{place.host}/team/hello:v1")
    wait_until(lambda: has_logged(place, "/manifests/v1", 201), what="the push is logged")
    before = place.tokens()
    encoded = base64.b64encode(place.server.login.encode()).decode()
    login = {"auths": {f"localhost:{port}": {"auth": encoded}}}
    config = place.folder / "home" / "config.json"
    config.write_text(json.dumps(login))
    for command in (
        ("crane", "digest", f"localhost:{port}/team/hello:v1"),
        ("regctl", "manifest", "get", f"localhost:{port}/team/hello:v1"),
        ("skopeo", "inspect", f"docker://localhost:{port}/team/hello:v1"),
        ("oras", "manifest", "fetch", "--plain-http=false", f"localhost:{port}/team/hello:v1"),
    ):
        place.run(*command)
    fetched = "/manifests/v1"
    wait_until(lambda: has_logged(place, fetched, 200, user_agent="oras"), what="all is logged")
    assert place.tokens() == before


def has_logged(place: Any, path: str, status: int, *, user_agent: str = "") -> bool:
    """Whether the server has told of such an answer; what came before is told by then, too."""
    return any(
        str(line.get("path")).endswith(path)
        and line["status"] == status
        and user_agent in line["user_agent"]
        for line in place.server.lines()
    )


@pytest.mark.parametrize("place", ["token"], indirect=True)
def test_clients_log_in_at_the_token_endpoint(place: Any) -> None:
    user, password = place.server.login.split(":")
    for command in (
        ("regctl", "registry", "login", "-u", user, "-p"),
        ("skopeo", "login", "-u", user, "-p"),
        ("oras", "login", "-u", user, "-p"),
    ):
        wanted = place.tokens() + 1
        place.run(*command, password, place.host)
        place.shown(*command, "wrong", place.host, fails=True)
        wait_until(partial(_has_given, place, wanted), what="one token was given out")


def _has_given(place: Any, tokens: int) -> bool:
    return bool(place.tokens() == tokens)
