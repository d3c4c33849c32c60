# SPDX-License-Identifier: Apache-2.0
"""What the documents say, against what there is."""

import argparse
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml

from cais_operator import __main__ as operator_command
from cais_operator.resource import parse
from cais_registry.cli.main import _parser as server_parser
from cais_registry.config import document
from cais_registry.http.acts import Act

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for path in DOCUMENTS:
        for found, text in FENCE.findall(path.read_text()):
            if found == language:
                yield named(path), text


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    for target, anchor in LINK.findall(path.read_text()):
        where = path.parent / target if target else path
        assert where.exists(), f"{named(path)}: {target}"
        if anchor:
            assert anchor in anchors(where.read_text()), f"{named(path)}: {target}#{anchor}"


def test_make_targets_of_the_documents_exist() -> None:
    makefiles = [ROOT / "Makefile", *(ROOT / "hack").glob("*.mk")]
    rules = "\n".join(path.read_text() for path in makefiles)
    targets = set(re.findall(r"^([a-z0-9-]+):", rules, re.MULTILINE))
    said = {
        (named(path), target)
        for path in DOCUMENTS
        for target in re.findall(r"(?:^|`)make ([a-z0-9-]+)", path.read_text(), re.MULTILINE)
    }
    assert len(said) > 5
    assert not {(path, target) for path, target in said if target not in targets}


def registries(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the specs of Registries in a YAML document: whole objects, or `spec` alone."""
    if isinstance(value, dict) and (value.get("kind") == "Registry" or set(value) == {"spec"}):
        spec = value.get("spec") or {}
        if "containers" not in spec:
            yield spec


def test_registries_of_documents_and_samples_are_understood() -> None:
    samples = (ROOT / "manifests" / "samples").glob("*.yaml")
    texts = [*blocks("yaml"), *((named(sample), sample.read_text()) for sample in samples)]
    checked = 0
    for where, text in texts:
        for value in yaml.safe_load_all(text):
            for spec in registries(value):
                body = {"metadata": {"name": where, "namespace": "docs"}, "spec": spec}
                parse(body)
                checked += 1
    assert checked >= 6


def test_every_key_of_the_example_configuration_is_known_and_every_block_is_shown() -> None:
    (text,) = (text for where, text in blocks("yaml") if where == "docs/configuration.md")
    parsed = document.parse(text)
    assert parsed.data == "/data"
    assert set(yaml.safe_load(text)) == {
        field.encode_name for field in msgspec.structs.fields(document.Document)
    }


EXPLAINED = ("tls", "access.rules", "access.issuers", "immutableTags")
"""Blocks that are explained as a whole."""


def settings_of(struct: type, prefix: str = "") -> Iterator[str]:
    """Every setting below a block of the configuration file, as `block.setting`."""
    for field in msgspec.structs.fields(struct):
        blocks = [kind for kind in (field.type, *get_args(field.type)) if is_block(kind)]
        for block in blocks:
            yield from settings_of(block, f"{prefix}{field.encode_name}.")
        if not blocks:
            yield prefix + field.encode_name


def is_block(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def test_every_setting_of_the_server_is_documented() -> None:
    found = set(settings_of(document.Document))
    assert {"listen", "limits.manifestBytes", "timeouts.stalled", "storage.s3.prefix"} <= found
    for setting in found:
        block, _, name = setting.rpartition(".")
        is_told = f"`{setting}`" in CONFIGURATION
        assert is_told or (block in EXPLAINED and name in CONFIGURATION), setting


def test_every_field_and_event_of_the_audit_log_is_documented() -> None:
    for field in msgspec.structs.fields(Act):
        assert f"`{field.name}`" in CONFIGURATION
    sources = (ROOT / "registry" / "cais_registry" / "http").glob("*.py")
    events = {e for path in sources for e in re.findall(r'event="([a-z.]+)"', path.read_text())}
    assert len(events) >= 5
    for event in events:
        assert f"`{event}`" in CONFIGURATION, event


def test_every_command_and_flag_of_the_server_is_documented() -> None:
    (commands,) = (
        action
        for action in server_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    for name, parser in commands.choices.items():
        assert f"cais-registry {name}" in CONFIGURATION
        flags = {flag for action in parser._actions for flag in action.option_strings}
        for flag in flags - {"-h", "--help"}:
            assert re.search(rf"(?<![\w-]){flag}\b", CONFIGURATION), f"{name} {flag}"


def test_the_help_of_serve_shows_every_block_of_its_file() -> None:
    help_of_serve = next(
        action.choices["serve"].format_help()
        for action in server_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    for field in msgspec.structs.fields(document.Document):
        assert f"\n  {field.encode_name}:" in help_of_serve


def test_every_flag_and_variable_of_the_operator_is_documented() -> None:
    for option in operator_command._OPTIONS:
        flag = "namespace" if option == "namespaces" else option.replace("_", "-")
        assert f"`--{flag}`" in CONFIGURATION
        variable = operator_command._variable(option)
        assert variable is None or f"`{variable}`" in CONFIGURATION


def test_values_that_the_documents_set_are_values_of_the_chart() -> None:
    schema = json.loads((ROOT / "charts" / "cais" / "values.schema.json").read_text())
    for path in DOCUMENTS:
        for name in re.findall(r"--set ([a-zA-Z.]+)=", path.read_text()):
            node = schema
            for part in name.split("."):
                assert part in node["properties"], f"{named(path)}: --set {name}"
                node = node["properties"][part]


def test_every_room_of_the_layers_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = [layer for contract in contracts for layer in contract.get("layers", [])]
    text = (ROOT / "docs" / "architecture.md").read_text()
    for room in {room for layer in layers for room in layer.split(" | ")}:
        assert f"`{room}`" in text, room


PRIVATE = re.compile(
    r"/work\b|/root\b|/tmp/cais|pypi\.org|proxy\.golang|deb\.debian\.org|CONTRACTS"
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_documents_name_no_machine_and_no_package_host(path: Path) -> None:
    assert not PRIVATE.findall(path.read_text())


def test_every_command_line_of_the_documents_is_understood() -> None:
    commands = re.compile(r"^ *(cais-registry [a-z]+ [^\[\n|]*)$", re.MULTILINE)
    for _, text in blocks("shell"):
        for line in commands.findall(text):
            server_parser().parse_args(shlex.split(line, comments=True)[1:])
