# SPDX-License-Identifier: Apache-2.0
import pytest

from cais_operator.names import Hosts
from cais_operator.observed import balancer_of


@pytest.mark.parametrize(
    "address",
    [
        {"hostname": "other.team-b.svc"},
        {"hostname": "other.team-b.svc.cluster.local"},
        {"hostname": "localhost"},
        {"hostname": "UPPER.example.com"},
        {"hostname": "*.example.com"},
        {"ip": "10.0.0.0/8"},
        {"ip": "here"},
        {"ip": "010.0.0.1"},
        {},
    ],
    ids=str,
)
def test_a_status_that_names_no_address_of_its_own_gets_into_no_certificate(
    address: dict[str, str],
) -> None:
    status = {"loadBalancer": {"ingress": [address, {"ip": "203.0.113.7"}]}}
    service = {"spec": {"type": "LoadBalancer"}, "status": status}
    assert balancer_of(service) == Hosts(dns=(), ips=("203.0.113.7",))


def test_a_service_of_another_type_has_no_load_balancer() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    assert balancer_of({"spec": {"type": "NodePort"}, "status": status}) == Hosts(dns=())
    assert balancer_of({}) == Hosts(dns=())
