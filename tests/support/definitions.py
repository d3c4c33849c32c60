# SPDX-License-Identifier: Apache-2.0
"""Kinds that a test lets an API server know for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.apiserver import ApiServer, wait_for

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@contextmanager
def served(api: ApiServer, definition: dict[str, Any]) -> Iterator[None]:
    """Let the API server know a kind, and forget it at the end."""
    name = definition["metadata"]["name"]
    spec = definition["spec"]
    version = spec["versions"][0]["name"]
    path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
    api.request("POST", DEFINITIONS, definition)
    wait_for(lambda: api.find(path), f"{name} is served")
    try:
        yield
    finally:
        api.request("DELETE", f"{DEFINITIONS}/{name}")
        wait_for(lambda: api.find(f"{DEFINITIONS}/{name}") is None, f"{name} is gone")
