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
