# SPDX-License-Identifier: Apache-2.0
"""The consumer's side of a RegistryAccess: its Secret, its ServiceAccounts, its status.

`reconcile` tells the story, `pullers` knows ServiceAccounts, `told` the words, `loops` what runs.
The Registry's side, which issues and ends accounts, is in `ledger`.
"""

from cais_operator.access.loops import AccessLoops
from cais_operator.access.reconcile import AccessReconciler

__all__ = ["AccessLoops", "AccessReconciler"]
