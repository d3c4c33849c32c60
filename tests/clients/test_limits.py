# SPDX-License-Identifier: Apache-2.0
"""What a person reads who pushes where limits are: the registry's words, and soon."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import programs
from support.layout import make_image
from support.registry import running

VERSIONS = {"immutableTags": [{"repositories": ["**"], "tags": ["v*"]}]}


def crane(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = f"{programs.cache_folder() / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["crane", *map(str, arguments)],
        env={"PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (VERSIONS, "DENIED: tag v1 of app is immutable and points at sha256:"),
        ({"quota": 200_000}, "DENIED: the registry's quota does not take this: "),
    ],
)
def test_a_refused_push_ends_with_the_words_of_the_registry(
    tmp_path: Path, limits: dict[str, Any], words: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    make_image(first, "first", size=1 << 16)
    make_image(second, "second", size=1 << 18)
    with running(tmp_path, config=limits) as server:
        reference = "{}:{}/app:v1".format(*server.address)
        for _ in range(2):  # the same again costs nothing and moves nothing
            assert crane(tmp_path, "push", first, reference).returncode == 0
        refused = crane(tmp_path, "push", second, reference)
        assert refused.returncode == 1
        assert words in refused.stderr
        digest = crane(tmp_path, "digest", reference).stdout
        assert digest in crane(tmp_path, "push", first, reference).stdout + "\n"


def test_a_read_only_registry_is_pulled_from_and_says_why_it_takes_nothing(tmp_path: Path) -> None:
    image = tmp_path / "image"
    make_image(image, "image")
    with running(tmp_path) as server:
        reference = "{}:{}/app:v1".format(*server.address)
        assert crane(tmp_path, "push", image, reference).returncode == 0
    with running(tmp_path, config={"readOnly": True}) as server:
        reference = "{}:{}/app:v1".format(*server.address)
        assert crane(tmp_path, "validate", "--remote", reference).returncode == 0
        for refused in (
            crane(tmp_path, "tag", reference, "v2"),
            crane(tmp_path, "delete", reference),
        ):
            assert refused.returncode == 1
            assert "UNSUPPORTED: the registry is read-only" in refused.stderr
