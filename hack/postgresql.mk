# The tests run a real PostgreSQL of their own; only its programs are needed.
.PHONY: postgresql
postgresql:
	@$(PYTHON) hack/debian.py postgresql-15

integration-programs conformance-programs: postgresql
