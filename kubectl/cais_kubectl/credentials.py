# SPDX-License-Identifier: Apache-2.0
"""Passwords of a Registry's users, from the Secrets of its namespace."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cais_kubectl import registries
from cais_kubectl.api import Api
from cais_kubectl.errors import USAGE, Failure, Forbidden, NotFound
from cais_kubectl.registry_http import Login

_GENERATED = ("admin", "pull")


def secret_of(registry: Mapping[str, Any], user: str) -> tuple[str, str]:
    """Return name and key of the Secret that holds a user's password.

    Raises:
        Failure: When the spec has no such user; it names those it has.
    """
    _, name = registries.key_of(registry)
    if user in _GENERATED:
        return f"{name}-{user}", "password"
    access = (registry.get("spec") or {}).get("access") or {}
    declared = {one["name"]: one for one in access.get("users") or ()}
    if user not in declared:
        known = ", ".join((*_GENERATED, *sorted(declared)))
        raise Failure(f"Registry {name} has no user {user}; its users are: {known}", USAGE)
    reference = declared[user].get("passwordSecretRef")
    if reference:
        return reference["name"], reference.get("key") or "password"
    return f"{name}-user-{user}", "password"


def read(registry: Mapping[str, Any], user: str, api: Api) -> Login:
    """Read a user's password.

    Raises:
        Failure: When there is no such user or Secret, or it may not be read.
    """
    name, key = secret_of(registry, user)
    namespace, registry_name = registries.key_of(registry)
    where = f"Secret {namespace}/{name}"
    try:
        found = api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        return Login(user=user, password=_text(found["data"][key]))
    except NotFound as error:
        raise Failure(
            f"{where} with the password of {user} is not there (yet): `kubectl cais status"
            f" {registry_name} -n {namespace}` says what is missing"
        ) from error
    except Forbidden as error:
        raise Forbidden(
            f"you may not read {where} with the password of {user}: ask for that right, or name"
            " a user whose Secret you may read with --user"
        ) from error
    except (KeyError, ValueError) as error:
        raise Failure(f"{where} has no usable key {key}: put the password of {user} there") from (
            error
        )


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().removesuffix("\n")
    except binascii.Error as error:
        raise ValueError(str(error)) from error
