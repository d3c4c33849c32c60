# What GitOps tools judge with, as one program; the tests hand it objects.

.PHONY: gitops-tools
gitops-tools: build/gitops

build/gitops: tests/support/gitops/main.go tests/support/gitops/go.mod tests/support/gitops/go.sum
	mkdir -p build
	cd tests/support/gitops && GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o $(CURDIR)/build/gitops .

integration-programs: gitops-tools
