# SPDX-License-Identifier: Apache-2.0
"""Whether the rules of retention are applied. Pure."""

from cais_operator.observed import Observed
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition

TYPE = "RetentionApplied"


def condition(registry: Registry, observed: Observed) -> Condition | None:
    """Return RetentionApplied; None without rules, or when the server did not say.

    It never touches Ready: a rule that cannot be read keeps everything, so nobody misses anything.
    """
    rules, server = registry.spec.retention, observed.server
    if not rules or server is None or server.error is not None:
        return None
    if server.retention_problems:
        message = f"the server keeps everything: {'; '.join(server.retention_problems)}"
        return Condition(type=TYPE, status="False", reason="RuleRefused", message=message)
    dry = sum(rule.dry_run for rule in rules)
    only = f"; {dry} of them only say what would go (dryRun)" if dry else ""
    message = f"each garbage collection applies {len(rules)} rules{only}"
    return Condition(type=TYPE, status="True", reason="Applied", message=message)
