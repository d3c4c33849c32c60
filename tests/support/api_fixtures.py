# SPDX-License-Identifier: Apache-2.0
"""What tests of the operator against a real API server share."""

from collections.abc import Iterator

import pytest

from support.apiserver import ApiServer, api_server
from support.operators import Place, define_kinds, new_place
from support.proxy import Proxies

CONTROLLERS = ("garbage-collector-controller", "namespace-controller")


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One API server for each worker of the test run, with the kinds of Cais."""
    folder = tmp_path_factory.mktemp("api")
    with api_server(folder, controllers=CONTROLLERS) as server:
        define_kinds(server)
        yield server


@pytest.fixture(scope="session")
def proxies(api: ApiServer) -> Iterator[Proxies]:
    with Proxies(api).running() as running:
        yield running


@pytest.fixture
def place(api: ApiServer) -> Place:
    return new_place(api)
