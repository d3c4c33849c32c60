# SPDX-License-Identifier: Apache-2.0
"""`kubectl cais` where a kubelet forwards ports, DNS answers, and a real operator collects."""

import json
import sys

from e2e.kit import Answer, Tenant, until

PROGRAM = (sys.executable, "-m", "cais_kubectl")


def cais(tenant: Tenant, *words: str) -> Answer:
    return tenant.cluster.run(*PROGRAM, *words, "-n", tenant.namespace)


def must(tenant: Tenant, *words: str) -> str:
    answer = cais(tenant, *words)
    assert answer.code == 0, f"{words}\n{answer.out}\n{answer.err}"
    return answer.out


def test_it_tells_lists_collects_and_logs_in(tenant: Tenant) -> None:
    tenant.apply()
    early = cais(tenant, "status")
    assert early.code in (0, 1), early.err  # ready already, or it says what it waits for
    tenant.wait_ready()
    assert "nothing is wrong" in must(tenant, "status", "team")
    tenant.log_in_as_admin()
    digest = tenant.push("tools/app:1")
    (row,) = json.loads(must(tenant, "ls", "team", "tools/app", "--digests", "-o", "json"))
    assert row == {"tag": "1", "digest": digest}

    folder = tenant.cluster.place.work / "login"
    folder.mkdir(exist_ok=True)
    login = must(tenant, "login", "--print", "--via", "address", "--login-as", "pull")
    (folder / "config.json").write_text(login)
    pull = ["env", f"DOCKER_CONFIG={folder}", "crane", "digest", f"{tenant.address}/tools/app:1"]
    assert tenant.cluster.must(*pull, beside=True).strip() == digest

    tenant.cluster.must("crane", "delete", f"{tenant.address}/tools/app@{digest}", beside=True)
    dry = json.loads(must(tenant, "gc", "--dry-run", "--wait", "-o", "json"))
    assert not dry["failed"]
    assert dry["garbageCollection"]["lastDryRun"]["state"] == "Succeeded"
    done = json.loads(must(tenant, "gc", "--wait", "-o", "json"))
    assert done["garbageCollection"]["blobsDeleted"] > 0


def test_doctor_finds_nothing_that_keeps_this_cluster_from_working(tenant: Tenant) -> None:
    def said() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(cais(tenant, "doctor", "-o", "json").out)
        return found

    # nodes may be about to be told of registries that another test has just made
    found = until(said, lambda all_: all(one["level"] != "problem" for one in all_))
    words = " ".join(one["what"] for one in found if one["level"] == "ok")
    for part in ("leads", "DNS knows kubernetes.default.svc", "is established", "clock agrees"):
        assert part in words
