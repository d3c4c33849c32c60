# SPDX-License-Identifier: Apache-2.0
"""The search for secrets finds them; else it would prove nothing."""

import base64
import json
from urllib.parse import quote

import pytest

from support.leaks import leaks

SECRET = 's3cret "with" ä/+'


@pytest.mark.parametrize(
    "text",
    [
        f"before {SECRET} after",
        json.dumps({"password": SECRET}),
        f"https://ci:{quote(SECRET, safe='')}@host/",
        *(
            "Basic " + base64.b64encode(f"{user}:{SECRET}{rest}".encode()).decode()
            for user in ("ci", "abc", "bob1")
            for rest in ("", "x", "xy")
        ),
        json.dumps({"data": base64.b64encode(SECRET.encode()).decode()}),
    ],
)
def test_a_secret_is_found_in_each_form(text: str) -> None:
    assert leaks({"log": text, "other": "quiet"}, {"ci": SECRET}) == ["ci stands in log"]
    assert SECRET not in str(leaks({"log": text}, {"ci": SECRET}))


def test_a_part_of_a_longer_secret_is_found_by_its_lines() -> None:
    key = "-----BEGIN KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END KEY-----\n"
    assert leaks({"log": "MIGHAgEAMBMGByqGSM49"}, {"key": key}) == ["key stands in log"]


def test_what_is_not_there_is_not_found() -> None:
    texts = {"log": "s3cret with a/+ and czNjcmV0"}
    assert leaks(texts, {"ci": SECRET, "short": "log"}) == []
