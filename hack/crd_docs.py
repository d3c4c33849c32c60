# SPDX-License-Identifier: Apache-2.0
"""`python hack/crd_docs.py` writes docs/crd.md from the CRDs; a test says when it is stale."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
CRDS = tuple(
    ROOT / "crds" / f"{plural}.cais.dev.yaml" for plural in ("registries", "registryaccesses")
)
PAGE = ROOT / "docs" / "crd.md"

_HEAD = """<!-- Written by hack/crd_docs.py from crds/. -->
# The resources

`Registry` is a registry; `RegistryAccess` is what another namespace asks of one.

`kubectl explain registry.spec` and `kubectl explain registryaccess.spec` show the same as this
page. Samples are in `manifests/samples/`.
"""
_RESOURCE = """
## The resource `{kind}`

`{version}`, namespaced, short name `{short}`. {description}
"""
_AS_IN_PODS = ("pod.affinity",)  # the fields below are described wherever pods are
_RULES = """
### {kind}: rules

Refused when it is applied, with the field and these words:

"""


def text() -> str:
    """The page."""
    return "".join((_HEAD, *(part for path in CRDS for part in _resource(path))))


def _resource(path: Path) -> Iterator[str]:
    crd = yaml.safe_load(path.read_text())["spec"]
    version, kind = crd["versions"][0], crd["names"]["kind"]
    schema = version["schema"]["openAPIV3Schema"]
    yield _RESOURCE.format(
        kind=kind,
        version=f"{crd['group']}/{version['name']}",
        short=crd["names"]["shortNames"][0],
        description=schema["description"],
    )
    yield from _section(kind, "spec", schema["properties"]["spec"])
    yield _RULES.format(kind=kind)
    yield from _rules(schema, "")
    yield from _section(kind, "status", schema["properties"]["status"])


def _section(kind: str, name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n### {kind}: {name}\n\n{schema['description']}\n"
    yield "\n| field | type | default | meaning |\n|---|---|---|---|\n"
    yield from _rows(schema, "")


def _rows(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    required = schema.get("required", [])
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}{name}"
        default = "required" if name in required else _default(inner)
        description = inner["description"].replace("|", "\\|")
        yield f"| `{here}` | {_type(inner)} | {default} | {description} |\n"
        item = inner.get("items", inner)
        if here in _AS_IN_PODS:
            continue
        yield from _rows(item, f"{here}{'[]' if 'items' in inner else ''}.")


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    if default is None or isinstance(default, dict | list):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map of {_type(schema['additionalProperties'])}"
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    return str(schema["type"])


def _rules(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", []):
        field = f"{path.removeprefix('.')}{rule.get('fieldPath', '')}".removeprefix(".")
        shown = "metadata.name" if "self.metadata.name" in rule["rule"] else field
        yield f"- `{shown}`: {rule['message']}.\n"
    for name, inner in schema.get("properties", {}).items():
        yield from _rules(inner, f"{path}.{name}")
    if "items" in schema:
        yield from _rules(schema["items"], f"{path}[]")


def main() -> int:
    """Write the page."""
    PAGE.write_text(text())
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
