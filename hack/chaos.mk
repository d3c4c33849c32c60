# The operator among faults; ADR 40 says how.

.PHONY: chaos
chaos: install ## Kill the operator at each of its API calls, take its API server away (half an hour)
	$(PYTHON) hack/programs.py kube-apiserver kube-controller-manager etcd
	$(PYTEST) -n $(JOBS) --dist worksteal -rP tests/chaos
