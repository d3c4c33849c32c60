# Figures beside peers; docs/benchmarks.md is what it writes.

.PHONY: bench
bench: install ## Measure the server beside its peers (about 20 minutes on an idle machine)
	$(PYTHON) hack/debian.py curl docker-registry nginx-light wrk
	$(PYTHON) hack/programs.py distribution
	mkdir -p build
	go build -o build/bench-push bench/push/main.go
	go build -o build/bench-head bench/head/main.go
	$(BIN)/python bench/run.py --write docs/benchmarks.md
