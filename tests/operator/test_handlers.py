# SPDX-License-Identifier: Apache-2.0
from itertools import islice

from cais_operator.handlers import _settings


def test_requests_for_events_are_tried_for_ever_with_pauses_that_have_a_bound() -> None:
    backoffs = _settings().networking.error_backoffs
    assert not isinstance(backoffs, (int, float))
    for _ in range(2):  # each request begins anew
        pauses = list(islice(iter(backoffs), 1000))
        assert len(pauses) == 1000
        assert pauses[0] <= 1.0
        assert max(pauses) <= 15.0
        assert min(pauses[10:]) >= 7.5
