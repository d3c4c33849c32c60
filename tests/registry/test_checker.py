# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cais_registry.model.check import Check, CheckState, Kind
from cais_registry.model.digest import Digest
from cais_registry.model.errors import BlobUnknown
from cais_registry.model.names import Tag
from cais_registry.services.checker import CheckOptions
from cais_registry.services.core import Core
from cais_registry.stores.check_rows import CheckedBlob
from cais_registry.stores.usage_rows import stored_bytes
from core_support import OTHER, REPO, World, collect, push_blob, push_image
from support.syncs import watch_syncs

EVERYTHING = CheckOptions(digests=True)
REPAIR = CheckOptions(digests=True, repair=True)
LAYER = b"layer" * 1000


def blob_file(data: Path, content: bytes = LAYER) -> Path:
    (path,) = (data / "blobs").rglob(f"{Digest.of(content).encoded}/*")
    return path


def copy_file(data: Path) -> Path:
    (path,) = (path for path in (data / "manifests").rglob("*") if path.is_file())
    return path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def add_file(data: Path, key: str) -> None:
    path = data / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"nobody's")


Damage = Callable[[Path], None]
DAMAGES: list[tuple[Kind, Damage]] = [
    (Kind.BLOB_MISSING, lambda data: blob_file(data).unlink()),
    (Kind.BLOB_SIZE, lambda data: truncate(blob_file(data))),
    (Kind.BLOB_DIGEST, lambda data: flip(blob_file(data))),
    (Kind.COPY_MISSING, lambda data: copy_file(data).unlink()),
    (Kind.COPY_DAMAGED, lambda data: flip(copy_file(data))),
    (Kind.ORPHAN, lambda data: add_file(data, f"blobs/sha256/aa/{'a' * 64}/{'0' * 32}")),
    (Kind.ORPHAN, lambda data: add_file(data, f"uploads/{'1' * 32}")),
    (Kind.ORPHAN, lambda data: add_file(data, f"manifests/sha256/aa/{'a' * 64}/{'2' * 32}")),
]
HEALED_BY_PUSH = (Kind.BLOB_MISSING, Kind.BLOB_SIZE, Kind.BLOB_DIGEST)


async def fill(core: Core) -> bytes:
    manifest = await push_image(core, "one", "v1", layers=[LAYER])
    await core.mirror.note()
    return manifest


async def check(core: Core, options: CheckOptions = EVERYTHING) -> Check:
    found = await core.checker.run(options)
    assert found.state is CheckState.SUCCEEDED
    return found


async def test_a_store_in_order_has_no_findings(tmp_path: Path) -> None:
    async with World(tmp_path).open() as core:
        await fill(core)
        await core.uploads.start(REPO, "ci")
        await core.manifests.delete(REPO, Tag("v1"))
        found = await check(core, REPAIR)
    assert (found.blobs, found.manifests, found.files) == (2, 1, 3)
    assert not found.found
    assert found.bytes_read > len(LAYER)


@pytest.mark.parametrize(("kind", "damage"), DAMAGES)
async def test_damage_is_found_repaired_and_healed(
    tmp_path: Path, kind: Kind, damage: Damage
) -> None:
    async with World(tmp_path).open() as core:
        manifest = await fill(core)
        damage(tmp_path)
        assert (await check(core)).found == {kind: 1}
        repaired = await check(core, REPAIR)
        assert (repaired.found, repaired.left) == ({kind: 1}, int(kind in HEALED_BY_PUSH))
        if kind in HEALED_BY_PUSH:
            with pytest.raises(BlobUnknown):  # a client that asks first sends it again
                await core.blobs.stat(REPO, Digest.of(LAYER), promise=True)
            await push_blob(core, LAYER)
        assert not (await check(core)).found
        assert (await core.manifests.get(REPO, Tag("v1"))).content == manifest
        assert (await core.blobs.stat(REPO, Digest.of(LAYER), promise=False)).size == len(LAYER)


async def test_a_database_that_knows_nothing_buries_no_image(tmp_path: Path) -> None:
    keys = [f"{name}/sha256/aa/{'a' * 64}/{'0' * 32}" for name in ("blobs", "manifests")]
    spare = f"uploads/{'1' * 32}"
    async with World(tmp_path).open() as core:
        for key in (*keys, spare):
            add_file(tmp_path, key)
        found = await check(core, REPAIR)
    assert (found.found, found.left) == ({Kind.ORPHAN: 3}, 2)
    assert [(tmp_path / key).exists() for key in (*keys, spare)] == [True, True, False]


