# SPDX-License-Identifier: Apache-2.0
import json
import logging

import pytest

from cais_operator.logs import _Json, _Text
from cais_operator.resource import Key


def record(**extra: object) -> logging.LogRecord:
    made = logging.LogRecord("cais", logging.INFO, __file__, 1, "made %s", ("x",), None)
    made.__dict__.update(extra)
    return made


def test_a_json_line_holds_key_and_reason() -> None:
    line = json.loads(_Json().format(record(key=Key("a", "b"), reason="Serving")))
    assert line["message"] == "made x"
    assert line["key"] == "a/b"
    assert line["reason"] == "Serving"
    assert line["level"] == "info"
    assert line["time"].endswith("+00:00")


@pytest.mark.parametrize(("extra", "tail"), [({}, "made x"), ({"key": Key("a", "b")}, "key=a/b")])
def test_a_readable_line_ends_with_what_it_is_about(extra: dict[str, object], tail: str) -> None:
    assert _Text().format(record(**extra)).endswith(tail)


def test_a_line_stays_one_line() -> None:
    made = record()
    made.msg, made.args = "two\nlines", ()
    assert "\n" not in _Json().format(made)
