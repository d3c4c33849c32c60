# SPDX-License-Identifier: Apache-2.0
"""The Registry as frozen values: parsed once at the door, below it there are no raw dicts.

Pure; imports nothing of the operator but `errors`. The CRD in `crds/` is hand-written; a contract
test holds it and these dataclasses together, field by field and default by default.
"""

from cais_operator.resource.access import (
    AccessSpec,
    RegistryAccess,
    RegistryRef,
    Rotation,
    parse_access,
)
from cais_operator.resource.consumers import Consumer, LabelRequirement, NamespaceSelector
from cais_operator.resource.durations import Duration
from cais_operator.resource.issuers import Issuer
from cais_operator.resource.model import Key, Registry
from cais_operator.resource.parse import parse
from cais_operator.resource.pod import Pod, Resources
from cais_operator.resource.quantities import Quantity
from cais_operator.resource.spec import (
    Access,
    CertManager,
    Disabled,
    Expose,
    GarbageCollection,
    Gateway,
    Ingress,
    Issued,
    IssuerRef,
    LoadBalancer,
    ParentRef,
    RetentionRule,
    Rule,
    SecretKeyRef,
    SecretRef,
    Spec,
    Tls,
    User,
)
from cais_operator.resource.storage import S3, Database, Storage, Volume

__all__ = [
    "S3",
    "Access",
    "AccessSpec",
    "CertManager",
    "Consumer",
    "Database",
    "Disabled",
    "Duration",
    "Expose",
    "GarbageCollection",
    "Gateway",
    "Ingress",
    "Issued",
    "Issuer",
    "IssuerRef",
    "Key",
    "LabelRequirement",
    "LoadBalancer",
    "NamespaceSelector",
    "ParentRef",
    "Pod",
    "Quantity",
    "Registry",
    "RegistryAccess",
    "RegistryRef",
    "Resources",
    "RetentionRule",
    "Rotation",
    "Rule",
    "SecretKeyRef",
    "SecretRef",
    "Spec",
    "Storage",
    "Tls",
    "User",
    "Volume",
    "parse",
    "parse_access",
]
