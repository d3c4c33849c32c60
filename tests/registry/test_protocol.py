# SPDX-License-Identifier: Apache-2.0
"""Every interleaving of the storage protocol, for one digest in one repository.

The steps have the names that docs/adr/0006 and the code give them. Two pushers and a collector run
against each other; a crash may come between any two steps, leases and uploads may expire at any
time. The protocol must lose nothing and leak nothing in any state, and each of the shortcuts that
it avoids must be seen to fail: otherwise the model proves nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

PUSHERS = (0, 1)
ENDED = ("done", "dead", "failed")
Steps = Iterator[tuple[str, "State"]]


@dataclass(frozen=True, slots=True)
class Variant:
    """What the protocol does; each flag turned is a shortcut."""

    unique_keys: bool = True  # each upload has a key of its own
    owns_upload: bool = True  # U4 finds its own upload's row
    recorded: bool = True  # U3 writes the final key down before it renames
    spare_checked: bool = True  # U4 keeps bytes only if it finds the row in its own transaction
    rows_first: bool = True  # the row goes before the bytes
    promise_kept: bool = True  # H1 writes when a push used the promise before
    deleted_hidden: bool = True  # H1 and M1 do not see what is softly deleted
    locked: bool = True  # uploads end under nobody's hands: expiry respects the lock, no cancels


PROTOCOL = Variant()


@dataclass(frozen=True, slots=True)
class State:
    """The registry, as far as one digest goes."""

    files: frozenset[str] = frozenset()  # "up0": upload 0's bytes; "k0": its final key
    uploads: frozenset[tuple[int, bool]] = frozenset()  # (upload, final key recorded)
    blob: str | None = None  # the row's key
    member: str | None = None  # repo_blob: "promised" (touched > bound), "bound", "expired"
    deleted: bool = False  # repo_blob.deleted_at
    live: frozenset[int] = frozenset()  # manifests
    soft: frozenset[int] = frozenset()  # softly deleted manifests
    tombs: frozenset[str] = frozenset()
    queue_member: bool = False
    explicit: bool = False
    queue_bytes: bool = False
    reaping: tuple[str, bool] | None = None
    pusher: tuple[str, ...] = ("start",) * len(PUSHERS)
    told: frozenset[int] = frozenset()  # pushers that were told it exists and may rely on it
    spent: frozenset[str] = frozenset()  # one-off events that have happened

    def at(self, i: int, where: str) -> State:
        return replace(self, pusher=(*self.pusher[:i], where, *self.pusher[i + 1 :]))


def key(i: int, how: Variant) -> str:
    return f"k{i}" if how.unique_keys else "k"


def touch(s: State, i: int) -> State:
    """Promise a pusher that the blob is there."""
    return replace(s, member="promised", deleted=False, told=s.told | {i}, queue_member=True)


def pushes(s: State, how: Variant) -> Steps:
    for i in PUSHERS:
        where = s.pusher[i]
        if where in ENDED:
            continue
        yield f"crash {i}", s.at(i, "dead")
        step = {"start": start, "sent": after_u1, "publish": publish, "u4": u4, "spare": u4_spare}
        yield from step.get(where, m1)(s, i, how)


def start(s: State, i: int, how: Variant) -> Steps:
    if s.member is not None and not (s.deleted and how.deleted_hidden):
        fresh = s.member == "promised" or (not how.promise_kept and s.member == "bound")
        told = replace(s, told=s.told | {i}) if fresh else touch(s, i)
        yield f"H1 {i}", told.at(i, "man")
    yield (
        f"U1 {i}",
        replace(s, uploads=s.uploads | {(i, False)}, files=s.files | {f"up{i}"}).at(i, "sent"),
    )


def after_u1(s: State, i: int, how: Variant) -> Steps:
    """The digest is verified. Bytes that are there already need not be made durable."""
    if s.blob is not None:
        yield f"U4 begins {i}", s.at(i, "spare")
    if not how.recorded:
        yield f"U3.record skipped {i}", s.at(i, "publish")
    elif (i, False) in s.uploads:
        recorded = (s.uploads - {(i, False)}) | {(i, True)}
        yield f"U3.record {i}", replace(s, uploads=recorded).at(i, "publish")
    else:
        yield f"U3 lost {i}", replace(s, files=s.files - {f"up{i}"}).at(i, "failed")


def publish(s: State, i: int, how: Variant) -> Steps:
    if f"up{i}" in s.files:
        files = (s.files - {f"up{i}"}) | {key(i, how)}
        yield f"U3.publish {i}", replace(s, files=files).at(i, "u4")
    else:
        yield f"U3 lost {i}", s.at(i, "failed")


def own(s: State, i: int) -> frozenset[tuple[int, bool]]:
    return frozenset(u for u in s.uploads if u[0] == i)


def u4(s: State, i: int, how: Variant) -> Steps:
    mine = key(i, how)
    if how.owns_upload and not own(s, i):
        yield f"U4 lost {i}", replace(s, tombs=s.tombs | {mine}).at(i, "failed")
        return
    s = replace(s, uploads=s.uploads - own(s, i))
    if s.blob is None:
        yield f"U4 stored {i}", touch(replace(s, blob=mine), i).at(i, "man")
    else:
        spare = s.tombs if s.blob == mine else s.tombs | {mine}
        yield f"U4 duplicate {i}", touch(replace(s, tombs=spare), i).at(i, "man")


def u4_spare(s: State, i: int, how: Variant) -> Steps:
    """U4 of a pusher that saw the blob's row before, and has not made its own bytes durable."""
    if not own(s, i):
        yield f"U4 lost {i}", replace(s, tombs=s.tombs | {f"up{i}"}).at(i, "failed")
    elif s.blob is None and how.spare_checked:
        yield f"U4 needs bytes {i}", s.at(i, "sent")
    else:
        blob = s.blob or f"k{i}"
        ended = replace(s, uploads=s.uploads - own(s, i), tombs=s.tombs | {f"up{i}"}, blob=blob)
        yield f"U4 duplicate {i}", touch(ended, i).at(i, "man")


