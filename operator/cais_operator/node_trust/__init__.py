# SPDX-License-Identifier: Apache-2.0
"""What a node's containerd is told about registries: `cais-operator node-trust`, on every node.

The operator writes one document (`entries`) into a ConfigMap; the pod on each node has it mounted
and keeps `certs.d/<host>/` as it says (`folder`, `hosts`), where containerd looks (`containerd`).
Nothing but the standard library is imported: the pod has no API access, and is small.
"""
