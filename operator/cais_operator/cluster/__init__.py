# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API: the only room that imports the kubernetes client.

`client` speaks (plain dicts in and out, errors in the words of `errors`), `watch` keeps one LIST
and WATCH going, `children` remembers what the watches showed, `fields` compares without writing.
"""

from cais_operator.cluster.children import (
    Child,
    Children,
    Identity,
    child_of,
    identity,
    keys_of,
)
from cais_operator.cluster.client import Client
from cais_operator.cluster.connect import Connection, connect
from cais_operator.cluster.fields import digest, own_digests, part_digest
from cais_operator.cluster.finding import find
from cais_operator.cluster.interface import (
    PAGE,
    Cluster,
    Expired,
    Listing,
    Object,
    Page,
    Selection,
    WatchEvent,
)
from cais_operator.cluster.kinds import CHILD_KINDS, OPTIONAL_KINDS, Kind, kind_of
from cais_operator.cluster.pods import Pods, watch_pods
from cais_operator.cluster.watch import Watch, pause_after

__all__ = [
    "CHILD_KINDS",
    "OPTIONAL_KINDS",
    "PAGE",
    "Child",
    "Children",
    "Client",
    "Cluster",
    "Connection",
    "Expired",
    "Identity",
    "Kind",
    "Listing",
    "Object",
    "Page",
    "Pods",
    "Selection",
    "Watch",
    "WatchEvent",
    "child_of",
    "connect",
    "digest",
    "find",
    "identity",
    "keys_of",
    "kind_of",
    "own_digests",
    "part_digest",
    "pause_after",
    "watch_pods",
]
