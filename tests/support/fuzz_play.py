# SPDX-License-Identifier: Apache-2.0
"""Plays a sequence of requests to the real application, and checks every answer."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import bcrypt

from cais_registry.config.document import Access, Action, Rule
from cais_registry.http.credentials import Verifier
from cais_registry.http.errors import STATUS_AND_CODE
from cais_registry.http.gate import Gate
from cais_registry.model.limits import Limits
from cais_registry.services.access import OPEN, compile_rules
from support.fuzz_requests import HERE, USERS, digest
from support.in_process import Got, InProcess, Sent, opened

LIMITS = Limits(manifest_bytes=400_000, manifest_references=50, open_uploads=20)
CODES = {code for _, code in STATUS_AND_CODE.values()}
HASHES = {
    user: (bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)),) for user, password in USERS.items()
}
EVERYTHING: tuple[Action, ...] = ("pull", "push", "delete", "admin")
RULES = compile_rules(
    Access(
        anonymous=("pull",),
        rules=(
            Rule(users=("reader",), repositories=("a",), actions=("pull",)),
            Rule(users=("writer",), repositories=("team/**",), actions=("pull", "push")),
            Rule(users=("reader",), repositories=("team/**",), actions=("create",)),
            Rule(
                users=("boss",), repositories=("**",), actions=("pull", "push", "delete", "admin")
            ),
        ),
    )
)
BOSS = ("authorization", "Basic " + base64.b64encode(b"boss:b").decode())


def gate(name: str) -> Gate:
    if name == "open":
        return Gate(OPEN, verifier=None, realm=None)
    return Gate(RULES, verifier=Verifier(HASHES), realm="cais")


def check(sent: Sent, got: Got) -> None:
    """What has to hold for every answer."""
    assert got.status < 500, got
    length = got.header("content-length")
    has_body = sent.method != "HEAD" and got.status not in {204, 304}
    if has_body:
        assert length == str(len(got.body)), got
    else:
        assert got.body == b""
    if got.status >= 400 and has_body:
        assert got.code in CODES
    if got.status == 405:
        assert got.header("allow")
    assert got.header("x-content-type-options") == "nosniff"


async def check_head(client: InProcess, sent: Sent, got: Got) -> None:
    """HEAD is GET without the body; a count of requests changes with every one."""
    if sent.target.startswith(("/metrics", "/cais/")) or "/blobs/uploads" in sent.target:
        return
    head = await client.ask(replace(sent, method="HEAD", pieces=(), hangs_up=False))
    if got.status == 405 or sent.hangs_up:
        return
    if "range" not in dict(sent.headers):
        assert (head.status, head.headers) == (got.status, got.headers)


async def check_pushed(client: InProcess, got: Got) -> None:
    """What was acknowledged can be read at the place that was told."""
    location, name = got.header("location"), got.header("docker-content-digest")
    if got.status == 201:
        assert location
        assert name
        found = await client.ask(Sent(method="GET", target=location, headers=(BOSS,)))
        assert found.status == 200
        assert digest(found.body, name.partition(":")[0]) == name


async def play(
    name: str, folder: Path, sequence: list[Sent], *, database_url: str | None = None
) -> int:
    """Send requests one after the other; nothing may be a fault of the server.

    Args:
        name: `open`, or `with users`.
        folder: For the data.
        sequence: What is sent.
        database_url: PostgreSQL, None for SQLite.

    Returns:
        How many requests were answered.
    """
    here = "0" * 32
    async with opened(folder, gate(name), LIMITS, database_url) as client:
        for one in sequence:
            sent = replace(one, target=one.target.replace(HERE, here))
            got = await client.ask(sent)
            check(sent, got)
            if sent.method == "GET":
                await check_head(client, sent, got)
            await check_pushed(client, got)
            here = (got.header("docker-upload-uuid") or here) if got.status == 202 else here
        assert client.faults == []
        return client.answered
