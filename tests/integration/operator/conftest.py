# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.apiserver import ApiServer, api_server, wait_for
from support.operators import GROUP, Place, new_place

REPOSITORY = Path(__file__).parents[3]
CONTROLLERS = ("garbage-collector-controller", "namespace-controller")


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One API server for each worker of the test run, with the kind Registry."""
    folder = tmp_path_factory.mktemp("api")
    with api_server(folder, controllers=CONTROLLERS) as server:
        definition = yaml.safe_load((REPOSITORY / "crds/registries.cais.dev.yaml").read_text())
        server.request(
            "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition
        )
        wait_for(lambda: server.find(f"{GROUP}/registries"), "the kind Registry is served")
        yield server


@pytest.fixture
def place(api: ApiServer) -> Place:
    return new_place(api)
