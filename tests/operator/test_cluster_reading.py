# SPDX-License-Identifier: Apache-2.0
import pytest

from cais_operator import errors
from cais_operator.cluster.reading import read_page

FIRST = '{"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "a"}}'


def test_the_objects_of_a_page_are_read_one_after_another() -> None:
    page = read_page(f'{FIRST}, {{"metadata": {{"name": "b"}}}}]}}'.encode(), "the list")
    assert (page.version, page.next) == ("9", "")
    objects = page.objects("the list")
    assert next(objects) == {"metadata": {"name": "a"}}
    assert list(objects) == [{"metadata": {"name": "b"}}]


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ('{"metadata": {"continue": "more"}, "items": null}', "more"),
        ('{"metadata": {"continue": ""}}', ""),
        ("{}", ""),
    ],
)
def test_a_page_may_be_empty(text: str, following: str) -> None:
    page = read_page(text.encode(), "the list")
    assert list(page.objects("the list")) == []
    assert page.next == following


@pytest.mark.parametrize(
    "text",
    [
        FIRST + ', {"metadata": {"name": "\\x"}}]}',
        FIRST + ", " + '{"a":' * 5000 + "1",
        '{"metadata": {}, "items": {"a": "b"}}',
        '{"metadata": null, "items": []}',
        '["a"]',
        "",
    ],
    ids=["an object", "its end", "items", "metadata", "all", "nothing"],
)
def test_a_page_that_cannot_be_read_is_to_be_read_again(text: str) -> None:
    with pytest.raises(errors.ApiUnavailable, match="for the list of services"):
        read_page(text.encode(), "the list of services")
