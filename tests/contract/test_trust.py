# SPDX-License-Identifier: Apache-2.0
"""Certificates that docker takes are taken by our own clients too, on any version of Python."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from cais_operator import registry_api
from cais_registry.cli import client
from cais_registry.remote import transport
from support.issuing import issuer

TRUSTS: dict[str, Callable[[], ssl.SSLContext]] = {
    "operator": lambda: registry_api._trust(issuer().certificate),
    "command": lambda: client._trust(None),
    "import": lambda: transport.trust(None),
}


@pytest.mark.parametrize("whose", TRUSTS)
def test_extensions_that_only_newer_pythons_ask_for_are_not_asked_for(
    whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ssl.create_default_context

    def newer(**options: Any) -> ssl.SSLContext:
        """What Python 3.13 makes."""
        context = usual(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", newer)
    context = TRUSTS[whose]()
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
