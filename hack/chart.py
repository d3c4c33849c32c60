# SPDX-License-Identifier: Apache-2.0
"""Write what is generated from the chart: `python3 hack/chart.py [--check]`.

`charts/cais/files/` gets a copy of the CRDs, `manifests/install.yaml` the chart rendered with its
default values, for people who install with kubectl alone. With `--check` nothing is written, and
the exit code is 1 when a file is not what would be written.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import programs

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "cais"
INSTALL = ROOT / "manifests" / "install.yaml"
NAMESPACE = "cais-system"
KUBERNETES = "v1.37.2"  # what the rendered manifests are checked against

# facts about Helm that are not true of what kubectl applies
HELM_ONLY = ("helm.sh/chart:", "app.kubernetes.io/managed-by: Helm", "# Source: ")

HEADER = f"""\
# Generated from charts/cais by `make manifests`; do not edit.
# kubectl apply --server-side -f install.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def helm() -> Path:
    """Return the path of the helm program; it is built when it is missing."""
    (path,) = programs.ensure(["helm"], programs.cache_folder())
    return path


def template(arguments: Sequence[str] = ()) -> str:
    """Return the chart rendered by Helm.

    Args:
        arguments: More arguments of `helm template`, such as `--set replicas=2`.

    Raises:
        subprocess.CalledProcessError: Helm refused; its words are in `stderr`.
    """
    command = [str(helm()), "template", "cais", str(CHART), "--namespace", NAMESPACE]
    command += ["--kube-version", KUBERNETES, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def install_manifest(rendered: str) -> str:
    """Return `rendered` as a manifest for kubectl: with the namespace, without Helm's own marks."""
    lines = [line for line in rendered.splitlines() if not line.strip().startswith(HELM_ONLY)]
    return HEADER + "\n".join(lines).rstrip() + "\n"


def copied_crds() -> dict[Path, str]:
    """Return path and content of each CRD that the chart carries."""
    sources = sorted((ROOT / "crds").glob("*.yaml"))
    return {CHART / "files" / source.name: source.read_text() for source in sources}


def stale(files: Mapping[Path, str]) -> list[Path]:
    """Return the paths whose file is missing or has other content than `files` says."""
    return [path for path, text in files.items() if not path.exists() or path.read_text() != text]


def _write(files: Mapping[Path, str]) -> None:
    for path in stale(files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
        print(f"wrote {path.relative_to(ROOT)}")


def main(arguments: Sequence[str]) -> int:
    """Write or check the generated files; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, report what is stale")
    check: bool = parser.parse_args(arguments).check
    crds = copied_crds()
    if not check:
        _write(crds)  # before rendering: the chart carries them
    install = {INSTALL: install_manifest(template(["--skip-tests"]))}
    if not check:
        _write(install)
        return 0
    old = stale({**crds, **install})
    for path in old:
        print(f"{path.relative_to(ROOT)} is stale: run `make manifests`", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
