# SPDX-License-Identifier: Apache-2.0
"""Does containerd look into the folder that is written to? Its configuration is read, not changed.

A file of version 3 has the setting in the plugin of images, older ones in the one plugin of the
CRI. Imported files come later and win. What they do to a plugin that an earlier file configures
depends on containerd's version: 1.x takes the whole plugin from the last file, 2.x merges both. So
the answer is yes only where both ways lead to the folder.
"""

import glob
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_IMAGES = "io.containerd.cri.v1.images"  # from version 3 on
_CRI = "io.containerd.grpc.v1.cri"
_NEW = 3  # version of the file
_LARGEST = 1 << 20  # bytes
_MOST = 100  # files


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """What one file says about pulling images.

    Attributes:
        file: Which.
        path: `config_path`; empty when it is not set.
        pulls_locally: Whether a setting keeps containerd from its transfer service.
        table: How the table of `config_path` is called in a file of this version.
    """

    file: Path
    path: str
    pulls_locally: bool
    table: str


def problem(config: Path, directory: Path) -> str | None:
    """Return why containerd would not see the folder, and what to set; None when it does.

    Args:
        config: containerd's configuration file.
        directory: The folder, such as /etc/containerd/certs.d.
    """
    try:
        version, sections = _read(config)
    except ValueError as error:
        return f"{error}; so it is not known whether containerd looks into {directory}"
    said = [section for section in sections if section.path]
    if not said:
        found = f"config_path is not set in {config}"
    elif (last := sections[-1]) is not said[-1]:
        found = (
            f"{last.file} configures the same plugin as {said[-1].file}, and containerd 1.x then"
            " forgets config_path of the latter"
        )
    else:
        found = _wrong_path(last, directory, any(section.pulls_locally for section in sections))
    if not found:
        return None
    table = sections[-1].table if sections else _table(version)
    file = sections[-1].file if sections else config
    return f"{found}: set config_path = '{directory}' under {table} in {file}, restart containerd"


def _wrong_path(section: _Section, directory: Path, pulls_locally: bool) -> str:
    paths = [os.path.normpath(path) for path in section.path.split(":") if path]
    where = f"config_path in {section.file} is {section.path!r}"
    if str(directory) != paths[0]:  # in a list, the first folder that knows a host counts
        return where
    if len(paths) > 1 and not pulls_locally:
        return f"{where}, and containerd 2.1 and newer find nothing in a list of folders"
    return ""


def _read(config: Path) -> tuple[int, list[_Section]]:
    """Return the version of the first file and the sections of all, in the order of merging.

    Raises:
        ValueError: A file cannot be read.
    """
    pending, seen = [config], set[Path]()
    version, sections = 0, list[_Section]()
    while pending:
        file = pending.pop(0)
        if file in seen:
            continue
        seen.add(file)
        if len(seen) > _MOST:
            raise ValueError(f"{config} imports more than {_MOST} files")
        document = _parse(file)
        own = _number(document.get("version"))
        version = version or own
        sections.extend(_sections(file, own, document))
        pending.extend(_imports(file, document))
    return version, sections


def _parse(file: Path) -> Mapping[str, Any]:
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError(f"{file} is larger than {_LARGEST} bytes")
        return tomllib.loads(data.decode())
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{file} is not TOML: {error}") from None


def _imports(file: Path, document: Mapping[str, Any]) -> Iterator[Path]:
    imports = document.get("imports")
    for one in imports if isinstance(imports, list) else ():
        path = os.path.normpath(file.parent / str(one))
        yield from map(Path, sorted(glob.glob(path)) if "*" in path else (path,))  # noqa: PTH207 - of an absolute path


def _sections(file: Path, version: int, document: Mapping[str, Any]) -> Iterator[_Section]:
    plugins = _mapping(document, "plugins")
    name = _IMAGES if version >= _NEW else _CRI
    plugin = plugins.get(name) or (plugins.get("cri") if version < _NEW - 1 else None)
    if not isinstance(plugin, dict):
        return
    path = _mapping(plugin, "registry").get("config_path")
    discards = (_mapping(plugin, "containerd") if version < _NEW else plugin).get(
        "discard_unpacked_layers"
    )
    yield _Section(
        file=file,
        path=path if isinstance(path, str) else "",
        pulls_locally=discards is True or plugin.get("use_local_image_pull") is True,
        table=_table(version),
    )


def _table(version: int) -> str:
    return f"[plugins.'{_IMAGES if version >= _NEW else _CRI}'.registry]"


def _mapping(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return value if type(value) is int else 1  # containerd takes a file without a version so
