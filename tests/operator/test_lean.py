# SPDX-License-Identifier: Apache-2.0
"""What the operator's process loads; asked of a process of its own, as this one has everything."""

import json
import subprocess
import sys

NEVER_CALLED = ("requests", "oauthlib", "websocket", "urllib3", "kubernetes.client")
CALLED = ("kopf", "kubernetes.aio.client.api_client", "kubernetes.aio.config", "jinja2")


def loaded(*statements: str) -> set[str]:
    """Names of the modules that a process has after these statements."""
    program = "; ".join(
        (
            *statements,
            "import json, sys; print(json.dumps([*filter(sys.modules.get, sys.modules)]))",
        )
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return set(json.loads(done.stdout))


def test_parts_of_libraries_that_are_never_called_are_not_loaded() -> None:
    found = loaded(
        "from cais_operator import lean", "lean.leave_out()", "from cais_operator import app"
    )
    assert found.issuperset(CALLED)
    assert not [one for one in NEVER_CALLED if one in found]


def test_a_connection_that_only_watches_has_a_small_buffer() -> None:
    buffer = (
        "import asyncio, ssl; from asyncio import sslproto; from cais_operator import lean",
        "lean.leave_out()",
        "context, loop = ssl.create_default_context(), asyncio.new_event_loop()",
        "protocol = sslproto.SSLProtocol(loop, asyncio.Protocol(), context, None, False, 'x')",
        "assert len(protocol.get_buffer(-1)) == 64 * 1024",
    )
    assert loaded(*buffer)
