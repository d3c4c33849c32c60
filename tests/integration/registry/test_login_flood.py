# SPDX-License-Identifier: Apache-2.0
"""Whoever guesses passwords as fast as they can keeps nobody from pulling or logging in."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt

from support.registry import Server, htpasswd, running

COST = 10  # as passwords are hashed where it counts
GUESSERS = 24  # more than may wait for a check
PULLS = 100


@contextmanager
def repeated(times: int, act: Callable[[int], None]) -> Iterator[None]:
    """Do something again and again, in so many threads at once, while the body runs."""
    over = threading.Event()

    def go_on(number: int) -> None:
        while not over.is_set():
            act(number)

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def guess(server: Server, seen: Counter[int]) -> Callable[[int], None]:
    def act(number: int) -> None:
        users = ("ci", "nobody", f"user-{number}")
        login = f"{users[number % 3]}:guess-{sum(seen.values())}"
        seen[server.ask("GET", "/v2/", login=login).status] += 1

    return act


def test_a_flood_of_wrong_passwords_fails_no_pull(tmp_path: Path) -> None:
    """One client pulls with a password that is remembered; each request is sent once."""
    hashed = bcrypt.hashpw(b"c", bcrypt.gensalt(COST)).decode()
    (tmp_path / "users").write_text(f"ci:{hashed}\n" + htpasswd(other="o"))
    with running(tmp_path, "--htpasswd", tmp_path / "users", login="ci:c") as server:
        server.push_image("a", "v1")
        seen: Counter[int] = Counter()
        with repeated(GUESSERS, guess(server, seen)):
            answers: Counter[int] = Counter()
            deadline = time.monotonic() + 60
            while answers.total() < PULLS or 429 not in seen:
                assert time.monotonic() < deadline, seen
                answers[server.ask("GET", "/v2/a/manifests/v1").status] += 1
        assert set(answers) == {200}
        assert set(seen) == {401, 429}
