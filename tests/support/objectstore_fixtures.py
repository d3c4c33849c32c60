# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.objectstore import S3Server, s3_running


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, shared by the tests of a file."""
    with s3_running(tmp_path_factory.mktemp("s3")) as started:
        yield started
