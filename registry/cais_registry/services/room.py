# SPDX-License-Identifier: Apache-2.0
"""What the quota leaves for an upload, as far as one can tell before its end."""

from __future__ import annotations

from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.model.errors import QuotaExceeded
from cais_registry.stores.blob_rows import find_blob
from cais_registry.stores.connection import Connection
from cais_registry.stores.usage_rows import largest_blob, stored_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How large an upload may become. Whether it is stored is decided at its end, exactly.

    Attributes:
        used: Bytes that are stored.
        limit: The quota in bytes.
        most: Bytes of the upload: more can only be refused at the end.
    """

    used: int
    limit: int
    most: int

    def check(self, size: int) -> None:
        """Let an upload have so many bytes, or not.

        Raises:
            QuotaExceeded: If there is no use in sending them.
        """
        if size > self.most:
            raise QuotaExceeded(used=self.used, added=size, limit=self.limit)


def room_for(connection: Connection, digest: Digest | None, limit: int) -> Room:
    """Look what an upload may become: a new blob within the quota, or one that is there already.

    Args:
        connection: A snapshot.
        digest: What it is going to be; None while that is open.
        limit: The quota in bytes.
    """
    used = stored_bytes(connection)
    if digest is None:
        known = largest_blob(connection)
    else:
        row = find_blob(connection, digest)
        known = 0 if row is None else row.size
    return Room(used=used, limit=limit, most=max(limit - used, known))
