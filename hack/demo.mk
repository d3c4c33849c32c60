.PHONY: demo
demo: ## From nothing to a Pod that runs an image from its own registry
	@PYTHONPATH=hack PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m demo up

.PHONY: demo-down
demo-down: ## Remove the demo and its cluster
	@PYTHONPATH=hack PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m demo down

.PHONY: e2e
e2e: install ## The whole cluster, real pods, real clients; runs the demo first
	@status=0; $(PYTEST) --capture=tee-sys tests/e2e || status=$$?; \
	$(if $(CI),$(MAKE) demo-down || status=1;) exit $$status
