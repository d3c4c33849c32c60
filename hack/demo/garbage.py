# SPDX-License-Identifier: Apache-2.0
"""Deleting a tag, and getting the space back."""

from demo.names import BIG, HELLO, LEFT, NAMESPACE, REGISTRY
from demo.place import Place
from demo.shell import CommandFailed, Shell

SIZE = 64  # MiB that nothing can compress
OTHERS = 4  # MiB that the log and the hourly copy of the database may take meanwhile
JOB = "collect-now"
DISK = f"kubectl -n {NAMESPACE} exec deployment/{REGISTRY} -- df --block-size=1K /data"
STATUS = f"kubectl -n {NAMESPACE} get registry {REGISTRY} -o jsonpath="
LAST = STATUS + "'{.status.garbageCollection.lastSuccessTime}'"


def collect(place: Place) -> None:
    """Push a big image, delete its tag, run the CronJob once: the space is back."""
    shell = place.beside
    random = f"head --bytes={SIZE}M /dev/urandom > big.bin && tar -cf big.tar big.bin"
    shell.type(f"{random} && crane append --oci-empty-base -f big.tar -t {BIG} && rm big.*")
    before = used(shell.type(DISK))
    known = shell.ask(LAST)
    shell.type(f"crane delete {BIG}")
    run_collection(shell)
    after = used(shell.type(DISK))
    print(f"{(before - after) / 1024:.0f} MiB are back.")
    if before - after < (SIZE - OTHERS) * 1024:
        raise CommandFailed(f"a tag of {SIZE} MiB was deleted, {before - after} KiB came back")
    shell.wait_for(LAST, lambda time: time != known, seconds=30)
    shell.type(f"kubectl -n {NAMESPACE} get registry -o wide")


def run_collection(shell: Shell) -> None:
    """Run the garbage collection of the CronJob once, and wait for its end."""
    kubectl = f"kubectl -n {NAMESPACE}"
    shell.ask(f"{kubectl} delete job {JOB} --ignore-not-found --timeout=60s")
    shell.type(f"{kubectl} create job --from=cronjob/{REGISTRY}-gc {JOB}")
    shell.type(f"{kubectl} wait --for=condition=Complete job/{JOB} --timeout=90s")
    shell.type(f"{kubectl} logs job/{JOB}")


def pull_what_is_left(place: Place) -> None:
    """Download all that is left and compare every digest."""
    shell = place.beside
    for image in LEFT:
        shell.type(f"crane validate --remote {image}")
    shell.type(f"docker rmi --force {HELLO}")
    shell.type(f"docker pull {HELLO}")


def used(table: str) -> int:
    """Return the used KiB from what `df --block-size=1K` prints for one file system."""
    return int(table.split()[-4])
