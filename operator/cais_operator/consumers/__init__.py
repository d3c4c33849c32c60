# SPDX-License-Identifier: Apache-2.0
"""What the owner of a Registry allows to other namespaces, and the accounts that come of it. Pure.

`verdict` judges what a RegistryAccess asks, with `selectors` for namespaces and `containment` for
repositories; `room` bounds how many have an account, `accounts` are the passwords that were issued;
`directory` remembers what the watches have shown.
"""

from cais_operator.consumers.accounts import Account, Credential
from cais_operator.consumers.directory import Directory
from cais_operator.consumers.verdict import Grant, Refusal, judge

__all__ = ["Account", "Credential", "Directory", "Grant", "Refusal", "judge"]
