# SPDX-License-Identifier: Apache-2.0
"""The cluster itself, by kind."""

import json
import subprocess
from dataclasses import dataclass

from clusterkit import engine, machine
from clusterkit.command import ClusterError, output, run, say
from clusterkit.places import (
    API_PORT,
    CLUSTER,
    ENGINE_ADDRESS,
    NODE,
    SERVICE_RANGE,
    Places,
    client_environment,
)

CERTS = "/etc/containerd/certs.d"
READY = '{.items[*].status.conditions[?(@.type=="Ready")].status}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The kind cluster, on an engine of our own or on the machine's.

    Attributes:
        where: The places.
        own_engine: Whether the engine is ours, in its own namespaces.
    """

    where: Places
    own_engine: bool

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of the clients."""
        return client_environment(self.where, own_engine=self.own_engine)

    def is_up(self) -> bool:
        """Tell whether the cluster answers and all its nodes are ready."""
        if not self.where.kubeconfig.exists():
            return False
        command = ["kubectl", "get", "nodes", "--request-timeout=5s", "-o", f"jsonpath={READY}"]
        answer = output(command, environment=self.environment)
        return bool(answer) and set((answer or "").split()) == {"True"}

    def node_runs(self) -> bool:
        """Tell whether the container that is the node runs."""
        command = ["docker", "inspect", NODE, "--format", "{{.State.Running}}"]
        return (output(command, environment=self.environment) or "").strip() == "true"

    def create(self, image: str) -> None:
        """Create the cluster in place of what there may be of an earlier one.

        Raises:
            ClusterError: kind failed; it has said why.
        """
        self.delete()
        say("creating the cluster with kind")
        config = kind_config(
            own_engine=self.own_engine,
            unified_cgroups=machine.has_unified_cgroups(),
            resource_capability=machine.has_resource_capability(),
        )
        kubeconfig = ["--kubeconfig", str(self.where.kubeconfig)]
        options = ["--name", CLUSTER, "--image", image, "--config", "-", "--wait", "120s"]
        command = ["kind", "create", "cluster", *options, *kubeconfig]
        run(self._near_engine(command), environment=self.environment, text=config)

    def delete(self) -> None:
        """Remove the cluster's containers, volumes and network; nothing when there are none."""
        found = output(["kind", "get", "clusters"], environment=self.environment) or ""
        if CLUSTER in found.split():
            kubeconfig = ["--kubeconfig", str(self.where.kubeconfig)]
            command = ["kind", "delete", "cluster", "--name", CLUSTER, *kubeconfig]
            run(command, environment=self.environment)

    def node_address(self) -> str:
        """Return the address of the node in the engine's network.

        Raises:
            ClusterError: The node does not run.
        """
        answer = output(["docker", "inspect", NODE], environment=self.environment)
        if answer is None:
            raise ClusterError("the cluster's node does not run; start it with `make cluster-up`")
        networks = json.loads(answer)[0]["NetworkSettings"]["Networks"]
        return str(networks["kind"]["IPAddress"])

    def load(self, images: list[str]) -> None:
        """Put images of the engine onto the node.

        Raises:
            ClusterError: An image is not there, or kind failed.
        """
        command = ["kind", "load", "docker-image", "--name", CLUSTER, *images]
        run(command, environment=self.environment)

    def route_services(self) -> None:
        """Make Service addresses reachable from the engine's own network.

        The node forwards them to pods. What a node itself sends to a Service before it has the
        rules for it comes back to the engine: it is refused at once, or CoreDNS would wait for
        half a minute when it starts.
        """
        if not self.own_engine:
            return
        route = ["ip", "route", "replace", SERVICE_RANGE, "via", self.node_address()]
        run(engine.inside(self.where, route), environment=self.environment)

    def refuse_unready_services(self) -> None:
        """Answer with a reset what a node sends out although it is meant for a Service."""
        if not self.own_engine:
            return
        rule = ["DOCKER-USER", "-p", "tcp", "-d", SERVICE_RANGE, "-j", "REJECT"]
        rule += ["--reject-with", "tcp-reset"]
        there = engine.inside(self.where, ["iptables", "-w", "-C", *rule])
        if output(there, environment=self.environment) is None:
            add = engine.inside(self.where, ["iptables", "-w", "-I", *rule])
            run(add, environment=self.environment)

    def apply(self, manifests: str) -> None:
        """Apply manifests to the cluster.

        Raises:
            ClusterError: The API server refused one.
        """
        command = ["kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-"]
        done = subprocess.run(
            command,
            env=self.environment,
            input=manifests,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"kubectl apply: {done.stderr.strip()}")

    def _near_engine(self, command: list[str]) -> list[str]:
        # in the engine's namespaces it ends with them, however we end
        return engine.inside(self.where, command) if self.own_engine else command


def kind_config(*, own_engine: bool, unified_cgroups: bool, resource_capability: bool) -> str:
    """Return the configuration for kind as JSON, which is YAML.

    Args:
        own_engine: Whether the API server has to listen where the machine reaches our engine.
        unified_cgroups: Whether the machine has cgroup v2 only.
        resource_capability: Whether processes may lower their OOM score.
    """
    kubelet: dict[str, object] = {"kind": "KubeletConfiguration"}
    containerd = [
        '[plugins."io.containerd.grpc.v1.cri".registry]',
        f'  config_path = "{CERTS}"',
    ]
    if not unified_cgroups:
        kubelet["failCgroupV1"] = False
    if not resource_capability:
        kubelet["oomScoreAdj"] = 0
        containerd += ['[plugins."io.containerd.grpc.v1.cri"]', "  restrict_oom_score_adj = true"]
    networking: dict[str, object] = {"ipFamily": "ipv4", "serviceSubnet": SERVICE_RANGE}
    if own_engine:
        networking |= {"apiServerAddress": ENGINE_ADDRESS, "apiServerPort": API_PORT}
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {**networking, "kubeProxyMode": "nftables"},
        "nodes": [{"role": "control-plane"}],
        "kubeadmConfigPatches": [json.dumps(kubelet)],
        "containerdConfigPatches": ["\n".join(containerd)],
    }
    return json.dumps(config, indent=2)
