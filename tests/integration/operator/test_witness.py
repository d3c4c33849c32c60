# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests know of secrets comes from the API server as they hope."""

from pathlib import Path

from e2e.evidence import Evidence, report
from support.apiserver import wait_for
from support.leaks import leaks
from support.operators import Place
from support.secret_values import values


def test_the_witness_has_each_version_of_secrets_and_finds_them_in_objects_that_are_gone(
    place: Place, tmp_path: Path
) -> None:
    evidence = Evidence(tmp_path / "evidence")
    first, second = "first-of-the-passwords", "second-of-the-passwords"
    secret(place, first)
    witness = evidence.start(place.api.kubeconfig)
    try:
        name = f"{place.team}/ci/password"
        wait_for(lambda: values(evidence.secrets()).get(name) == first, "the Secret is there")
        tell(place, "nothing yet")
        wait_for(lambda: "ADDED" in configmaps(evidence, place), "the ConfigMap is watched")
        secret(place, second)
        tell(place, f"is {first}, to ci:{second}@host")
        tell(place, "nothing any more")
        place.delete("ConfigMap", "told")
        wait_for(lambda: "DELETED" in configmaps(evidence, place), "the ConfigMap came and went")
    finally:
        witness.communicate()
    known = {key: one for key, one in values(evidence.secrets()).items() if key.startswith(name)}
    assert known == {name: first, f"{name} #2": second}
    texts = evidence.texts()
    said = [report(leak, texts) for leak in leaks(texts.items(), known)]
    assert {one.partition(" stands in ")[0] for one in said} == {*known}
    assert all(f"configmaps {place.team}/told" in one for one in said)
    assert first not in str(said)
    assert second not in str(said)
    assert evidence.errors() == ""
    files = [*(tmp_path / "evidence").rglob("*.jsonl")]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    evidence.remove()
    assert not (tmp_path / "evidence").exists()


def secret(place: Place, password: str) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ci"}}
    place.api.apply(place.path("Secret", "ci"), {**body, "stringData": {"password": password}})


def tell(place: Place, words: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "told"}}
    place.api.apply(place.path("ConfigMap", "told"), {**body, "data": {"it": words}})


def configmaps(evidence: Evidence, place: Place) -> str:
    """What was written down of the one that the test makes."""
    texts = (text for where, text in evidence.texts().items() if where.endswith("/configmaps"))
    lines = "".join(texts).splitlines()
    return "".join(one for one in lines if place.team in one and '"name":"told"' in one)
