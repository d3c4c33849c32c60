# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from cais_operator.node_trust import containerd

CERTS = Path("/etc/containerd/certs.d")
NEW = "[plugins.'io.containerd.cri.v1.images'.registry]"
OLD = '[plugins."io.containerd.grpc.v1.cri".registry]'
LOCAL_OLD = """\
version = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
discard_unpacked_layers = true
"""
LOCAL_NEW = """\
version = 3
[plugins.'io.containerd.cri.v1.images']
use_local_image_pull = true
"""
SET = f"config_path = '{CERTS}'\n"


def problem(folder: Path, main: str, **drop_ins: str) -> str | None:
    config = folder / "config.toml"
    config.write_text(main)
    (folder / "conf.d").mkdir()
    for name, text in drop_ins.items():
        (folder / "conf.d" / f"{name}.toml").write_text(text)
    return containerd.problem(config, CERTS)


@pytest.mark.parametrize(
    "main",
    [
        f"version = 3\n{NEW}\n{SET}",
        f"version = 4\n{NEW}\n{SET}",
        f"version = 2\n{OLD}\n{SET}",
        f"version = 2\n{OLD}\nconfig_path = '{CERTS}/'\n",
        f"[plugins.cri.registry]\n{SET}",
        LOCAL_OLD + f"{OLD}\nconfig_path = '{CERTS}:/etc/docker/certs.d'\n",
        LOCAL_NEW + f"{NEW}\nconfig_path = '{CERTS}:/elsewhere'\n",
    ],
)
def test_a_configuration_that_leads_to_the_folder_is_known(tmp_path: Path, main: str) -> None:
    assert problem(tmp_path, main) is None


@pytest.mark.parametrize(
    ("main", "said", "table"),
    [
        ("version = 3\n", "config_path is not set", NEW),
        ("version = 2\n", "config_path is not set", OLD.replace('"', "'")),
        ("", "config_path is not set", OLD.replace('"', "'")),
        (f"version = 3\n{OLD}\n{SET}", "config_path is not set", NEW),
        (f"version = 2\n{NEW}\n{SET}", "config_path is not set", OLD.replace('"', "'")),
        (f"version = 3\n{NEW}\nconfig_path = '/etc/certs'\n", "is '/etc/certs'", NEW),
        (LOCAL_NEW + f"{NEW}\nconfig_path = '/a:{CERTS}'\n", f"is '/a:{CERTS}'", NEW),
        (f"version = 3\n{NEW}\nconfig_path = 7\n", "config_path is not set", NEW),
        (
            f"version = 3\n{NEW}\nconfig_path = '{CERTS}:/etc/docker/certs.d'\n",
            "find nothing in a list",
            NEW,
        ),
    ],
)
def test_any_other_is_told_with_what_to_set_and_where(
    tmp_path: Path, main: str, said: str, table: str
) -> None:
    found = problem(tmp_path, main)
    assert found is not None
    assert said in found
    wanted = f"set config_path = '{CERTS}' under {table} in {tmp_path}/config.toml, restart"
    assert wanted in found


def test_a_drop_in_can_set_it(tmp_path: Path) -> None:
    main = 'version = 3\nimports = ["conf.d/*.toml"]\n'
    assert problem(tmp_path, main, cais=f"version = 3\n{NEW}\n{SET}") is None


def test_a_later_drop_in_wins(tmp_path: Path) -> None:
    main = f'version = 3\nimports = ["{tmp_path}/conf.d/*.toml"]\n{NEW}\n{SET}'
    found = problem(
        tmp_path, main, z=f"version = 3\n{NEW}\nconfig_path = '/z'\n", a="version = 3\n"
    )
    assert found is not None
    assert "conf.d/z.toml is '/z'" in found


def test_a_drop_in_that_makes_containerd_1_forget_it_is_told(tmp_path: Path) -> None:
    main = f'version = 2\nimports = ["conf.d/gpu.toml"]\n{OLD}\n{SET}'
    gpu = "version = 2\n[plugins.'io.containerd.grpc.v1.cri']\nenable_cdi = true\n"
    found = problem(tmp_path, main, gpu=gpu)
    assert found is not None
    assert "forgets config_path" in found
    assert f"in {tmp_path}/conf.d/gpu.toml, restart" in found


@pytest.mark.parametrize(
    ("main", "said"),
    [
        ("version = ", "is not TOML"),
        ('imports = ["/nowhere/x.toml"]', "/nowhere/x.toml cannot be read"),
        ("#" * ((1 << 20) + 1), "is larger than"),
        ("a = " + "[" * 10_000, "is not TOML"),
    ],
)
def test_what_cannot_be_read_is_told_and_is_no_yes(tmp_path: Path, main: str, said: str) -> None:
    found = problem(tmp_path, main)
    assert found is not None
    assert said in found
    assert "not known" in found


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    found = containerd.problem(tmp_path / "config.toml", CERTS)
    assert found is not None
    assert "cannot be read: No such file" in found


def test_files_that_import_each_other_end(tmp_path: Path) -> None:
    main = f'version = 3\nimports = ["config.toml", "conf.d/x.toml"]\n{NEW}\n{SET}'
    assert problem(tmp_path, main, x='version = 3\nimports = ["../config.toml"]\n') is None
