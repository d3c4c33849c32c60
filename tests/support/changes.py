# SPDX-License-Identifier: Apache-2.0
"""What happens in the life of a Registry, to be played with kills in between."""

import base64
from typing import Any

from cais_operator import names
from cais_operator.certificates import is_signed_by
from support.killing import Change, Trial
from support.proxy_calls import Call

BEFORE = {"access": {"users": [{"name": "ci"}, {"name": "old"}]}}
AFTER = {
    "access": {"users": [{"name": "ci"}, {"name": "new"}]},
    "garbageCollection": {"schedule": "5 5 * * *"},
    "expose": {"hostnames": ["registry.example.com"]},
}


def _create(trial: Trial) -> None:
    trial.place.create_registry(BEFORE)


def _edit(trial: Trial) -> None:
    trial.place.api.merge(trial.place.path("Registry", "team"), {"spec": AFTER})


def is_edited(trial: Trial) -> bool:
    cron = trial.place.get("CronJob", "team-gc") or {}
    users = {one["metadata"]["name"] for one in trial.place.all("Secret")}
    return (
        trial.is_settled()
        and cron["spec"]["schedule"] == "5 5 * * *"
        and "team-user-new" in users
        and "team-user-old" not in users
    )


def _delete(trial: Trial) -> None:
    trial.place.delete("Registry", "team")


def _is_gone_but_its_data(trial: Trial) -> bool:
    return trial.objects() == {_CLAIM, *_MARK} and not _is_claim_deleted(trial)


def _is_gone_with_its_data(trial: Trial) -> bool:
    return trial.objects() - {_CLAIM} == _MARK and _is_claim_deleted(trial)


def _is_claim_deleted(trial: Trial) -> bool:
    """Whether it is, or will be: its protection goes with a controller that does not run."""
    live = trial.place.get(*_CLAIM)
    return live is None or "deletionTimestamp" in live["metadata"]


_CLAIM = ("PersistentVolumeClaim", "team-data")
_MARK = {("ConfigMap", "cais-installation")}


def _delete_meanwhile(trial: Trial, call: Call) -> None:
    if call.what == "patch deployments/team" and call.number == 1:
        _delete(trial)


def _ask(kind: str, name: str, word: str) -> Any:
    def begin(trial: Trial) -> None:
        place = trial.place
        namespace = place.system if name == names.AUTHORITY_SECRET else place.team
        asked = {"metadata": {"annotations": {names.ROTATE: word}}}
        place.api.merge(place.path(kind, name, namespace), asked)

    return begin


def is_password_rotated(trial: Trial) -> bool:
    live = trial.place.get("Registry", "team") or {}
    data = (trial.place.get("Secret", "team-user-ci") or {})["data"]
    is_asked = names.ROTATE in (live["metadata"].get("annotations") or {})
    return (
        not is_asked
        and "next-password" not in data
        and "previous-password" in data
        and trial.is_settled()
    )


def _is_authority_rotated(trial: Trial) -> bool:
    place = trial.place
    authority = place.get("Secret", names.AUTHORITY_SECRET, place.system) or {}
    ca = _text(authority, "tls.crt")
    leaf = _text(place.get("Secret", "team-tls") or {}, "tls.crt")
    shown = (place.get("ConfigMap", "team-ca") or {})["data"]["ca.crt"]
    return (
        names.ROTATE not in (authority["metadata"].get("annotations") or {})
        and not {"next.crt", "previous.crt"} & authority["data"].keys()
        and len(trial.made[names.AUTHORITY_SECRET]) > 1
        and _text(authority, "ca.crt") == shown
        and is_signed_by(leaf, ca)
        and trial.is_settled()
    )


def _text(secret: dict[str, Any], key: str) -> str:
    return base64.b64decode(secret["data"][key]).decode()


begin_password_rotation = _ask("Registry", "team", "ci")

CHANGES = (
    Change(name="creation", begin=_create, is_done=Trial.is_settled),
    Change(
        name="edit", begin=_edit, is_done=is_edited, before=BEFORE, twice=frozenset({"team-tls"})
    ),
    Change(name="deletion", begin=_delete, is_done=_is_gone_but_its_data, before=BEFORE),
    Change(
        name="deletion with its data",
        begin=_delete,
        is_done=_is_gone_with_its_data,
        before={**BEFORE, "storage": {"volume": {"onDelete": "Delete"}}},
    ),
    Change(
        name="deletion while it is created",
        begin=_create,
        is_done=_is_gone_but_its_data,
        meanwhile=_delete_meanwhile,
    ),
    Change(
        name="rotation of a password",
        begin=begin_password_rotation,
        is_done=is_password_rotated,
        before=BEFORE,
        twice=frozenset({"team-user-ci"}),
    ),
    Change(
        name="rotation of the CA",
        begin=_ask("Secret", names.AUTHORITY_SECRET, "now"),
        is_done=_is_authority_rotated,
        before=BEFORE,
        twice=frozenset({names.AUTHORITY_SECRET, "team-tls"}),
    ),
)
