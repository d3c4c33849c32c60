# SPDX-License-Identifier: Apache-2.0
"""Names that the sample Registry, the steps and the end-to-end tests agree on."""

NAMESPACE = "team-a"
REGISTRY = "team"
HOST = f"{REGISTRY}.{NAMESPACE}.svc"
ADDRESS = f"{HOST}:5000"
SAMPLE = "manifests/samples/registry.yaml"

HELLO = f"{ADDRESS}/demo/hello:1"
THREE = f"{ADDRESS}/demo/three-layers:1"
PLATFORMS = f"{ADDRESS}/demo/two-platforms:1"
BIG = f"{ADDRESS}/demo/big:1"
LEFT = (HELLO, THREE, PLATFORMS)  # what is still there after the garbage collection

SOURCE = "demo-source"  # container with a second registry, the one that crane copies from
SOURCE_ADDRESS = "localhost:5000"
