.PHONY: demo
demo: ## From nothing to a Pod that runs an image from its own registry
	@PYTHONPATH=hack PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m demo up

.PHONY: demo-down
demo-down: ## Remove the demo and its cluster
	@PYTHONPATH=hack PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m demo down

# such tests wait for pods more than they compute
CLUSTER_JOBS ?= 3
.PHONY: e2e
e2e: install ## The whole cluster, real pods, real clients; runs the demo first
	@status=0; \
	if $(PYTEST) -m 'not alone' tests/e2e/test_demo.py; then \
		$(PYTEST) -m 'not alone' --ignore tests/e2e/test_demo.py -n $(CLUSTER_JOBS) --dist loadfile --durations 10 tests/e2e || status=1; \
		$(PYTEST) -m alone --durations 10 tests/e2e || status=1; \
	else status=1; fi; \
	$(if $(CI),$(MAKE) demo-down || status=1;) exit $$status
