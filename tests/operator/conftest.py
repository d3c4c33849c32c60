# SPDX-License-Identifier: Apache-2.0
import pytest

from cais_operator import pki


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is not the question here."""
    monkeypatch.setattr(pki, "_ROUNDS", 4)
