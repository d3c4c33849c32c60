# Figures beside peers; docs/benchmarks.md is what it writes.

.PHONY: bench
bench: install ## Measure the server beside its peers (about 20 minutes on an idle machine)
	$(PYTHON) hack/debian.py curl docker-registry nginx-light wrk
	$(PYTHON) hack/programs.py distribution
	mkdir -p build
	go build -o build/bench-push bench/push/main.go
	go build -o build/bench-head bench/head/main.go
	$(BIN)/python bench/run.py --write docs/benchmarks.md

.PHONY: bench-collection
bench-collection: install ## Garbage collection of 100,000 dead blobs beside pushes, and Distribution's (15 minutes on an idle machine)
	$(PYTHON) hack/programs.py distribution
	mkdir -p build
	go build -o build/bench-push bench/push/main.go
	$(BIN)/python bench/collection.py --write bench/page.md docs/benchmarks.md

.PHONY: bench-retention
bench-retention: install ## Retention over a million tags, beside pushes (about five minutes)
	$(BIN)/python bench/retention.py

.PHONY: bench-operator
bench-operator: install ## The operator with up to 5,000 Registries at a real API server (half an hour on an idle machine)
	$(PYTHON) hack/programs.py kube-apiserver etcd
	$(BIN)/python bench/registries.py --write bench/page.md docs/benchmarks.md

.PHONY: bench-peer-operator
bench-peer-operator: install ## The same of the Prometheus Operator, for comparison (25 minutes on an idle machine)
	$(PYTHON) hack/programs.py kube-apiserver etcd prometheus-operator
	$(BIN)/python bench/peer_operator.py --write bench/page.md docs/benchmarks.md

.PHONY: soak
soak: install ## Live with the operator for an hour of edits, deletions and kills (MINUTES=60)
	$(PYTHON) hack/programs.py kube-apiserver kube-controller-manager etcd
	$(BIN)/python bench/soak.py --minutes $(or $(MINUTES),60) --write bench/page.md docs/benchmarks.md