def m1(s: State, i: int, how: Variant) -> Steps:
    if s.member is not None and not (s.deleted and how.deleted_hidden):
        bound = "expired" if s.member == "expired" else "bound"
        yield (
            f"M1 {i}",
            replace(s, live=s.live | {i}, member=bound, told=frozenset()).at(i, "done"),
        )
    else:
        yield f"M1 unknown {i}", s.at(i, "failed")


def clients(s: State, how: Variant) -> Steps:
    """What others do: delete, and let time pass."""
    for i in s.live:
        yield f"delete {i}", replace(s, live=s.live - {i}, soft=s.soft | {i})
    if s.member is not None and not s.live and not s.deleted and "blob" not in s.spent:
        gone = replace(
            s, deleted=True, told=frozenset(), queue_member=True, spent=s.spent | {"blob"}
        )
        yield "delete blob", gone
    if s.member in {"promised", "bound"}:
        yield "lease over", replace(s, member="expired", told=frozenset())
    if not how.unique_keys:
        return
    for i, recorded in s.uploads:
        keys = {f"up{i}"} | ({key(i, how)} if recorded else set())
        ended = replace(s, uploads=s.uploads - {(i, recorded)}, tombs=s.tombs | keys)
        if s.pusher[i] in ENDED or not how.locked:
            yield f"janitor {i}", ended


def collector(s: State, how: Variant) -> Steps:
    for i in s.soft:  # S1c: the window is over
        yield f"S1c {i}", replace(s, soft=s.soft - {i}, queue_member=True, explicit=True)
    if s.queue_member:
        yield from s1a(s)
    if s.queue_bytes:
        if s.member is None and s.blob is not None and how.rows_first:
            yield "S1b", replace(s, blob=None, tombs=s.tombs | {s.blob}, queue_bytes=False)
        elif s.member is None and s.blob in s.files:
            yield "S1b bytes", replace(s, files=s.files - {s.blob or ""})
        elif s.member is None and s.blob is not None:
            yield "S1b row", replace(s, blob=None, queue_bytes=False)
        else:
            yield "S1b keeps", replace(s, queue_bytes=False)
    yield from reaper(s)


