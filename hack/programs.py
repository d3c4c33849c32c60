# SPDX-License-Identifier: Apache-2.0
"""Build the programs that are missing: `python3 hack/programs.py kind kubectl etcd`.

Needs Go and nothing of the project's virtual environment. A finished program is
`<cache>/programs/<name>/<version>/<name>` with a link in `<cache>/bin`; the cache is
`$CAIS_CACHE`, or `cais` in the user's cache folder.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from program_table import Source, source_of

STARTED = time.monotonic()
STAGING = re.compile(r"^\s*(\S+) => \./staging/", re.MULTILINE)
GO_LINE = re.compile(r"^go (\S+)$", re.MULTILINE)


def cache_folder() -> Path:
    """Return the folder outside the repository that keeps what was built."""
    named = os.environ.get("CAIS_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cais"


def program_path(cache: Path, name: str) -> Path:
    """Return where the program `name` is, or will be once it is built."""
    return cache / "programs" / name / source_of(name).version / name


def go_mod(source: Source, upstream: str) -> str:
    """Return a go.mod that requires `source` and resolves what its own go.mod would.

    Args:
        source: The module to require.
        upstream: Text of that module's go.mod. Its replaces by folders hold only inside its own
            repository, so the staged modules are named by the version published with it.
    """
    found = GO_LINE.search(upstream)
    lines = ["module programs", f"go {found[1] if found else '1.26'}"]
    lines.append(f"require {source.module} {source.version}")
    staged = f"v0.{source.version.removeprefix('v1.')}"
    lines += [
        f"replace {name} => {name} {staged}" for name in sorted(set(STAGING.findall(upstream)))
    ]
    return "\n".join(lines) + "\n"


def missing(cache: Path, names: Iterable[str]) -> list[tuple[Source, list[str]]]:
    """Return the programs that are not built yet, grouped by the module that builds them."""
    groups: list[tuple[Source, list[str]]] = []
    for name in dict.fromkeys(names):
        source = source_of(name)
        if program_path(cache, name).exists():
            continue
        for known, wanted in groups:
            if known is source:
                wanted.append(name)
                break
        else:
            groups.append((source, [name]))
    return groups


def ensure(names: Iterable[str], cache: Path) -> list[Path]:
    """Build the programs of `names` that are missing, link all of them, return their paths.

    Safe against being killed (a program appears by a rename) and against a second call at the
    same time (one lock a module).

    Raises:
        KeyError: A name that nothing builds.
        subprocess.CalledProcessError: The Go tool failed; it has said why.
    """
    wanted = list(dict.fromkeys(names))
    for source, absent in missing(cache, wanted):
        with _locked(cache, source):
            absent = [name for name in absent if not program_path(cache, name).exists()]  # noqa: PLW2901  # another run may have built some while we waited
            if absent:
                _build(source, absent, cache)
    for name in wanted:
        _link(program_path(cache, name), cache / "bin" / name)
    return [program_path(cache, name) for name in wanted]


@contextmanager
def _locked(cache: Path, source: Source) -> Iterator[None]:
    path = cache / "locks" / source.module.replace("/", "_")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(source: Source, names: list[str], cache: Path) -> None:
    work = cache / "tmp" / source.module.replace("/", "_")
    shutil.rmtree(work, ignore_errors=True)  # what a killed build left; we hold its lock
    work.mkdir(parents=True)
    _write_module(source, work)
    for name in names:
        started = time.monotonic()
        _say(f"building {name} {source.version}")
        flags = ["-ldflags", source.ldflags, "-tags", source.tags]
        command = ["go", "build", "-mod=mod", *flags, "-o", str(work / name), source.package(name)]
        subprocess.run(command, cwd=work, env=_environment(source), check=True)
        final = program_path(cache, name)
        final.parent.mkdir(parents=True, exist_ok=True)
        (work / name).replace(final)
        _say(f"built {name} in {time.monotonic() - started:.0f} s")
    shutil.rmtree(work)


def _write_module(source: Source, work: Path) -> None:
    command = ["go", "mod", "download", "-json", f"{source.module}@{source.version}"]
    _say(f"fetching {source.module} {source.version}")
    answer = subprocess.run(command, cwd=work, check=True, stdout=subprocess.PIPE, text=True)
    where = json.loads(answer.stdout)
    (work / "go.mod").write_text(go_mod(source, Path(where["GoMod"]).read_text()))
    sums = Path(where["Dir"]) / "go.sum"
    if sums.exists():
        (work / "go.sum").write_text(sums.read_text())


def _environment(source: Source) -> dict[str, str]:
    environment = {**os.environ, "GOWORK": "off"}
    if source.cgo is not None:
        environment["CGO_ENABLED"] = "1" if source.cgo else "0"
    return environment


def _link(target: Path, link: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.symlink_to(target)
    temporary.replace(link)


def _say(text: str) -> None:
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def main(names: list[str]) -> int:
    """Build the programs named on the command line; return the exit code."""
    if not names:
        print(__doc__)
        return 2
    try:
        ensure(names, cache_folder())
    except KeyError as unknown:
        print(unknown.args[0], file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as failed:
        print(f"{' '.join(failed.cmd)}: exit code {failed.returncode}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
