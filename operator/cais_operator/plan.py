# SPDX-License-Identifier: Apache-2.0
"""Refusals: what a spec asks for that cannot or must not be done to what is there. Pure."""

from cais_operator.errors import Problem
from cais_operator.observed import Observed
from cais_operator.resource import Registry


def problems(registry: Registry, observed: Observed) -> tuple[Problem, ...]:
    """Return everything that stops this Registry from being reconciled.

    With a problem nothing is written but the status (Stalled); what runs goes on running.
    Looked for: an object of a child's name that is not ours; a claim that would shrink or change
    its class, or an existing claim that is missing; users named twice or like a generated one;
    rules for unknown users; a password Secret that is missing, lacks the key, or holds no usable
    password; host names inside the cluster's domain; renewBefore not below validity.
    """
    raise NotImplementedError
