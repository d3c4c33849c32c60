# SPDX-License-Identifier: Apache-2.0
"""What should be there: one pure function a child.

Every result is in normal form (what the API server would store), so that its hash equals that of
the live object projected on our own fields. Order of applying: `service` (its ClusterIP goes into
the certificate), `network_policy`, `gc_network_policy`, `service_account`, `config_map`,
`ca_config_map`, `claim`, then the Secrets, `deployment`, `cron_job`.

Secrets hold generated material: they are for CREATE, or for a change with the live
resourceVersion, never for a forced apply. They are deterministic in their arguments: the same
password or leaf gives the same body, so that a body which differs from the live one is a change.
"""

from cais_operator.desired.certificate import certificate
from cais_operator.desired.config import ca_config_map, config_map, has_loaded, loaded_files
from cais_operator.desired.exposure import exposure
from cais_operator.desired.identities import written
from cais_operator.desired.jobs import Way, cron_job
from cais_operator.desired.network import gc_network_policy, network_policy, service
from cais_operator.desired.secrets import (
    accounts_secret,
    admin_secret,
    authority_secret,
    backend_secret,
    brought_tls_secret,
    consumer_secret,
    gc_secret,
    pull_secret,
    tls_secret,
    token_keys_secret,
    user_secret,
    users_secret,
)
from cais_operator.desired.storage import claim
from cais_operator.desired.workload import deployment, disruption_budget, service_account

__all__ = [
    "Way",
    "accounts_secret",
    "admin_secret",
    "authority_secret",
    "backend_secret",
    "brought_tls_secret",
    "ca_config_map",
    "certificate",
    "claim",
    "config_map",
    "consumer_secret",
    "cron_job",
    "deployment",
    "disruption_budget",
    "exposure",
    "gc_network_policy",
    "gc_secret",
    "has_loaded",
    "loaded_files",
    "network_policy",
    "pull_secret",
    "service",
    "service_account",
    "tls_secret",
    "token_keys_secret",
    "user_secret",
    "users_secret",
    "written",
]
