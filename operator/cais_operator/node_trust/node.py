# SPDX-License-Identifier: Apache-2.0
"""The program on a node: looks again and again, and says in a file how it stands.

The readiness probe prints that file, so that the words reach `kubectl describe pod` without any
right to the API. Nothing is removed at the end of the program: an update of the pod must not keep
the node from pulling. What was written goes when its Registry does, or with `remove`.
"""

import logging
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from cais_operator.node_trust import containerd, entries
from cais_operator.node_trust.folder import Folder
from cais_operator.node_trust.hosts import files

PAUSE = 1.0  # seconds between two looks at the document
REPAIR = 30.0  # seconds after which everything is looked at, changed or not
_MOST_TOLD = 10  # problems in the file; an Event has room for about as many
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the program was told.

    Attributes:
        document: The operator's document, in a mounted ConfigMap.
        directory: containerd's `certs.d`.
        config: containerd's configuration file; None means that it is not checked.
        state: File for what is wrong: one line each; empty when all is well.
        domain: DNS domain of the cluster.
        owner: Which installation: `namespace/name` of the document's ConfigMap.
        remove: Take everything of this installation away, and write nothing.
    """

    document: Path
    directory: Path
    config: Path | None
    state: Path
    domain: str
    owner: str
    remove: bool = False


class Node:
    """Keeps one node as the document says."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._folder = Folder(options.directory, options.owner)
        self._told: list[str] | None = None

    def look(self) -> list[str]:
        """Bring the node up to date; return what is wrong, and write it down when it changed."""
        problems = self._folder.bring({}) if self._options.remove else self._bring()
        if problems != self._told:
            self._tell(problems)
        return problems

    def _bring(self) -> list[str]:
        options = self._options
        try:
            found = entries.decode(options.document.read_text())
        except FileNotFoundError:
            return ["the operator has not said yet which registries there are"]
        except (OSError, ValueError) as error:
            return [f"the operator's list of registries cannot be used, nothing was done: {error}"]
        wrong = containerd.problem(options.config, options.directory) if options.config else None
        if wrong:
            return [wrong]
        return self._folder.bring(
            files(found, directory=options.directory, domain=options.domain, owner=options.owner)
        )

    def _tell(self, problems: list[str]) -> None:
        for problem in problems:
            _log.warning("%s", problem)
        if not problems:
            _log.info("this node is as it should be")
        lines = problems[:_MOST_TOLD]
        if len(problems) > len(lines):
            lines.append(f"and {len(problems) - len(lines)} more")
        new = self._options.state.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(self._options.state)
        self._told = problems


def run(options: Options) -> None:
    """Look until a signal comes."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    node = Node(options)
    seen, due = None, 0.0
    while not stop.is_set():
        now = _version(options.document)
        if now != seen or monotonic() >= due:
            seen, due = now, monotonic() + REPAIR
            node.look()
        stop.wait(PAUSE)


def _version(file: Path) -> tuple[int, int] | None:
    """Return what changes when the kubelet brings a new document."""
    try:
        found = os.stat(file)  # noqa: PTH116 - the same as of a Path
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
