# SPDX-License-Identifier: Apache-2.0
import os

import pytest

import debian


def test_what_is_installed_is_not_asked_for_again() -> None:
    assert debian.absent(["dpkg", "no-such-package-of-debian", "dpkg"]) == [
        "no-such-package-of-debian"
    ]


def test_nothing_to_install_needs_no_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65532)
    debian.install([])


def test_a_user_is_told_which_packages_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65532)
    assert debian.main(["no-such-package-of-debian"]) == 1
    assert "missing, install them: no-such-package-of-debian" in capsys.readouterr().err
