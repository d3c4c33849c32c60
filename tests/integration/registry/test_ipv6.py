# SPDX-License-Identifier: Apache-2.0
import socket
from pathlib import Path

from support.registry import running


def test_a_server_that_listens_on_all_of_ipv6_is_reached_by_both_families(tmp_path: Path) -> None:
    with running(tmp_path, "--listen", "[::]:0") as server:
        host, port = server.address
        assert host == "::"
        digest = server.push_image("tools/app", "1")
        answers = [server.ask("GET", "/v2/tools/app/manifests/1")]
        for loopback in ("[::1]", "127.0.0.1"):
            server.url = f"http://{loopback}:{port}"
            answers.append(server.ask("GET", "/v2/tools/app/manifests/1"))
        assert {one["Docker-Content-Digest"] for one in answers} == {digest}
        with socket.create_connection(("::1", port), timeout=10) as found:
            assert found.family == socket.AF_INET6
