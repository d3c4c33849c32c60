# SPDX-License-Identifier: Apache-2.0
"""The chart against the rest of the project; needs no helm (tests/integration/chart has it)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cais_operator import __main__, __version__
from cais_operator.cluster import CHILD_KINDS, OPTIONAL_KINDS
from cais_operator.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "cais"
INSTALL = ROOT / "manifests" / "install.yaml"


def installed() -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(INSTALL.read_text()) if document]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [document for document in installed() if document["kind"] == kind]


def test_chart_carries_the_crds_as_they_are_in_crds() -> None:
    sources = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    carried = {path.name: path.read_text() for path in (CHART / "files").glob("*.yaml")}
    assert sources, "crds/ is empty"
    assert carried == sources, "run `make manifests`"


def test_rendered_crds_are_the_sources_and_are_kept_when_the_release_goes() -> None:
    crds = of_kind("CustomResourceDefinition")
    for crd in crds:
        annotations = crd["metadata"]["annotations"]
        assert annotations.pop("helm.sh/resource-policy") == "keep"
        if not annotations:
            del crd["metadata"]["annotations"]
        source = ROOT / "crds" / f"{crd['metadata']['name']}.yaml"
        assert crd == yaml.safe_load(source.read_text())
    assert len(crds) == len(list((ROOT / "crds").glob("*.yaml")))


def test_chart_and_project_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def test_install_manifest_is_valid_kubernetes() -> None:
    checked = 0
    for document in installed():
        if document["kind"] == "CustomResourceDefinition":
            continue  # its own contract test is stricter
        kubernetes_validate.validate(document, "1.37", strict=True)
        checked += 1
    assert checked >= 8


def test_install_manifest_creates_its_namespace_first_and_holds_pods_to_restricted() -> None:
    first = installed()[0]
    assert (first["kind"], first["metadata"]["name"]) == ("Namespace", "cais-system")
    assert first["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_operator_pod_meets_pod_security_restricted() -> None:
    (deployment,) = of_kind("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_roles_ask_for_no_wildcard_and_no_power_over_roles() -> None:
    rules = [
        rule for kind in ("ClusterRole", "Role") for role in of_kind(kind) for rule in role["rules"]
    ]
    over_roles = [rule for rule in rules if "rbac.authorization.k8s.io" in rule["apiGroups"]]
    own = {"resources": ["clusterroles"], "resourceNames": ["cais-operator"], "verbs": ["get"]}
    assert over_roles == [{"apiGroups": ["rbac.authorization.k8s.io"], **own}]
    rules.remove(over_roles[0])
    asked = {
        word for rule in rules for key in ("apiGroups", "resources", "verbs") for word in rule[key]
    }
    assert not asked & {"*", "roles", "clusterroles", "rolebindings", "pods/exec", "nodes"}
    assert not asked & {"escalate", "bind", "impersonate"}


def verbs_on(group: str, resource: str, kinds: tuple[str, ...] = ("ClusterRole",)) -> set[str]:
    operator = [
        role for kind in kinds for role in of_kind(kind) if "operator" in role["metadata"]["name"]
    ]
    return {
        verb
        for role in operator
        for rule in role["rules"]
        if group in rule["apiGroups"] and resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_operator_may_watch_every_kind_of_child() -> None:
    for kind in CHILD_KINDS:
        group = kind.api_version.rpartition("/")[0]
        assert {"list", "watch"} <= verbs_on(group, kind.plural), kind.name


def test_operator_may_do_with_kinds_that_not_every_cluster_knows_what_it_does_and_no_more() -> None:
    for kind in OPTIONAL_KINDS:
        group = kind.api_version.rpartition("/")[0]
        wanted = {"get", "list", "watch", "create", "patch", "delete"}
        assert verbs_on(group, kind.plural) == wanted, kind.name


def test_operator_may_write_secrets_only_as_it_writes_them() -> None:
    assert "patch" not in verbs_on("", "secrets")  # generated material is never applied by force
    assert verbs_on("cais.dev", "registries") == {"get", "list", "watch", "patch"}
    assert verbs_on("cais.dev", "registries/status") == {"patch"}
    assert verbs_on("cais.dev", "registryaccesses") == {"get", "list", "watch", "patch"}
    assert verbs_on("cais.dev", "registryaccesses/status") == {"patch"}
    assert verbs_on("", "namespaces") == {"list", "watch"}
    assert not verbs_on("coordination.k8s.io", "leases")  # only in its own namespace
    assert verbs_on("coordination.k8s.io", "leases", ("Role",)) == {"create", "get", "update"}


def test_operator_understands_the_arguments_of_its_pod() -> None:
    (deployment,) = of_kind("Deployment")
    args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    given = __main__._parser().parse_args(args)
    found = __main__.settings_from(given, {})
    image = f"cais-registry:{__version__}"
    assert found == Settings(role="cais-operator", registry_image=image)


def settings_of(node: Any, prefix: str = "") -> set[str]:
    if not isinstance(node, dict) or not node:
        return {prefix}
    return {path for key, value in node.items() for path in settings_of(value, f"{prefix}.{key}")}


def test_every_value_has_a_schema_and_every_schema_entry_a_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def known(node: dict[str, Any], prefix: str = "") -> set[str]:
        inner = node.get("properties")
        if not inner:
            return {prefix}
        assert node["additionalProperties"] is False, f"{prefix} lets unknown values through"
        return {path for key, value in inner.items() for path in known(value, f"{prefix}.{key}")}

    # what Helm itself sets, and free-form maps whose defaults have keys of their own
    free = {
        *(".resources.requests", ".resources.limits", ".monitoring.dashboard.labels"),
        *(".nodeTrust.resources.requests", ".nodeTrust.resources.limits"),
    }
    documented = {
        next((f for f in free if path.startswith(f)), path) for path in settings_of(values)
    }
    assert known(schema) - {".global"} == documented


def test_every_alert_can_be_left_out_by_its_name() -> None:
    monitoring = json.loads((CHART / "values.schema.json").read_text())["properties"]["monitoring"]
    names = monitoring["properties"]["prometheusRule"]["properties"]["disabled"]["items"]["enum"]
    files = sorted((CHART / "files" / "alerts").glob("*.yaml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert names == [rule["alert"] for group in groups for rule in group["rules"]]


def uncommented(text: str) -> Iterator[str]:
    """Yield the values of a file of values that nothing is said about: beside them or above."""
    above: dict[int, bool] = {}  # indentation to whether its newest key is commented, or its parent
    comment = False
    for line in text.splitlines():
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if stripped.startswith("#") or not stripped:
            comment = bool(stripped)
            continue
        key, _, value = stripped.partition(":")
        said = comment or " # " in line
        inherited = key in ("requests", "limits") and above.get(indent - 2, False)
        above[indent], comment = said, False
        if value.strip() and not said and not inherited:
            yield key


def test_every_value_is_documented_where_it_stands() -> None:
    assert list(uncommented((CHART / "values.yaml").read_text())) == []
    assert list(uncommented("# Said.\na: 1\nb:\n  c: 1  # said\n  d: 2\n")) == ["d"]


@pytest.mark.parametrize("path", sorted(CHART.rglob("*.yaml")), ids=lambda path: path.name)
def test_no_line_of_the_chart_ends_in_blanks_or_holds_a_tab(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert line == line.rstrip()
        assert "\t" not in line
