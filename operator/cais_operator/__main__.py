# SPDX-License-Identifier: Apache-2.0
"""The command `cais-operator`."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

from cais_operator import __version__, logs
from cais_operator.errors import CaisError
from cais_operator.node_trust.command import add_to as add_node_trust
from cais_operator.resource import Duration
from cais_operator.settings import Settings

_USAGE = 2  # exit code of a wrong setting
_INTRO = """\
Runs the operator: gives every Registry of the cluster (or of the named namespaces) its server,
certificate, users and garbage collection. Each setting is a flag or a variable; the flag wins.
It reaches the API server as the pod's service account, else through $KUBECONFIG.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits 0 after a signal, 1 after a fault, 2 for a wrong setting."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.act is not None:
        logs.configure("auto")
        given.act(given)
        return
    try:
        settings = settings_from(given, os.environ)
    except ValueError as error:
        parser.exit(_USAGE, f"cais-operator: {error}\n")
    logs.configure(settings.log_format)
    import asyncio  # noqa: PLC0415 - megabytes that node-trust does not need

    from cais_operator import lean  # noqa: PLC0415 - see above

    lean.leave_out()
    from cais_operator import app  # noqa: PLC0415 - half a second that --help need not wait

    try:
        code = asyncio.run(app.run(settings))
    except (CaisError, OSError) as error:
        parser.exit(1, f"cais-operator: {error}\n")
    sys.exit(code)


def settings_from(given: argparse.Namespace, variables: Mapping[str, str]) -> Settings:
    """Return the settings: flags, then variables, then defaults.

    Raises:
        ValueError: Names the flag or variable, what it holds and what is allowed.
    """
    found: dict[str, object] = {}
    for option, read in _OPTIONS.items():
        variable = _variable(option)
        flag = getattr(given, option, None)
        if flag is not None:
            found[option] = _read(f"--{option.replace('_', '-')}", flag, read)
        elif variable and variables.get(variable):
            found[option] = _read(variable, variables[variable], read)
    settings = Settings(**found)  # type: ignore[arg-type]
    if settings.node_trust and settings.namespaces:
        raise ValueError(
            f"--node-trust is {settings.node_trust!r}, and then --namespace must be left out: nodes"
            " are everybody's, an operator of some namespaces must not change what they pull"
        )
    return settings


def _read(name: str, text: str | list[str], read: Callable[[str], object]) -> object:
    text = ",".join(text) if isinstance(text, list) else text
    try:
        return read(text)
    except ValueError as error:
        raise ValueError(f"{name} is {text!r}: {error}") from None


def _variable(option: str) -> str | None:
    if option == "kubeconfig":
        return None  # $KUBECONFIG is read by the client, with its own rules
    return "CAIS_NAMESPACES" if option == "namespaces" else f"CAIS_{option.upper()}"


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _seconds(text: str) -> float:
    value = float(text) if text.replace(".", "", 1).isdigit() else 0.0
    if not 1 <= value <= 86400:  # noqa: PLR2004 - said in the message
        raise ValueError("must be seconds from 1 to 86400")
    return value


def _span(least: str, most: str) -> Callable[[str], timedelta]:
    def read(text: str) -> timedelta:
        value = Duration.parse(text)
        if not Duration.parse(least) <= value <= Duration.parse(most):
            raise ValueError(f"must be a duration from {least} to {most}")
        return value.delta

    return read


