# SPDX-License-Identifier: Apache-2.0
"""Running commands as a person would type them, where a person would type them."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# the folder and the command arrive as arguments, so nothing of them is quoted twice
WRAPPER = 'cd "$1"; eval "$2"'


class CommandFailed(Exception):  # noqa: N818 - it reads as what happened
    """A command of the demo ended badly; the message says which, how, and with what words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Bash in a folder, with an environment, maybe in the namespaces of an engine.

    Attributes:
        prompt: What stands before a command.
        enter: Command that the shell is started with; empty where nothing has to be entered.
        environment: The variables of every command.
        folder: Where every command starts.
    """

    prompt: str
    enter: Sequence[str]
    environment: Mapping[str, str]
    folder: Path

    def type(self, text: str) -> str:
        """Show a command and what it prints, as it comes; return what it printed.

        Raises:
            CommandFailed: It ended with another exit code than 0.
        """
        print(f"{self.prompt} {text}", flush=True)
        lines: list[str] = []
        with self._start(text) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                lines.append(line)
        return _checked(text, process.returncode, "".join(lines))

    def ask(self, text: str) -> str:
        """Return what a command prints, without showing anything.

        Raises:
            CommandFailed: It ended with another exit code than 0.
        """
        with self._start(text) as process:
            printed = process.communicate()[0]
        return _checked(text, process.returncode, printed)

    def wait_for(self, text: str, good: Callable[[str], bool], *, seconds: float) -> str:
        """Ask again until the answer is good; return that answer.

        Raises:
            CommandFailed: It was not good within `seconds`; with the last answer.
        """
        deadline = time.monotonic() + seconds
        while True:
            answer = self._last_answer(text)
            if good(answer):
                return answer
            if time.monotonic() > deadline:
                raise CommandFailed(f"{text}\nnot as wanted within {seconds:.0f} s:\n{answer}")
            time.sleep(0.2)

    def _last_answer(self, text: str) -> str:
        try:
            return self.ask(text)
        except CommandFailed as failed:
            return str(failed)

    def _start(self, text: str) -> "subprocess.Popen[str]":
        bash = ["bash", "-euo", "pipefail", "-c", WRAPPER, "demo", str(self.folder), text]
        return subprocess.Popen(
            [*self.enter, *bash],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def _checked(text: str, code: int, printed: str) -> str:
    if code:
        tail = "\n".join(printed.splitlines()[-10:])
        raise CommandFailed(f"{text}\nended with exit code {code}\n{tail}".rstrip())
    return printed
