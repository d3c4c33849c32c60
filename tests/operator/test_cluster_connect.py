# SPDX-License-Identifier: Apache-2.0
import datetime as dt
import types
from pathlib import Path

import pytest
from kubernetes.aio.config import incluster_config

from cais_operator import errors
from cais_operator.cluster import connect


async def test_a_rotated_token_is_read_within_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, ca = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    ca.write_text("not parsed here")
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    clock = types.SimpleNamespace(now=lambda: now)
    fake = types.SimpleNamespace(datetime=clock, timedelta=dt.timedelta)
    monkeypatch.setattr(incluster_config, "datetime", fake)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(ca))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    connection = await connect(None)
    configuration = connection.configuration()  # that of a client made at the start
    assert await configuration.get_api_key_with_prefix("BearerToken") == "bearer first"
    token.write_text("second")
    now += dt.timedelta(seconds=61)
    assert await configuration.get_api_key_with_prefix("BearerToken") == "bearer second"
    credentials = await connection.credentials()
    assert credentials.authorization == "bearer second"
    assert "second" not in repr(credentials)


async def test_without_a_way_to_an_api_server_it_says_where_it_looked(
    tmp_path: Path,
) -> None:
    with pytest.raises(errors.CaisError, match="nowhere"):
        await connect(tmp_path / "nowhere")
