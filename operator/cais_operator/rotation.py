# SPDX-License-Identifier: Apache-2.0
"""How one CA takes the place of another: phases, read from and written into the CA's Secret. Pure.

Steady      `tls.crt` signs, and `ca.crt` is what clients should trust.
Publishing  `next.crt` with its key is there and `ca.crt` has it, too; `tls.crt` signs on.
Replacing   it signs, as `tls.crt`; the one before is `previous.crt`, and still in `ca.crt`.
Steady      nothing is left of the one before.

Each change of the phase is one write at the resourceVersion that was read. So whoever is killed
anywhere, or was overtaken, finds the phase in which the Secret is, and no second new CA is made.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from cais_operator import certificates, names, pki
from cais_operator.certificates import FORMER_CERTIFICATE, FORMER_MARKS, NEXT_CERTIFICATE, Authority
from cais_operator.cluster import Object
from cais_operator.resource import Key
from cais_operator.status.conditions import stamp

NEXT_KEY = "next.key"
_NOTES = (names.ROTATION, names.ROTATION_SETTLED)  # what the rotation writes for itself
_LIFE = 3  # a CA is replaced in the last third of its life at the earliest


class Phase(Enum):
    """Where a rotation is; the value is how metrics and people name it."""

    STEADY = "Steady"
    PUBLISHING = "Publishing"
    REPLACING = "Replacing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What the Secret says of it.

    Attributes:
        phase: See `Phase`.
        since: When the phase began; None when that cannot be read.
        settled: Since when what the phase waits for is so; None while it is not.
    """

    phase: Phase
    since: datetime | None
    settled: datetime | None


class Turns:
    """Whose certificate of the CA before is to be replaced now; filled anew with every look."""

    def __init__(self) -> None:
        self._keys: frozenset[Key] = frozenset()

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    def set(self, keys: Iterable[Key]) -> None:
        """Say whose turn it is."""
        self._keys = frozenset(keys)


def read(secret: Mapping[str, Any]) -> Rotation:
    """Return where the CA's Secret is."""
    data = secret.get("data") or {}
    phase = Phase.STEADY
    if data.get(FORMER_CERTIFICATE):
        phase = Phase.REPLACING
    elif data.get(NEXT_CERTIFICATE):
        phase = Phase.PUBLISHING
    since, settled = (
        _time(secret, name) for name in (names.ROTATION_SINCE, names.ROTATION_SETTLED)
    )
    return Rotation(phase=phase, since=since, settled=settled)


def due(authority: Authority, renew_before: timedelta) -> datetime:
    """Return when the CA's replacement begins by itself."""
    found = certificates.facts(authority.certificate)
    longest = (found.not_after - found.not_before) / _LIFE
    return found.not_after - min(renew_before, longest)


def following(secret: Mapping[str, Any]) -> Authority:
    """Return the CA that will sign, whoever has put it there.

    Raises:
        ValueError: In words for a person, when it is no usable CA.
    """
    pem = certificates.text_in(secret, NEXT_CERTIFICATE)
    made = Authority(certificate=pem, key=certificates.text_in(secret, NEXT_KEY), bundle=pem)
    certificates.check_authority(made, NEXT_CERTIFICATE, NEXT_KEY)
    return made


def is_announced(secret: Mapping[str, Any], authority: Authority) -> bool:
    """Return whether the bundle has the CA that will sign."""
    new = certificates.text_in(secret, NEXT_CERTIFICATE)
    return certificates.bundle(authority.bundle, new) == certificates.bundle(authority.bundle)


def begun(secret: Object, new: Authority, now: datetime) -> Object:
    """Return the Secret with a CA that will sign, in the bundle too: Publishing."""
    added = {NEXT_CERTIFICATE: new.certificate, NEXT_KEY: new.key}
    return announced(_changed(secret, added, {names.ROTATE: None}), now)


def announced(secret: Object, now: datetime) -> Object:
    """Return the Secret with the CA that will sign in the bundle: Publishing begins now."""
    texts = (certificates.text_in(secret, name) for name in ("ca.crt", NEXT_CERTIFICATE))
    return _changed(secret, {"ca.crt": certificates.bundle(*texts)}, _begins(now))


def switched(secret: Object, now: datetime) -> Object:
    """Return the Secret with the new CA signing and the old one still trusted: Replacing.

    The old private key goes at once; of it only the key of the fingerprints stays for a while.
    """
    old, new = certificates.authority_from(secret), following(secret)
    data = {
        "tls.crt": new.certificate,
        "tls.key": new.key,
        "ca.crt": certificates.bundle(new.certificate, old.bundle),
        FORMER_CERTIFICATE: old.certificate,
        FORMER_MARKS: pki.fingerprint_key(old).hex(),
        NEXT_CERTIFICATE: None,
        NEXT_KEY: None,
    }
    return _changed(secret, data, _begins(now))


def finished(secret: Object) -> Object:
    """Return the Secret without the old CA: Steady."""
    old = certificates.text_in(secret, FORMER_CERTIFICATE)
    data = {
        "ca.crt": certificates.bundle(certificates.text_in(secret, "ca.crt"), without=old),
        FORMER_CERTIFICATE: None,
        FORMER_MARKS: None,
    }
    gone = (names.ROTATION, names.ROTATION_SINCE, names.ROTATION_SETTLED)
    return _changed(secret, data, dict.fromkeys(gone))


def settled(secret: Object, since: datetime | None) -> Object:
    """Return the Secret that says since when what the phase waits for is so; None takes it back."""
    return _changed(secret, {}, {names.ROTATION_SETTLED: stamp(since) if since else None})


def noted(secret: Object, text: str) -> Object:
    """Return the Secret with words for people."""
    return _changed(secret, {}, {names.ROTATION: text})


def served(secret: Object) -> Object:
    """Return the Secret without the annotation that asks for a rotation."""
    return _changed(secret, {}, {names.ROTATE: None})


def asked(secret: Mapping[str, Any]) -> str | None:
    """Return the word of the annotation that asks for a rotation; None without it."""
    return _annotations(secret).get(names.ROTATE)


def meaning(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[bool, bool]:
    """Judge by the metadata of two versions what a change of the CA's Secret means.

    Returns:
        Whether the rotation has to look at it, and whether every Registry has to.
    """
    if before is None or before["metadata"].get("uid") != after["metadata"].get("uid"):
        return True, True
    old, new = _annotations(before), _annotations(after)
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    if not changed:
        return True, True
    return not changed <= {*_NOTES}, not changed <= {*_NOTES, names.ROTATE}


def _begins(now: datetime) -> dict[str, str | None]:
    return {names.ROTATION_SINCE: stamp(now), names.ROTATION_SETTLED: None}


def _changed(
    secret: Object, data: Mapping[str, str | None], annotations: Mapping[str, str | None]
) -> Object:
    made = copy.deepcopy(secret)
    texts = {key: certificates.encoded(text) if text else None for key, text in data.items()}
    made["data"] = _without_none({**made["data"], **texts})
    kept = _without_none({**_annotations(made), **annotations})
    made["metadata"]["annotations"] = kept
    return made


def _without_none(found: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in found.items() if value is not None}


def _annotations(secret: Mapping[str, Any]) -> Mapping[str, str]:
    return secret["metadata"].get("annotations") or {}


def _time(secret: Mapping[str, Any], name: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(_annotations(secret)[name])
    except (KeyError, ValueError):
        return None
    return found if found.tzinfo else None
