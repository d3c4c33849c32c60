# SPDX-License-Identifier: Apache-2.0
"""`cais-registry import --from URL`, from registries that are broken, busy or hostile."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from support.command import run_command
from support.fake_registry import Asked, FakeRegistry, Reply, fake_registry, ranged
from support.registry import OCI_IMAGE, OCI_INDEX, digest_of, running

LAYER = b"0123456789" * 100_000
LOGIN = "me:secret"
BASIC = "Basic " + base64.b64encode(LOGIN.encode()).decode()


def import_(fake: FakeRegistry, folder: Path, *more: str) -> tuple[int, str, str]:
    (folder / "login").write_text(LOGIN)
    arguments = ["import", "--from", fake.url, "--data", str(folder / "data"), *more]
    code, out, err = run_command(*arguments)
    assert "secret" not in out + err
    return code, out, err


def with_login(folder: Path) -> tuple[str, str]:
    return "--credentials-file", str(folder / "login")


def is_layer(asked: Asked) -> bool:
    return asked.path.endswith(digest_of(LAYER))


def token_rule(realm: str) -> Callable[[Asked], Reply | None]:
    """Ask for tokens of one realm, for just what is needed."""

    def rule(asked: Asked) -> Reply | None:
        if asked.path == "/token":
            scope = parse_qs(asked.query)["scope"][0]
            return Reply(body=json.dumps({"token": scope}).encode())
        scope = "registry:catalog:*" if "_catalog" in asked.path else "repository:app:pull"
        if asked.headers.get("authorization") == f"Bearer {scope}":
            return None
        challenge = f'Bearer realm="{realm}/token",service="it",scope="repository:*:push"'
        return Reply(status=401, headers={"WWW-Authenticate": challenge})

    return rule


def test_tokens_are_fetched_and_the_password_goes_to_the_registry_s_host_only(
    tmp_path: Path,
) -> None:
    with fake_registry() as fake, fake_registry("127.0.0.2") as other:
        fake.image("app", "v1", LAYER)
        fake.rule = token_rule(fake.url)
        assert import_(fake, tmp_path, *with_login(tmp_path))[0] == 0
        tokens = [asked for asked in fake.asked if asked.path == "/token"]
        assert [asked.headers["authorization"] for asked in tokens] == [BASIC] * 2
        assert not [
            a for a in fake.asked if a not in tokens and a.headers.get("authorization") == BASIC
        ]
        fake.rule, other.rule = token_rule(other.url), token_rule(other.url)
        code, out, err = import_(fake, tmp_path, *with_login(tmp_path))
        assert (code, out, other.asked) == (2, "", [])
        assert "allow it with --auth-host 127.0.0.2" in err
        code, _, _ = import_(fake, tmp_path, *with_login(tmp_path), "--auth-host", "127.0.0.2")
        assert (code, other.asked[0].headers["authorization"]) == (0, BASIC)
        assert import_(fake, tmp_path)[0] == 0  # anonymous tokens give nothing away


def test_a_redirect_to_another_host_does_not_carry_the_login(tmp_path: Path) -> None:
    with fake_registry() as fake, fake_registry() as other:
        fake.image("app", "v1", LAYER)
        other.replies["/bytes"] = Reply(body=LAYER)

        def rule(asked: Asked) -> Reply | None:
            if asked.headers.get("authorization") != BASIC:
                return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            if is_layer(asked):
                return Reply(status=307, headers={"Location": f"{other.url}/bytes"})
            return None

        fake.rule = rule
        code, out, _ = import_(fake, tmp_path, *with_login(tmp_path))
        assert code == 0, out
        (asked,) = other.asked
        assert "authorization" not in asked.headers


def test_a_busy_registry_is_asked_again_when_it_says(tmp_path: Path) -> None:
    refusals = iter([Reply(status=429, headers={"Retry-After": "1"}), Reply(status=503)])
    with fake_registry() as fake:
        fake.image("app", "v1", LAYER)
        fake.rule = lambda asked: next(refusals, None) if is_layer(asked) else None
        code, out, _ = import_(fake, tmp_path)
    assert (code, len(fake.paths(digest_of(LAYER)))) == (0, 3), out


def test_a_blob_that_breaks_off_goes_on_from_there(tmp_path: Path) -> None:
    cuts = iter([300_000, 400_000])
    with fake_registry() as fake:
        fake.image("app", "v1", LAYER)
        fake.rule = lambda a: ranged(LAYER, a, next(cuts, None)) if is_layer(a) else None
        code, out, _ = import_(fake, tmp_path)
        asked = [one.headers.get("range") for one in fake.asked if is_layer(one)]
    assert (code, asked[0], len(asked)) == (0, None, 3), out
    with running(tmp_path) as server:
        assert server.ask("GET", f"/v2/app/blobs/{digest_of(LAYER)}").body == LAYER


BAD_BLOBS: dict[str, tuple[Reply, str]] = {
    "wrong bytes": (Reply(body=LAYER[:-1] + b"x"), "is damaged in the source"),
    "too few": (Reply(body=LAYER[:-1]), "is damaged in the source"),
    "cut again and again": (Reply(body=LAYER, cut=1000), "it broke off"),
    "not there": (Reply(status=404), "it is not given out (404)"),
    "forbidden": (Reply(status=403), "it is not given out (403)"),
    "in a circle": (Reply(status=302, headers={"Location": "?again"}), "redirects"),
    "to a file": (Reply(status=302, headers={"Location": "file:///etc/passwd"}), "be followed"),
}


@pytest.mark.parametrize("bad", BAD_BLOBS)
def test_what_is_wrong_is_left_out_and_told_and_the_rest_comes(tmp_path: Path, bad: str) -> None:
    reply, says = BAD_BLOBS[bad]
    with fake_registry() as fake:
        fake.image("app", "bad", LAYER)
        fake.image("good", "v1", b"good")
        fake.replies["/v2/_catalog"] = Reply(body=b'{"repositories": ["app", "good"]}')
        fake.rule = lambda asked: reply if is_layer(asked) else None
        code, out, _ = import_(fake, tmp_path)
    assert code == 1
    assert says in out
    assert "is left out: something of it is missing" in out
    with running(tmp_path) as server:
        assert server.ask("HEAD", "/v2/good/manifests/v1").status == 200
        assert server.ask("HEAD", "/v2/app/manifests/bad").status == 404
        assert server.ask("HEAD", f"/v2/app/blobs/{digest_of(LAYER)}").status == 404
        assert not list((tmp_path / "data" / "uploads").iterdir())


def test_a_manifest_with_another_digest_is_not_taken(tmp_path: Path) -> None:
    with fake_registry() as fake:
        digest = fake.image("app", "v1", LAYER)
        fake.replies[f"/v2/app/manifests/{digest}"].body += b" "
        code, out, _ = import_(fake, tmp_path)
    assert (code, "it is damaged in the source" in out) == (1, True)


def page(names: list[str], link: str) -> Reply:
    return Reply(
        body=json.dumps({"repositories": names}).encode(),
        headers={"Link": f'<{link}>; rel="next"'},
    )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: page(["app"], "/v2/_catalog?n=1000"), "have no end: 1 were read"),
        (lambda number: page(["app"], f"/v2/_catalog?last={number}"), "nothing new comes"),
        (lambda _: page(["app"], "http://127.0.0.2:1/v2/_catalog"), "lead to another server"),
        (lambda _: Reply(body=b"<html>"), "not answered in JSON"),
        (lambda _: Reply(body=b"[" * 100_000), "not answered in JSON"),
        (lambda _: Reply(body=b'{"repositories": 1}'), "without a list of repositories"),
        (lambda _: Reply(status=403), "--repository"),
    ],
)
def test_a_catalog_that_misleads_ends_the_import(
    tmp_path: Path, make: Callable[[int], Reply], says: str
) -> None:
    numbers = count()
    with fake_registry() as fake:
        fake.image("app", "v1", LAYER)
        fake.rule = lambda asked: make(next(numbers)) if "_catalog" in asked.path else None
        code, _, err = import_(fake, tmp_path)
        assert code in (1, 2)
        (line,) = err.splitlines()
        assert says in line
        assert len(fake.paths("_catalog")) < 10
        assert import_(fake, tmp_path, "--repository", "app")[0] == 0  # the way round it


def test_referrers_of_a_registry_without_their_api_come_by_their_tags(tmp_path: Path) -> None:
    with fake_registry() as fake:
        subject = fake.image("app", "v1", LAYER)
        about = {"mediaType": OCI_IMAGE, "digest": subject, "size": 1}
        referrer = fake.image(
            "app", "unlisted", b"signature", subject=about, artifactType="test/sig"
        )
        fallback = {"mediaType": OCI_IMAGE, "digest": referrer, "size": 1}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [fallback]}
        tag = subject.replace(":", "-")
        fake.manifest("app", tag, OCI_INDEX, index)
        fake.replies["/v2/app/tags/list"] = Reply(body=json.dumps({"tags": ["v1", tag]}).encode())
        code, out, _ = import_(fake, tmp_path)
        assert code == 0, out
        assert len(fake.paths("/referrers/")) == 1  # asked once, then not again
    with running(tmp_path) as server:
        (found,) = server.ask("GET", f"/v2/app/referrers/{subject}").json["manifests"]
        assert (found["digest"], found["artifactType"]) == (referrer, "test/sig")
