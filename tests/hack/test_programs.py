# SPDX-License-Identifier: Apache-2.0
"""What is built from which Go module, and what a second run does."""

import subprocess
from pathlib import Path

import pytest

import program_table
import programs

UPSTREAM = """module example.org/tool

go 1.26.0

replace (
	example.org/api => ./staging/src/example.org/api
	example.org/other => ../other
)
"""


def place(cache: Path, name: str) -> Path:
    path = programs.program_path(cache, name)
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    return path


def test_every_program_of_node_and_clients_has_a_source() -> None:
    for name in (*program_table.NODE, *program_table.CLIENTS):
        assert name in program_table.source_of(name).packages


def test_no_program_has_two_sources() -> None:
    names = [name for source in program_table.SOURCES for name in source.packages]
    assert len(names) == len(set(names))


def test_every_source_is_pinned_to_one_version() -> None:
    for source in program_table.SOURCES:
        assert source.version.startswith("v")
        assert source.version != "latest"


def test_a_module_at_its_root_is_its_own_package() -> None:
    assert program_table.source_of("runc").package("runc") == "github.com/opencontainers/runc"
    assert program_table.source_of("kubelet").package("kubelet") == "k8s.io/kubernetes/cmd/kubelet"


def test_staged_modules_are_named_by_their_published_version_and_other_folders_are_not() -> None:
    source = program_table.Source(
        module="example.org/tool", version="v1.37.2", packages={"tool": ""}
    )
    text = programs.go_mod(source, UPSTREAM)
    assert "require example.org/tool v1.37.2" in text
    assert "replace example.org/api => example.org/api v0.37.2" in text
    assert "example.org/other" not in text
    assert "\ngo 1.26.0\n" in text


def test_what_is_built_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = place(tmp_path, "kind")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_more: pytest.fail("ran a program"))
    assert programs.ensure(["kind", "kind"], tmp_path) == [built]
    assert (tmp_path / "bin" / "kind").resolve() == built


def test_missing_programs_of_one_module_are_built_together(tmp_path: Path) -> None:
    place(tmp_path, "kubectl")
    groups = programs.missing(tmp_path, ["kubectl", "kubelet", "etcd", "kubeadm"])
    assert [(source.module, names) for source, names in groups] == [
        ("k8s.io/kubernetes", ["kubelet", "kubeadm"]),
        ("go.etcd.io/etcd/server/v3", ["etcd"]),
    ]


def test_a_link_to_an_older_version_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kind").symlink_to(tmp_path / "older")
    built = place(tmp_path, "kind")
    programs.ensure(["kind"], tmp_path)
    assert (tmp_path / "bin" / "kind").readlink() == built


def test_a_failed_build_leaves_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], **_more: object) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(subprocess.CalledProcessError):
        programs.ensure(["kind"], tmp_path)
    assert not programs.program_path(tmp_path, "kind").exists()
    assert not (tmp_path / "bin" / "kind").exists()


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert programs.main(["kubctl"]) == 2
    said = capsys.readouterr().err
    assert "kubctl" in said
    assert "kubectl" in said


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("CAIS_CACHE", raising=False)
    assert programs.cache_folder() == tmp_path / "xdg" / "cais"
    monkeypatch.setenv("CAIS_CACHE", str(tmp_path / "own"))
    assert programs.cache_folder() == tmp_path / "own"