async def test_a_damaged_manifest_comes_back_from_its_copy(tmp_path: Path) -> None:
    async with World(tmp_path).open() as core:
        manifest = await fill(core)
        await core.database.write(
            lambda connection: connection.execute("UPDATE manifest SET content = :c", {"c": b"x"})
        )
        found = await check(core)
        assert (found.found, found.left) == ({Kind.MANIFEST_DIGEST: 1}, 1)
        assert "`--repair` takes it" in found.findings[0].message
        assert (await check(core, REPAIR)).left == 0
        assert (await core.manifests.get(REPO, Tag("v1"))).content == manifest


async def test_a_wrong_count_of_stored_bytes_is_found_and_put_right(tmp_path: Path) -> None:
    async with World(tmp_path).open() as core:
        await fill(core)
        before = (await core.usage.report()).bytes
        await core.database.write(
            lambda connection: connection.execute("UPDATE usage SET bytes = bytes - 7")
        )
        found = await check(core)
        assert (found.found, found.left) == ({Kind.USAGE_WRONG: 1}, 1)
        assert f"{before - 7} bytes are counted" in found.findings[0].message
        assert (await check(core, REPAIR)).left == 0
        assert not (await check(core)).found
        assert await core.database.read(stored_bytes) == before


async def test_damaged_bytes_are_kept_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with World(tmp_path).open() as core:
        await fill(core)
        flip(blob_file(tmp_path))
        place, damaged = blob_file(tmp_path).parent, blob_file(tmp_path).read_bytes()
        synced = watch_syncs(monkeypatch)
        found = await check(core, REPAIR)
    assert {tmp_path, tmp_path / "damaged", place} <= set(synced)
    (kept,) = (tmp_path / "damaged").iterdir()
    assert kept.read_bytes() == damaged
    assert str(kept) in found.findings[0].message


async def test_without_repair_nothing_changes(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        await fill(core)
        for _, damage in DAMAGES[5:]:
            damage(tmp_path)
        before = world.files()
        assert (await check(core)).found == {Kind.ORPHAN: 3}
        assert world.files() == before


async def test_the_message_names_where_to_push_to(tmp_path: Path) -> None:
    async with World(tmp_path).open() as core:
        await push_blob(core, LAYER)
        await push_blob(core, LAYER, OTHER)
        blob_file(tmp_path).unlink()
        (finding,) = (await check(core)).findings
    assert "push it again to team/app, team/other" in finding.message


async def test_findings_are_counted_without_end_and_told_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cais_registry.model.check.MOST_FINDINGS", 2)
    async with World(tmp_path).open() as core:
        for number in range(5):
            add_file(tmp_path, f"uploads/{number}")
        found = await check(core)
    assert (found.found[Kind.ORPHAN], found.left, len(found.findings)) == (5, 5, 2)


async def test_what_was_collected_meanwhile_is_not_missing(tmp_path: Path) -> None:
    async with World(tmp_path).open() as core:
        gone = CheckedBlob(digest=Digest.of(b"gone"), size=4, key="blobs/sha256/gone")
        found = Check()
        await core.checker._blob(gone, EVERYTHING, found)
    assert not found.found


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1 << 32))
async def test_what_was_not_damaged_can_be_pulled_after_any_repair(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - damage, not secrets
    world = World(tmp_path_factory.mktemp("data"))
    layers = [bytes([number]) * chance.randint(1, 5000) for number in range(6)]
    async with world.open() as core:
        for number in range(4):
            await push_image(core, f"image{number}", f"v{number}", layers=chance.sample(layers, 2))
        await core.mirror.note()
        files = world.files()
        hit = chance.sample(files, chance.randint(0, len(files)))
        for key in hit:
            damages: list[Damage] = [truncate, flip, Path.unlink]
            damage = chance.choice(damages)
            damage(world.data / key)
        await check(core, REPAIR)
        for layer in layers:
            if any(Digest.of(layer).encoded in key for key in files):
                await push_blob(core, layer)
        for number in range(4):
            await push_blob(core, b'{"name": "image%d"}' % number)
        assert not (await check(core)).found
        for number in range(4):
            await core.manifests.get(REPO, Tag(f"v{number}"))
        await collect(core)
        assert not (await check(core)).found
