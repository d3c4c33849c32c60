# SPDX-License-Identifier: Apache-2.0
import crd_docs


def test_the_page_about_the_crd_is_current() -> None:
    assert crd_docs.PAGE.read_text() == crd_docs.text(), "run `make golden`"
