# SPDX-License-Identifier: Apache-2.0
"""Shell completion by kubectl's own convention: the program `kubectl_complete-cais`.

kubectl's completion (bash, zsh, fish, PowerShell) calls it with the words so far, the last one
unfinished; it answers one candidate on a line, then `:` and what the shell is to do with them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from cais_kubectl.__main__ import parser
from cais_kubectl.kubectl import Kubectl, flags_of

_NO_FILES: Final = 4  # cobra's ShellCompDirectiveNoFileComp
_FILES: Final = 0
_WITH_FILES: Final = ("kubeconfig", "trust_dir")

Ask = Callable[[Sequence[str]], Sequence[str]]
"""Calls kubectl with words and returns the lines that it prints."""


def candidates(words: Sequence[str], ask: Ask) -> tuple[list[str], int]:
    """Return what may come next, and the directive for the shell.

    Args:
        words: After `kubectl cais`; the last one is unfinished.
        ask: For names that only the cluster knows.
    """
    *before, last = words or ("",)
    whole = parser()
    commands = _commands(whole)
    if not before:
        return [
            f"{name}\t{text}" for name, (_, text) in commands.items() if name.startswith(last)
        ], (_NO_FILES)
    if before[0] not in commands:
        return [], _NO_FILES
    found = _next(commands[before[0]][0], before[1:], last, ask)
    if found is None:
        return [], _FILES
    return [one for one in found if one.startswith(last)], _NO_FILES


def _commands(
    whole: argparse.ArgumentParser,
) -> dict[str, tuple[argparse.ArgumentParser, str]]:
    for action in whole._actions:  # noqa: SLF001 - argparse tells its parts in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - see above
            texts = {one.dest: one.help or "" for one in action._choices_actions}  # noqa: SLF001 - see above
            return {name: (inner, texts[name]) for name, inner in action.choices.items()}
    return {}


def _next(
    command: argparse.ArgumentParser, before: Sequence[str], last: str, ask: Ask
) -> list[str] | None:
    """Return all that may stand there; None for a file."""
    flags = {flag: one for one in command._actions for flag in one.option_strings}  # noqa: SLF001 - see above
    waiting = flags.get(before[-1]) if before else None
    if waiting is not None and waiting.nargs != 0:
        return _values(waiting, before[:-1], ask)
    if last.startswith("-"):
        return [f"{flag}\t{one.help}" for flag, one in flags.items() if one.help != "==SUPPRESS=="]
    takes_name = any(one.dest == "name" for one in command._actions)  # noqa: SLF001 - see above
    if takes_name and not _positionals(flags, before):
        return _lines(["get", "registries.cais.dev", "--output=name"], before, ask)
    return []


def _values(action: argparse.Action, before: Sequence[str], ask: Ask) -> list[str] | None:
    if action.choices is not None:
        return [str(one) for one in action.choices]
    if action.dest in _WITH_FILES:
        return None
    if action.dest == "namespace":
        return _lines(["get", "namespaces", "--output=name"], before, ask)
    if action.dest == "context":
        return _lines(["config", "get-contexts", "--output=name"], before, ask)
    return []


def _positionals(flags: dict[str, argparse.Action], before: Sequence[str]) -> list[str]:
    found, is_value = [], False
    for word in before:
        if not is_value and not word.startswith("-"):
            found.append(word)
        action = flags.get(word)
        is_value = action is not None and action.nargs != 0
    return found


def _lines(question: list[str], before: Sequence[str], ask: Ask) -> list[str]:
    chosen = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flags in (("-n", "--namespace"), ("--context",), ("--kubeconfig",), ("--cluster",)):
        chosen.add_argument(*flags)
    try:
        given, _ = chosen.parse_known_args(list(before))
    except argparse.ArgumentError:  # a flag whose value is still to come
        return []
    return [line.rpartition("/")[2] for line in ask([*question, *flags_of(**vars(given))])]


def _ask(words: Sequence[str]) -> Iterator[str]:
    yield from (Kubectl().read(*words, "--request-timeout=3s") or "").splitlines()


def main() -> None:
    """Answer kubectl."""
    found, directive = candidates(sys.argv[1:], lambda words: list(_ask(words)))
    print("\n".join([*found, f":{directive}"]))


if __name__ == "__main__":
    main()
