# SPDX-License-Identifier: Apache-2.0
"""What the witness of a run watches: the kinds, each with the path of its group."""

CORE, CAIS = "/api/v1", "/apis/cais.dev/v1alpha1"
KINDS = {
    "secrets": CORE,
    "pods": CORE,
    "events": CORE,
    "configmaps": CORE,
    "services": CORE,
    "serviceaccounts": CORE,
    "persistentvolumeclaims": CORE,
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "daemonsets": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "cronjobs": "/apis/batch/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "registries": CAIS,
    "registryaccesses": CAIS,
}
