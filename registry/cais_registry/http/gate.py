# SPDX-License-Identifier: Apache-2.0
"""The one place where requests are authenticated and authorised."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from cais_registry.http import bearer, challenges, router
from cais_registry.http.bearer import Bearer, Proved
from cais_registry.http.credentials import Verifier
from cais_registry.http.errors import InsufficientScope, InvalidToken
from cais_registry.http.grants import Grant
from cais_registry.http.requests import Request
from cais_registry.http.responses import Headers
from cais_registry.http.tokens import Tokens
from cais_registry.model.errors import Denied, Unauthorized
from cais_registry.model.names import RepoName
from cais_registry.model.policy import Policy
from cais_registry.services.access import Action, Permissions
from cais_registry.services.scopes import Scope

_MOST_HEADER: Final = bearer.MOST_BYTES * 2  # a token as a password is in Base64 once more
_ADMIN: Final = {
    "gc": Action.GC,
    "fsck": Action.ADMIN,
    "usage": Action.USAGE,
    "config": Action.USAGE,
    "openapi.json": Action.USAGE,
    "deleted": Action.ADMIN,
    "undelete": Action.ADMIN,
}
_NOT_FOR_THIS: Final = "the token was not given out for this; ask for one that is"
_READING: Final = frozenset({"GET", "HEAD"})
_NEEDED: Final = {
    "GET": Action.PULL,
    "HEAD": Action.PULL,
    "PUT": Action.CREATE,  # what is there already is looked at in the transaction
    "DELETE": Action.DELETE,
}


class Caller(msgspec.Struct, frozen=True, kw_only=True):  # made for every request
    """Who sent a request.

    Attributes:
        user: A verified name, None for someone anonymous.
        permissions: The rules at the moment the request came in.
        grant: What a token of this registry is good for; None for any other login, or none.
        until: When the login is over, in seconds since 1970; None if it does not end by itself.
    """

    user: str | None
    permissions: Permissions
    grant: Grant | None = None
    until: float | None = None

    def may(self, action: Action, repo: RepoName | None = None) -> bool:
        """Tell whether the caller may do something: by the rules, and by the token if any."""
        is_granted = self.grant is None or self.grant.covers(action, repo)
        return is_granted and self.permissions.allows(self.user, action, repo)

    def check_granted(self, action: Action, repo: RepoName) -> None:
        """Let something pass that the rules may allow or not, but not the token alone stops.

        Raises:
            InsufficientScope: If another token would do: its owner can ask for it.
        """
        if not self.may(action, repo) and self.permissions.allows(self.user, action, repo):
            raise InsufficientScope(_NOT_FOR_THIS)

    def scope(self, action: Action) -> Scope:
        """The repositories in which the caller may do something, by the rules."""
        return self.permissions.scope(self.user, action)

    def readable(self) -> Callable[[RepoName], bool]:
        """A function that says whether the caller may pull from a repository."""
        return lambda repo: self.may(Action.PULL, repo)


class Gate:
    """Knows the users and the rules of this moment; both may be replaced at any time.

    Attributes:
        permissions: The rules.
        realm: What is told to someone who should log in; None for an open registry.
        bearer: Knows whom tokens speak of.
        tokens: Gives out tokens of this registry; None where it has none.
    """

    def __init__(
        self, permissions: Permissions, *, verifier: Verifier | None, realm: str | None
    ) -> None:
        self.permissions = permissions
        self.realm = realm
        self.bearer = Bearer()
        self.tokens: Tokens | None = None
        self._verifier = verifier

    async def identify(self, request: Request) -> Caller:
        """Find out who sent a request.

        Raises:
            Unauthorized: If there are credentials, and they are wrong.
            TooManyRequests: If too many passwords are being checked.
        """
        header = request.headers.get("authorization")
        if self._verifier is None or header is None:
            return Caller(user=None, permissions=self.permissions)
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() == "bearer":
            return self._of_token(credentials.strip())
        known = self._verifier.recall(header)
        if known is not None:
            return Caller(user=known, permissions=self.permissions)
        user, password = _basic(header)
        caller = await self.login(user, password, client=request.client)
        if not bearer.is_token(password):
            self._verifier.remember(header, user)
        return caller

    async def login(self, user: str, password: str, *, client: str) -> Caller:
        """Check a password.

        A token may stand in its place; then the name beside it is not believed, as the token has
        a subject.

        Args:
            user: As it was sent.
            password: As it was sent.
            client: Address of whoever sent it.

        Raises:
            Unauthorized: If it is wrong.
            TooManyRequests: If too many passwords are being checked.
        """
        if bearer.is_token(password):
            return self._of_token(password)
        permissions = self.permissions
        if self._verifier is None or not await self._verifier.verify(user, password, client=client):
            raise Unauthorized("user name or password is wrong")
        return Caller(user=user, permissions=permissions)

    def _of_token(self, token: str) -> Caller:
        permissions = self.permissions
        try:
            found = self.bearer.verify(token)
        except Unauthorized as error:
            raise InvalidToken(error.message) from error
        if not self._is_there(found, permissions):
            raise InvalidToken("there is no such user any more; log in again")
        return Caller(
            user=found.user, permissions=permissions, grant=found.grant, until=found.until
        )

    def _is_there(self, found: Proved, permissions: Permissions) -> bool:
        """Whether a user is one still, whom a token of this registry was given.

        Those of other issuers are known by their tokens alone; the rules name them, or do not.
        """
        if found.user is None:
            return bool(permissions.anonymous)
        return found.grant is None or ":" in found.user or self.knows(found.user)

    def knows(self, user: str) -> bool:
        """Tell whether there is a user of this name."""
        return self._verifier is not None and self._verifier.knows(user)

    @property
    def logins(self) -> Mapping[str, int]:
        """How many passwords and tokens were checked, by outcome (`Verifier.outcomes`)."""
        return {} if self._verifier is None else self._verifier.outcomes + self.bearer.outcomes

    def claimed(self, request: Request) -> str | None:
        """The user that a request claims to be of, if there is such a one; nothing is proved."""
        try:
            user, _ = _basic(request.headers.get("authorization", ""))
        except Unauthorized:
            return None
        return user if self.knows(user) else None

    def challenge(self, request: Request, path: router.Path | None, error: Unauthorized) -> Headers:
        """The headers of a 401.

        Args:
            request: The request.
            path: What it is about, as far as that is known.
            error: Why it is refused.
        """
        tokens = self.tokens
        asked = None if tokens is None else challenges.bearer(tokens.terms, request, path, error)
        return asked or challenges.basic(self.realm or "")


def authorise(caller: Caller, method: str, path: router.Path) -> None:
    """Let a request pass, or not.

    The answer depends on names, rules and the token only, never on what exists: a repository that
    one may not read looks the same as one that does not exist.

    Raises:
        Unauthorized: If someone anonymous may not do it, or the token is not good for it.
        Denied: If the user may not do it.
    """
    if caller.permissions.is_open or _is_allowed(caller, method, path):
        return
    if caller.grant is not None:
        ungranted = msgspec.structs.replace(caller, grant=None)
        if caller.user is None or _is_allowed(ungranted, method, path):
            raise InsufficientScope(_NOT_FOR_THIS)
    if caller.user is None:
        raise Unauthorized("log in first: this needs a user name and a password")
    raise Denied(f"user {caller.user!r} may not do this; ask who runs the registry for a rule")


def check_writable(policy: Policy, method: str, path: router.Path) -> None:
    """Let a request pass, unless it would change what clients see and nothing may.

    Garbage collection and repairs are no such changes: they remove what clients do not know.

    Raises:
        ReadOnly: If the registry is read-only.
    """
    if method in _READING or (isinstance(path, router.AdminPath) and path.noun != "undelete"):
        return
    policy.check_writable()


def _is_allowed(caller: Caller, method: str, path: router.Path) -> bool:
    match path:
        case router.Probe() | router.TokenPath():
            return True  # the token endpoint looks after itself
        case router.Ping():  # clients learn here that they should log in
            return caller.user is not None or caller.grant is not None
        case router.Catalog():  # shows what may be pulled
            is_granted = caller.grant is None or caller.grant.catalog
            return is_granted and caller.user is not None
        case router.AdminPath(noun=noun):
            return caller.may(_ADMIN[noun])
        case router.UploadsPath(repo=repo) | router.UploadPath(repo=repo):
            return caller.may(Action.CREATE, repo)
        case _:
            return caller.may(_NEEDED[method], path.repo)


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(header) > _MOST_HEADER:
        raise Unauthorized("only Basic authentication and Bearer tokens are taken here")
    try:
        decoded = binascii.a2b_base64(encoded.strip(), strict_mode=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise Unauthorized("the Authorization header is not Basic credentials") from error
    user, _, password = decoded.partition(":")
    return user, password
