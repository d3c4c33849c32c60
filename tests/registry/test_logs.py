# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging

import pytest

from cais_registry.app.logs import JsonFormatter, TextFormatter, configuration
from cais_registry.http import accesslog
from cais_registry.http.requests import read
from cais_registry.http.stats import Done, Stats


def record(message: str = "hello", **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "cais", "levelno": 20, "levelname": "INFO", "msg": message, **fields}
    )


def test_a_json_line_has_time_level_message_and_fields() -> None:
    line = json.loads(JsonFormatter().format(record(status=200, path="/v2/")))
    assert line["time"].endswith("Z")
    assert line["level"] == "info"
    assert (line["message"], line["status"], line["path"]) == ("hello", 200, "/v2/")


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_what_a_client_sends_cannot_forge_a_line(formatter: logging.Formatter) -> None:
    line = formatter.format(record("GET /\n23:00 evil", user_agent="x\r\nevil\x1b[2J"))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_a_failure_is_logged_with_its_trace() -> None:
    try:
        int("no number")
    except ValueError as error:
        info = (ValueError, error, error.__traceback__)
    assert "no number" in json.loads(JsonFormatter().format(record(exc_info=info)))["error"]
    assert "no number" in TextFormatter().format(record(exc_info=info))


def test_a_pipe_gets_json_and_a_terminal_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(name: str) -> object:
        return configuration(name)["formatters"]["line"]["()"]  # type: ignore[arg-type]

    assert kind("text") is TextFormatter
    assert kind("json") is JsonFormatter
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert kind("auto") is JsonFormatter
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert kind("auto") is TextFormatter


async def _nothing() -> dict[str, object]:
    return {"type": "http.disconnect"}


def _done(kind: str, status: int) -> Done:
    return Done(kind=kind, method="GET", status=status, seconds=0.0123, received=0, sent=5)


def test_a_request_is_logged_with_who_and_what_but_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scope = {
        "method": "GET",
        "path": "/v2/a/manifests/v1",
        "query_string": b"ns=docker.io&token=secret",
        "headers": [(b"authorization", b"Basic secret"), (b"user-agent", b"containerd/2")],
        "client": ("10.0.0.1", 1),
    }
    caplog.set_level(logging.INFO, logger="cais.access")
    accesslog.write(read(scope, _nothing), _done("manifest", 200), user="ci")
    (line,) = caplog.records
    fields = json.loads(JsonFormatter().format(line))
    assert fields["ns"] == "docker.io"
    assert fields["user"] == "ci"
    assert fields["user_agent"] == "containerd/2"
    assert fields["client"] == "10.0.0.1"
    assert (fields["status"], fields["bytes"], fields["duration_ms"]) == (200, 5, 12.3)
    assert "secret" not in json.dumps(fields)


@pytest.mark.parametrize(("status", "lines"), [(200, 0), (503, 1)])
def test_only_probes_that_fail_are_logged(
    caplog: pytest.LogCaptureFixture, status: int, lines: int
) -> None:
    scope = {"method": "GET", "path": "/readyz", "query_string": b"", "headers": []}
    caplog.set_level(logging.INFO, logger="cais.access")
    accesslog.write(read(scope, _nothing), _done("probe", status), user=None)
    assert len(caplog.records) == lines


def test_requests_are_counted_by_kind() -> None:
    stats = Stats()
    for status in (200, 200, 404):
        stats.count(_done("blob", status))
    assert stats.requests["blob", "GET", 200] == 2
    assert sum(stats.durations["blob"].counts) == 3
    assert stats.bytes_sent == 15
