.PHONY: manifests
manifests: ## Write manifests/install.yaml and the chart's CRD copies anew
	$(PYTHON) hack/chart.py

.PHONY: chart-programs
chart-programs:
	$(PYTHON) hack/programs.py helm
	$(PYTHON) hack/promtool.py

integration-programs: chart-programs
