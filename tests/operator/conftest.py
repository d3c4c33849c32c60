# SPDX-License-Identifier: Apache-2.0
import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from cais_operator import pki, render


@functools.cache
def _read(text: str, name: str) -> str:
    return json.dumps(_LOAD(text, name))


_LOAD = render.load


def _read_once(text: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_read(text, name))
    return found


@pytest.fixture(scope="session", autouse=True)
def templates_are_read_once() -> Iterator[None]:
    """Read what a template gives once for each text, or it would be half of the tests' time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "load", _read_once)
        yield


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is not the question here."""
    monkeypatch.setattr(pki, "_ROUNDS", 4)
