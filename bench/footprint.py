# SPDX-License-Identifier: Apache-2.0
"""Memory of an idle server with TLS and users, all its processes together.

    python bench/footprint.py [--limit-mb 65] [--tokens] [--after-traffic]

Proportional set size (PSS) counts a page that n processes share as 1/n of a page in each. Run it
on a machine where no other copy of the server runs: shared libraries would be split with it too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.registry import Server, htpasswd, make_certificate, running
from support.tokens import Key, configure


def pss_kib(pid: int) -> dict[str, int]:
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        found[name] = int(value.split()[0])
    return found


def traffic(server: Server) -> None:
    def one(number: int) -> None:
        repo = f"bench/r{number % 10}"
        digest = server.push_blob(repo, os.urandom(4_000_000))
        server.ask("GET", f"/v2/{repo}/blobs/{digest}")
        server.push_image(repo, f"v{number}", layer=os.urandom(100))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(200)))


def report(server: Server) -> float:
    total = 0.0
    for name, pid in (("parent", server.process.pid), *(("worker", w) for w in server.workers)):
        sizes = pss_kib(pid)
        pss, anonymous, file = (sizes[k] / 1024 for k in ("Pss", "Pss_Anon", "Pss_File"))
        total += pss
        print(f"{name:8} PSS {pss:6.1f} MB (anonymous {anonymous:.1f}, files {file:.1f})")
    print(f"{'total':8} PSS {total:6.1f} MB")
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit-mb", type=float, default=65.0)
    parser.add_argument("--tokens", action="store_true", help="give out tokens, too")
    parser.add_argument("--after-traffic", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cert, key = make_certificate(folder)
        (folder / "users").write_text(htpasswd(bench="x"))
        flags = ("--tls-cert", cert, "--tls-key", key, "--htpasswd", folder / "users")
        config = {"tokens": configure(folder, Key(), realms={})} if options.tokens else None
        with running(folder, *flags, config=config, login="bench:x") as server:
            server.ask("GET", "/v2/")
            if options.tokens:
                text = server.ask("GET", "/token").json["token"]
                server.ask("GET", "/v2/", headers={"Authorization": f"Bearer {text}"}, login=None)
            total = report(server)
            if options.after_traffic:
                traffic(server)
                print("after 200 images and 800 MB each way:")
                report(server)
    return 0 if total < options.limit_mb else 1


if __name__ == "__main__":
    sys.exit(main())