def _count(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise ValueError(f"must be a number from 1 to {most}")
        return int(text)

    return read


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ValueError("must be host:port, such as 0.0.0.0:8080")
    return text


def _truth(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in words:
        raise ValueError("must be true or false")
    return words[text.lower()]


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return read


_OPTIONS: Mapping[str, Callable[[str], object]] = {
    "namespaces": _list,
    "kubeconfig": Path,
    "system_namespace": str,
    "role": str,
    "registry_image": str,
    "image_pull_policy": _one_of("Always", "IfNotPresent", "Never"),
    "image_pull_secrets": _list,
    "cluster_domain": str,
    "health_listen": _address,
    "registry_listen": _one_of("0.0.0.0", "::"),  # noqa: S104 - in a pod of its own
    "ip_family_policy": _one_of("SingleStack", "PreferDualStack", "RequireDualStack"),
    "resync": _seconds,
    "workers": _count(64),
    "rollout_max_concurrent": _count(1000),
    "rollout_max_failed": _count(100_000),
    "rollout_deadline": _span("10s", "24h"),
    "ca_overlap": _span("1s", "8760h"),
    "ca_renew_before": _span("24h", "29200h"),
    "leader_elect": _truth,
    "node_trust": str,
    "log_format": _one_of("auto", "json", "text"),
}
_HELP = {
    "kubeconfig": ("FILE", "how to reach the API server"),
    "system_namespace": ("NAME", "where the CA's Secret and the leader's Lease live"),
    "role": ("NAME", "ClusterRole, or Role in each namespace, with which what marks them goes"),
    "registry_image": ("IMAGE", "image of the registry server"),
    "image_pull_policy": ("POLICY", "Always, IfNotPresent or Never"),
    "image_pull_secrets": ("NAMES", "pull Secrets in each Registry's namespace, by commas"),
    "cluster_domain": ("DOMAIN", "DNS domain of the cluster"),
    "health_listen": ("HOST:PORT", "address of /healthz, /readyz and /metrics"),
    "registry_listen": ("ADDRESS", "where registries' pods listen: 0.0.0.0, or :: for IPv6 too"),
    "ip_family_policy": ("POLICY", "SingleStack, PreferDualStack or RequireDualStack, of Services"),
    "resync": ("SECONDS", "how often servers, and what no watch shows, are looked at"),
    "workers": ("COUNT", "Registries that are worked on at once"),
    "rollout_max_concurrent": ("COUNT", "servers that restart at once after an upgrade"),
    "rollout_max_failed": ("COUNT", "servers that may fail in it before no other is restarted"),
    "rollout_deadline": ("DURATION", "within which a restarted server has to be ready"),
    "node_trust": ("NAMESPACE", "where the ConfigMap cais-nodes tells nodes of the registries"),
    "ca_overlap": ("DURATION", "how long clients have the old and the new CA before each step"),
    "ca_renew_before": ("DURATION", "how long before its end the CA is replaced"),
    "log_format": ("FORMAT", "auto (text on a terminal, else JSON), json or text"),
}


def _shown(default: object) -> str:
    if isinstance(default, timedelta):
        return str(Duration(int(default.total_seconds())))
    return str(default)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cais-operator", description="Private container registries as a Kubernetes resource."
    )
    parser.add_argument("--version", action="version", version=f"cais-operator {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the operator", description=_INTRO)
    run.set_defaults(act=None)
    add_node_trust(commands)
    defaults = {field.name: field.default for field in fields(Settings)}
    run.add_argument(
        "--namespace",
        dest="namespaces",
        action="append",
        metavar="NS",
        help="namespace to look at; may be repeated (CAIS_NAMESPACES, by commas; default: all)",
    )
    for option, (metavar, text) in _HELP.items():
        variable, default = _variable(option) or "$KUBECONFIG", defaults[option]
        shown = f"; default: {_shown(default)}" if default else ""
        run.add_argument(
            f"--{option.replace('_', '-')}", metavar=metavar, help=f"{text} ({variable}{shown})"
        )
    elect = {"action": "store_const", "dest": "leader_elect", "default": None}
    run.add_argument(
        "--leader-elect",
        const="true",
        help="let a Lease decide which replica works (CAIS_LEADER_ELECT; default: on)",
        **elect,  # type: ignore[arg-type]
    )
    run.add_argument(
        "--no-leader-elect",
        const="false",
        help="work without a Lease; for a single process only",
        **elect,  # type: ignore[arg-type]
    )
    return parser


if __name__ == "__main__":
    main()
