.PHONY: demo
demo: ## From nothing to a Pod that runs an image from its own registry
	@PYTHONPATH=hack PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m demo up

.PHONY: demo-down
demo-down: ## Remove the demo and its cluster
	@PYTHONPATH=hack PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m demo down

# such tests wait for pods more than they compute
CLUSTER_JOBS ?= 3
# The files are sorted by how long they take: the run is as long as the last of them.
TOGETHER := -n $(CLUSTER_JOBS) --dist loadfile --no-loadscope-reorder --ignore tests/e2e/test_demo.py
# Tests that have the cluster for themselves leave half of the processor: other targets may use that.
BESIDE ?=
BESIDE_LOG := build/beside-e2e.log
.PHONY: e2e
e2e: install ## The whole cluster, real pods, real clients; runs the demo first
	@status=0; beside=; mkdir -p $(dir $(BESIDE_LOG)); \
	if $(PYTEST) -m 'not alone' tests/e2e/test_demo.py; then \
		$(PYTEST) -m 'not alone' $(TOGETHER) --durations 10 tests/e2e || status=1; \
		$(if $(BESIDE),nice env --default-signal=INT $(MAKE) -j $(JOBS) --output-sync $(BESIDE) >$(BESIDE_LOG) 2>&1 & beside=$$!;) \
		$(PYTEST) -m alone --durations 10 tests/e2e || status=1; \
		if [ "$$beside" ]; then wait $$beside || status=1; cat $(BESIDE_LOG); fi; \
	else status=1; fi; \
	$(if $(CI),$(MAKE) demo-down || status=1;) exit $$status
