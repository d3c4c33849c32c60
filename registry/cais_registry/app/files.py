# SPDX-License-Identifier: Apache-2.0
"""The files a server is configured by: what is good is taken, what is bad changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cais_registry.app import certificates
from cais_registry.app.keyfiles import KeyFiles
from cais_registry.app.watched import Watched
from cais_registry.config import document, settings
from cais_registry.config.errors import ConfigError
from cais_registry.config.settings import Flags, Settings
from cais_registry.http import htpasswd, token_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The newest good contents.

    Attributes:
        settings: File and flags.
        users: bcrypt hashes by name; empty for an open registry.
        token_keys: Keys of tokens, PEM, the one that signs first; empty where there are no tokens.
        pair: Certificate and key; None for plain HTTP.
        hashes: SHA-256 of what is loaded, by path.
        keys: Files with the keys of issuers, by path; what is in them is looked at by who uses it.
    """

    settings: Settings
    users: htpasswd.Users
    token_keys: tuple[bytes, ...] = field(default=(), repr=False)
    pair: certificates.Pair | None
    hashes: Mapping[str, str]
    keys: Mapping[str, bytes] = field(default_factory=dict)


class Files:
    """Loads the files once, then looks for changes.

    Attributes:
        loaded: What is good.
    """

    def __init__(self, config: Path | None, flags: Flags) -> None:
        """Load everything.

        Raises:
            ConfigError: If something cannot be used; the message says which file.
        """
        self._flags = flags
        self._errors: dict[str, str] = {}
        self._keys = KeyFiles()
        self._config = None if config is None else Watched(config, setting="--config")
        first = self._settings(b"" if self._config is None else self._config.read())
        self._first = first
        self.loaded = Loaded(settings=first, users={}, pair=None, hashes={})
        self._htpasswd = _htpasswd_file(first)
        self._token_keys = _token_key_file(first)
        self._tls = _tls_files(first)
        self.database_url()
        self.poll()
        if self._errors:
            raise ConfigError(next(iter(self._errors.values())))

    @property
    def error(self) -> str | None:
        """Why the newest contents were not taken, None when they were."""
        return "; ".join((*self._errors.values(), *self._keys.errors)) or None

    def database_url(self) -> str | None:
        """How PostgreSQL is reached, None for SQLite; read anew at each call.

        Raises:
            ConfigError: If the file cannot be read, or is empty.
        """
        database = self.loaded.settings.database
        if database is None:
            return None
        content = Watched(Path(database.url_file), setting="database.urlFile").read()
        url = content.decode("utf-8", "replace").strip()
        if not url:
            raise ConfigError(f"database.urlFile: {database.url_file} is empty")
        return url

    def certificate_hash(self) -> Mapping[str, str]:
        """SHA-256 of the certificate that is loaded now, by its path; empty for plain HTTP."""
        if self._tls is None:
            return {}
        path = str(self._tls[0].path)
        return {path: self.loaded.hashes[path]}

    def poll(self) -> bool:
        """Look for changes and take those that are good.

        Returns:
            True if something was taken.
        """
        before = self.loaded
        for part in (
            self._poll_config,
            self._poll_htpasswd,
            self._poll_token_keys,
            self._poll_tls,
            self._poll_keys,
        ):
            part()
        return self.loaded is not before

    def _poll_config(self) -> None:
        if self._config is not None:
            self._take("config", self._config, self._use_config)

    def _poll_htpasswd(self) -> None:
        if self._htpasswd is not None:
            self._take("htpasswd", self._htpasswd, self._use_htpasswd)

    def _poll_token_keys(self) -> None:
        if self._token_keys is not None:
            self._take("token keys", self._token_keys, self._use_token_keys)

    def _poll_tls(self) -> None:
        """Certificate and key are two files: they count together, whichever changes."""
        if self._tls is None:
            return
        cert, key = self._tls
        try:
            is_changed = [cert.changed() is not None, key.changed() is not None]
            if not any(is_changed) and "tls" not in self._errors:
                return
            pair = certificates.Pair(certificate=cert.read(), key=key.read())
            certificates.check(pair)
        except ConfigError as error:
            self._errors["tls"] = str(error)
            return
        self._errors.pop("tls", None)
        if pair != self.loaded.pair:
            hashes = self._with_hash(cert.path, pair.certificate)
            self.loaded = replace(self.loaded, pair=pair, hashes=hashes)

    def _poll_keys(self) -> None:
        """Never a reason to take nothing else, nor to keep a server from starting."""
        if self._keys.look(self.loaded.settings.access.issuers):
            gone = self.loaded.keys.keys() - self._keys.contents.keys()
            hashes = {path: one for path, one in self.loaded.hashes.items() if path not in gone}
            for path, content in self._keys.contents.items():
                hashes[path] = hashlib.sha256(content).hexdigest()
            self.loaded = replace(self.loaded, keys=self._keys.contents, hashes=hashes)

    def _take(self, name: str, file: Watched, use: Callable[[bytes], None]) -> None:
        try:
            content = file.changed()
        except ConfigError as error:
            self._errors[f"{name} file"] = str(error)
            return
        self._errors.pop(f"{name} file", None)
        if content is None:
            return
        self._errors.pop(name, None)
        try:
            use(content)
        except ConfigError as error:
            self._errors[name] = str(error)
            return
        self.loaded = replace(self.loaded, hashes=self._with_hash(file.path, content))

    def _use_config(self, content: bytes) -> None:
        new, first = self._settings(content), self._first
        live = replace(
            first,
            access=new.access,
            tokens=(first.tokens and new.tokens) or first.tokens,
            push_lease=new.push_lease,
            undelete_window=new.undelete_window,
            quota=new.quota,
            read_only=new.read_only,
            immutable_tags=new.immutable_tags,
            retention=new.retention,
        )
        self.loaded = replace(self.loaded, settings=live)
        if new.fixed() != first.fixed():
            self._errors["config"] = (
                f"{self._config.path if self._config else ''}: data, listen, tls, auth, "
                "tokens.keyFile, log, limits and timeouts are fixed while the server runs; "
                "restart it for them"
            )

    def _use_htpasswd(self, content: bytes) -> None:
        path = self._htpasswd.path if self._htpasswd else ""
        try:
            users = htpasswd.parse(content.decode())
        except (htpasswd.HtpasswdError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        self.loaded = replace(self.loaded, users=users)

    def _use_token_keys(self, content: bytes) -> None:
        path = self._token_keys.path if self._token_keys else ""
        try:
            keys = token_keys.parse(content)
        except token_keys.TokenKeysError as error:
            raise ConfigError(f"{path}: {error}") from error
        self.loaded = replace(self.loaded, token_keys=keys)

    def _settings(self, content: bytes) -> Settings:
        if self._config is None:
            return settings.resolve(document.Document(), self._flags)
        try:
            return settings.resolve(document.parse(content.decode()), self._flags)
        except (ConfigError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self._config.path}: {error}") from error

    def _with_hash(self, path: Path, content: bytes) -> Mapping[str, str]:
        digest = hashlib.sha256(content).hexdigest()
        return {**self.loaded.hashes, str(path): digest}


def _htpasswd_file(settings: Settings) -> Watched | None:
    if settings.auth is None:
        return None
    return Watched(Path(settings.auth.htpasswd_file), setting="auth.htpasswdFile")


def _token_key_file(settings: Settings) -> Watched | None:
    if settings.tokens is None:
        return None
    return Watched(Path(settings.tokens.key_file), setting="tokens.keyFile")


def _tls_files(settings: Settings) -> tuple[Watched, Watched] | None:
    if settings.tls is None:
        return None
    return (
        Watched(Path(settings.tls.cert_file), setting="tls.certFile"),
        Watched(Path(settings.tls.key_file), setting="tls.keyFile"),
    )
