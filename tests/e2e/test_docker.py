# SPDX-License-Identifier: Apache-2.0
"""The classic engine against a running server; what else it does is in test_demo.py."""

import re

from e2e.kit import Answer, Tenant


def docker(tenant: Tenant, *command: str) -> Answer:
    return tenant.cluster.run("docker", *command, beside=True)


def said(answer: Answer) -> str:
    """The digest that docker names at the end of a push or a pull."""
    assert answer.code == 0, answer.err
    found = re.search(r"igest: (sha256:[0-9a-f]{64})", answer.out)
    assert found, answer.out
    return found[1]


def test_a_deleted_image_is_no_longer_pulled_and_a_push_brings_it_back(settled: Tenant) -> None:
    tenant = settled
    reference, kept = f"{tenant.address}/docker/app:1", f"{tenant.namespace}-kept"
    work = tenant.cluster.place.work / "docker"
    work.mkdir(exist_ok=True)
    (work / "content").write_text(tenant.namespace)
    tenant.cluster.must("tar", "-C", str(work), "-cf", f"{work}.tar", "content")
    try:
        assert docker(tenant, "import", f"{work}.tar", kept).code == 0
        assert docker(tenant, "tag", kept, reference).code == 0
        digest = said(docker(tenant, "push", reference))
        assert tenant.digest("docker/app:1") == digest
        docker(tenant, "rmi", "--force", reference)
        assert said(docker(tenant, "pull", reference)) == digest

        tenant.cluster.must("crane", "delete", f"{tenant.address}/docker/app@{digest}", beside=True)
        docker(tenant, "rmi", "--force", reference)
        pulled = docker(tenant, "pull", reference)  # by its digest docker has it in a cache
        assert pulled.code != 0
        assert "manifest unknown" in pulled.err

        assert docker(tenant, "tag", kept, reference).code == 0
        assert said(docker(tenant, "push", reference)) == digest
        docker(tenant, "rmi", "--force", reference)
        assert said(docker(tenant, "pull", reference)) == digest
    finally:
        docker(tenant, "rmi", "--force", reference, kept)
