# SPDX-License-Identifier: Apache-2.0
"""How many accounts of consumers a Registry has room for, and who gets them. Pure.

Its ConfigMap may hold 1 MiB. That all rules of consumers together stay far below follows from the
number of accounts and from what one RegistryAccess may ask for, so nobody who is allowed something
can keep the owner's changes from reaching the server, or take the place of all others.
"""

from collections import Counter
from collections.abc import Container, Iterable

from cais_operator.consumers.verdict import Grant, Refusal

MOST_ACCOUNTS = 128  # of one Registry
MOST_OF_NAMESPACE = 16


def first(grants: Iterable[Grant], known: Container[str]) -> tuple[Grant, ...]:
    """Return as many as there is room for; who has an account keeps it.

    Args:
        grants: What is allowed.
        known: User names of the accounts there are.
    """
    kept: list[Grant] = []
    count: Counter[str] = Counter()
    for grant in sorted(grants, key=lambda one: (one.user not in known, one.user)):
        namespace = _namespace(grant.user)
        if count[namespace] < MOST_OF_NAMESPACE and len(kept) < MOST_ACCOUNTS:
            count[namespace] += 1
            kept.append(grant)
    return tuple(sorted(kept, key=lambda one: one.user))


def lacking(known: Iterable[str], namespace: str) -> Refusal | None:
    """Return why a namespace gets no further account; None while there is room.

    Args:
        known: User names of the accounts there are.
        namespace: Whose RegistryAccess has none yet.
    """
    count = Counter(map(_namespace, known))
    if count[namespace] >= MOST_OF_NAMESPACE:
        message = (
            f"allowed; but this namespace has {MOST_OF_NAMESPACE} accounts at this Registry, as "
            "many as it may have: delete another RegistryAccess, or ask for more with one of them"
        )
    elif count.total() >= MOST_ACCOUNTS:
        message = (
            f"allowed; but this Registry has {MOST_ACCOUNTS} accounts of other namespaces, as many "
            "as it may have: ask its owner to withdraw one"
        )
    else:
        return None
    return Refusal(reason="TooManyAccounts", message=message, waits=True)


def _namespace(user: str) -> str:
    return user.rpartition("@")[2]