def s1a(s: State) -> Steps:
    held = bool(s.live | s.soft)
    leased = s.member == "promised" or (s.member == "bound" and not s.explicit)
    if s.member is None or held:
        yield "S1a keeps", replace(s, queue_member=False, explicit=False)
    elif s.deleted or not leased:
        gone = replace(s, member=None, deleted=False, queue_member=False, explicit=False)
        yield "S1a", replace(gone, queue_bytes=True)


def reaper(s: State) -> Steps:
    if s.reaping is None:
        for name in s.tombs:
            yield f"R1 begins {name}", replace(s, reaping=(name, False))
        return
    name, done = s.reaping
    yield "reaper crashes", replace(s, reaping=None)
    if done:
        yield f"R2 {name}", replace(s, tombs=s.tombs - {name}, reaping=None)
    else:
        yield f"R1 {name}", replace(s, files=s.files - {name}, reaping=(name, True))


def steps(s: State, how: Variant) -> Steps:
    yield from pushes(s, how)
    yield from clients(s, how)
    yield from collector(s, how)


def wrong(s: State) -> str | None:
    """What must never be."""
    if (s.live | s.soft) and (s.member is None or s.blob is None):
        return "a manifest refers to a blob that has no row"
    if s.blob is not None and s.blob not in s.files:
        return "a blob's bytes are gone"
    if s.told and s.member is None:
        return "a pusher was told that the blob exists"
    return None


def leak(s: State, how: Variant) -> str | None:
    """What stays when everybody is dead, all manifests are deleted and all time has passed."""
    s = replace(s, pusher=("dead",) * len(PUSHERS), reaping=None, told=frozenset())
    s = replace(s, soft=s.soft | s.live, live=frozenset())
    s = replace(s, member="expired" if s.member else None, queue_member=True)
    while True:
        after = [
            state
            for name, state in steps(s, how)
            if not name.startswith(("delete", "reaper crashes", "crash"))
        ]
        if not after:
            return None if not s.files and s.blob is None else f"left: {sorted(s.files)}"
        s = after[0]


def explore(how: Variant, *, leaks: bool = False) -> tuple[int, str | None]:
    """Visit all states; returns their number and the first thing that is wrong, with its path."""
    begin = State()
    came: dict[State, tuple[str, State] | None] = {begin: None}
    waiting = deque([begin])
    while waiting:
        state = waiting.popleft()
        why = wrong(state) or (leak(state, how) if leaks else None)
        if why is not None:
            return len(came), f"{why}: {path(came, state)}"
        for name, after in steps(state, how):
            if after not in came:
                came[after] = (name, state)
                waiting.append(after)
    return len(came), None


def path(came: dict[State, tuple[str, State] | None], state: State) -> str:
    names: list[str] = []
    while (before := came[state]) is not None:
        names.append(before[0])
        state = before[1]
    return " -> ".join(reversed(names))


def test_no_interleaving_loses_or_leaks_a_byte() -> None:
    count, why = explore(PROTOCOL, leaks=True)
    assert why is None
    assert count > 5_000


def test_nothing_is_lost_though_uploads_are_cancelled_under_the_hands_of_their_writers() -> None:
    count, why = explore(replace(PROTOCOL, locked=False))
    assert why is None
    assert count > 10_000


@pytest.mark.parametrize(
    ("shortcut", "what"),
    [
        ({"unique_keys": False}, "bytes are gone"),
        ({"owns_upload": False, "locked": False}, "bytes are gone"),
        ({"recorded": False}, "left"),
        ({"spare_checked": False}, "bytes are gone"),
        ({"rows_first": False}, "bytes are gone"),
        ({"promise_kept": False}, "was told"),
        ({"deleted_hidden": False}, "was told"),
    ],
)
def test_every_shortcut_is_seen_to_fail(shortcut: dict[str, bool], what: str) -> None:
    _, why = explore(replace(PROTOCOL, **shortcut), leaks=what == "left")
    assert why is not None
    assert what in why
