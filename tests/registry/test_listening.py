# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import select
import socket

import pytest

from cais_registry.app.listening import listen, stop_accepting


def test_who_stopped_accepting_leaves_connections_to_other_processes() -> None:
    with listen("127.0.0.1", 0) as listener, listener.dup() as second:
        address = listener.getsockname()
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:  # another process with the same socket
            try:
                stop_accepting(listener)
                is_silent = not select.select([listener, second], [], [], 0.1)[0]
                with pytest.raises(BlockingIOError):
                    second.accept()
                os.write(told, b"1" if is_silent else b"0")
            finally:
                os._exit(0)
        with socket.create_connection(address):
            assert os.read(ready, 1) == b"1"
            os.waitpid(child, 0)
            assert select.select([listener], [], [], 10)[0]
            listener.accept()[0].close()
        os.close(ready)
        os.close(told)


def test_the_listener_does_not_block_and_finds_a_free_port() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0
        assert not listener.getblocking()


def test_ipv6_is_listened_on() -> None:
    with listen("::1", 0) as listener:
        assert listener.family == socket.AF_INET6
