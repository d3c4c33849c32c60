# SPDX-License-Identifier: Apache-2.0
"""The part of the spec about where the data is: a volume, or a bucket and a database."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cais_operator.resource.checks import (
    BUCKET,
    BUCKET_PREFIX,
    DNS_SUBDOMAIN,
    ENDPOINT,
    REGION,
    SECRET_KEY,
)
from cais_operator.resource.quantities import Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """The claim that holds the registry's data. `existing_claim` empty: the operator makes one."""

    size: Quantity = Quantity.parse("10Gi")
    storage_class_name: Annotated[str, DNS_SUBDOMAIN] | None = None
    existing_claim: Annotated[str, DNS_SUBDOMAIN] | None = None
    on_delete: Literal["Retain", "Delete"] = "Retain"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3SecretRef:
    """Where the access key is; the defaults are the names that most programs give its parts."""

    name: Annotated[str, DNS_SUBDOMAIN]
    access_key_id: Annotated[str, SECRET_KEY] = "AWS_ACCESS_KEY_ID"
    secret_access_key: Annotated[str, SECRET_KEY] = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - of a Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class CaSecretRef:
    """Certificates to trust, PEM, in a Secret of the Registry's namespace."""

    name: Annotated[str, DNS_SUBDOMAIN]
    key: Annotated[str, SECRET_KEY] = "ca.crt"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """A bucket for the bytes of blobs."""

    bucket: Annotated[str, BUCKET]
    secret_ref: S3SecretRef
    endpoint: Annotated[str, ENDPOINT] | None = None
    region: Annotated[str, REGION] = "us-east-1"
    prefix: Annotated[str, BUCKET_PREFIX] | None = None
    ca_secret_ref: CaSecretRef | None = None
    redirect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where the data is: one of these, and a volume with its defaults when none is named."""

    volume: Volume | None = None
    s3: S3 | None = None

    @property
    def mounted(self) -> Volume | None:
        """The volume; None when the data is in a bucket."""
        return None if self.s3 is not None else self.volume or Volume()

    @property
    def existing_claim(self) -> str | None:
        """Name of the claim that is brought; None when the operator makes one, or has none."""
        return None if self.mounted is None else self.mounted.existing_claim


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSecretRef:
    """One key of a Secret in the Registry's namespace."""

    name: Annotated[str, DNS_SUBDOMAIN]
    key: Annotated[str, SECRET_KEY] = "uri"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A PostgreSQL for everything but the bytes of blobs."""

    secret_ref: DatabaseSecretRef
