# SPDX-License-Identifier: Apache-2.0
"""One namespace uses the registry of another, by an account that the operator made for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from e2e.changes import asked, login, named, reason
from e2e.kit import Tenant, until
from e2e.pods import pod, pulled

PATH = "/v2/apps/one/manifests/1"


@dataclass(slots=True)
class Load:
    """Pulls, one after the other, each with what stands in the Secret just then."""

    owner: Tenant
    consumer: Tenant
    statuses: list[int] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            self.statuses.append(self.owner.ask(PATH, user=login(self.consumer))[0])

    def wait_more(self, count: int) -> None:
        """Wait until that many more pulls are done."""
        wanted = len(self.statuses) + count
        until(lambda: len(self.statuses), lambda done: done >= wanted)


@contextmanager
def pulling(owner: Tenant, consumer: Tenant) -> Iterator[Load]:
    load = Load(owner, consumer)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        thread.join()


def test_access_is_allowed_used_rotated_and_ended(new_tenant: Callable[[], Tenant]) -> None:
    owner, consumer = new_tenant(), new_tenant()
    owner.apply()
    owner.wait_ready()
    owner.log_in_as_admin()
    owner.push("apps/one:1")
    answer = consumer.cluster.apply(asked(owner, consumer, "apps/*"))
    assert answer.code == 0, answer.err
    until(lambda: reason(consumer), lambda found: found == "RegistryUnavailable")
    owner.apply(consumers=[named(consumer, "apps/**")])
    until(lambda: reason(consumer), lambda found: found == "Granted")

    image = f"{owner.address}/apps/one:1"
    assert consumer.cluster.apply(pod(image, consumer.namespace)).code == 0
    until(lambda: pulled(consumer, image), bool)

    before = login(consumer)
    assert owner.ask("/v2/other/manifests/1", user=before)[0] != 200
    with pulling(owner, consumer) as load:
        load.wait_more(3)
        consumer.kubectl("annotate", "registryaccess", "web", "cais.dev/rotate=now")
        until(lambda: login(consumer), lambda now: now != before)
        load.wait_more(3)
    assert set(load.statuses) == {200}
    assert owner.ask(PATH, user=before)[0] == 200  # the overlap

    last = login(consumer)
    consumer.kubectl("delete", "registryaccess", "web")
    until(lambda: owner.ask(PATH, user=last)[0], lambda status: status == 401, seconds=30)
    assert owner.ask(PATH, user=before)[0] == 401
    until(lambda: consumer.get("secret", "registry"), lambda secret: secret is None)
    account = consumer.get("serviceaccount", "default") or {}
    assert "registry" not in [one["name"] for one in account.get("imagePullSecrets") or ()]
