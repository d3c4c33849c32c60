# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import logging
import re

import pytest

from cais_registry.app.lines import Lines
from cais_registry.app.logs import JsonFormatter, TextFormatter, configuration
from cais_registry.http import accesslog
from cais_registry.http.patience import Patience
from cais_registry.http.requests import read
from cais_registry.http.sinks import to_logging
from cais_registry.http.stats import Done


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


def json_lines() -> tuple[Lines, list[dict[str, object]]]:
    """What gathers lines, and what it has written so far."""
    written: list[dict[str, object]] = []
    return Lines(lambda text: written.extend(map(json.loads, text.splitlines()))), written


SCOPE = {
    "method": "GET",
    "path": "/v2/a/manifests/v1",
    "query_string": b"ns=docker.io&token=secret",
    "headers": [(b"authorization", b"Basic secret"), (b"user-agent", b"containerd/2")],
    "client": ("10.0.0.1", 1),
}


async def test_a_request_is_logged_with_who_and_what_but_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="cais.access")
    request, done = read(SCOPE, _nothing, Patience()), _done("manifest", 200)
    lines, written = json_lines()
    accesslog.write(request, done, user="ci", sink=lines.sink(accesslog.LOGGER))
    lines.flush()
    accesslog.write(request, done, user="ci", sink=to_logging(accesslog.LOGGER))
    (line,) = caplog.records
    by_logging = json.loads(JsonFormatter().format(line))
    assert [*by_logging] == [*written[0]]  # both ways write the same fields
    for fields in (by_logging, written[0]):
        assert fields["ns"] == "docker.io"
        assert fields["user"] == "ci"
        assert fields["user_agent"] == "containerd/2"
        assert fields["client"] == "10.0.0.1"
        assert (fields["status"], fields["bytes"], fields["duration_ms"]) == (200, 5, 12.3)
        assert (fields["level"], fields["logger"]) == ("info", "cais.access")
        assert fields["message"] == "GET /v2/a/manifests/v1 200"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(fields["time"]))
        assert "secret" not in json.dumps(fields)


async def test_lines_are_written_soon_without_being_asked_for() -> None:
    written = asyncio.Event()
    lines = Lines(lambda _: written.set())
    lines.sink("cais.access")("one", {})
    await asyncio.wait_for(written.wait(), 30)


async def test_many_lines_do_not_wait() -> None:
    lines, written = json_lines()
    for number in range(1000):
        lines.sink("cais.access")("one", {"number": number})
    lines.flush()
    assert [line["number"] for line in written] == list(range(1000))


async def test_a_log_that_nobody_reads_stops_nothing() -> None:
    def refuse(_: bytes) -> None:
        raise BrokenPipeError

    lines = Lines(refuse)
    lines.sink("cais.access")("one", {})
    lines.flush()


@pytest.mark.parametrize(("status", "count"), [(200, 0), (503, 1)])
def test_only_probes_that_fail_are_logged(
    caplog: pytest.LogCaptureFixture, status: int, count: int
) -> None:
    scope = {"method": "GET", "path": "/readyz", "query_string": b"", "headers": []}
    caplog.set_level(logging.INFO, logger="cais.access")
    request, done = read(scope, _nothing, Patience()), _done("probe", status)
    accesslog.write(request, done, user=None, sink=to_logging(accesslog.LOGGER))
    assert len(caplog.records) == count
