# SPDX-License-Identifier: Apache-2.0
"""Which programs the cluster and the tests are made of, and where each comes from."""

from dataclasses import dataclass

KUBERNETES = "v1.37.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Go module at one version, and the programs built from it.

    Attributes:
        module: Path of the Go module.
        version: Its pinned version.
        packages: Program name -> package path inside the module ("" is the module's root).
        tags: Go build tags.
        cgo: Whether C is linked in; None leaves it to the Go tool.
        ldflags: Flags of the linker.
    """

    module: str
    version: str
    packages: dict[str, str]
    tags: str = ""
    cgo: bool | None = None
    ldflags: str = "-s -w"

    def package(self, name: str) -> str:
        """Return the import path of the program `name`."""
        inner = self.packages[name]
        return f"{self.module}/{inner}" if inner else self.module


def _commands(*names: str) -> dict[str, str]:
    return {name: f"cmd/{name}" for name in names}


CNI_PLUGINS = {
    "cni-bridge": "plugins/main/bridge",
    "cni-host-local": "plugins/ipam/host-local",
    "cni-loopback": "plugins/main/loopback",
    "cni-portmap": "plugins/meta/portmap",
    "cni-ptp": "plugins/main/ptp",
}

SOURCES = (
    Source(
        module="k8s.io/kubernetes",
        version=KUBERNETES,
        packages=_commands(
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
            "kubeadm",
        ),
        ldflags=f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES}",
    ),
    Source(
        module="go.etcd.io/etcd/server/v3",
        version="v3.6.6",
        packages={"etcd": ""},
        cgo=False,
    ),
    Source(
        module="github.com/containerd/containerd/v2",
        version="v2.4.2",
        packages=_commands("containerd", "containerd-shim-runc-v2", "ctr"),
        ldflags="",
    ),
    # without the tag every pod with a seccomp profile fails
    Source(
        module="github.com/opencontainers/runc",
        version="v1.5.2",
        packages={"runc": ""},
        tags="seccomp",
        cgo=True,
        ldflags="",
    ),
    Source(
        module="github.com/containernetworking/plugins",
        version="v1.9.1",
        packages=CNI_PLUGINS,
        ldflags="",
    ),
    Source(
        module="github.com/coredns/coredns",
        version="v1.15.0",
        packages={"coredns": ""},
        ldflags="",
    ),
    Source(module="sigs.k8s.io/kind", version="v0.33.0", packages={"kind": ""}, ldflags=""),
    Source(
        module="github.com/google/go-containerregistry",
        version="v0.22.1",
        packages={"crane": "cmd/crane"},
        cgo=False,
    ),
    Source(module="helm.sh/helm/v4", version="v4.3.1", packages={"helm": "cmd/helm"}, cgo=False),
    # an object store that speaks S3, over a folder
    Source(
        module="github.com/versity/versitygw",
        version="v1.8.0",
        packages={"versitygw": "cmd/versitygw"},
        cgo=False,
    ),
    Source(
        module="github.com/opencontainers/distribution-spec/conformance",
        version="v0.0.0-20260831232431-97274622c111",
        packages={"conformance": ""},
        cgo=False,
    ),
    # clients that the registry is tried with
    Source(
        module="github.com/regclient/regclient",
        version="v0.11.7",
        packages={"regctl": "cmd/regctl"},
        cgo=False,
    ),
    Source(module="oras.land/oras", version="v1.3.6", packages={"oras": "cmd/oras"}, cgo=False),
    Source(
        module="github.com/sigstore/cosign/v3",
        version="v3.1.3",
        packages={"cosign": "cmd/cosign"},
        cgo=False,
    ),
    Source(
        module="github.com/moby/buildkit",
        version="v0.34.2",
        packages=_commands("buildctl", "buildkitd"),
        cgo=False,
    ),
    # what `make bench` measures beside ours
    Source(
        module="github.com/distribution/distribution/v3",
        version="v3.1.2",
        packages={"distribution": "cmd/registry"},
        cgo=False,
    ),
    # what `make bench-peer-operator` measures beside our operator
    Source(
        module="github.com/prometheus-operator/prometheus-operator",
        version="v0.85.0",
        packages={"prometheus-operator": "cmd/operator"},
        cgo=False,
    ),
)

# what a node image is made of, and what a person or a test drives the cluster with
NODE = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "kubeadm",
    "etcd",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "coredns",
    *CNI_PLUGINS,
)
CLIENTS = ("kind", "kubectl", "crane", "helm")


def source_of(name: str) -> Source:
    """Return the source that builds the program `name`.

    Raises:
        KeyError: Nothing builds a program of that name; the message lists what is built.
    """
    for source in SOURCES:
        if name in source.packages:
            return source
    known = ", ".join(sorted(program for source in SOURCES for program in source.packages))
    raise KeyError(f"no program is called {name!r}; there are: {known}")
