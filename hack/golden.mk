.PHONY: golden
golden: install ## Write the golden manifests and docs/crd.md anew, to be read in the diff
	$(BIN)/python hack/golden.py
	$(BIN)/python hack/crd_docs.py
