# The cluster and the images. What runs where: docs of hack/cluster (`hack/cluster --help`).

.PHONY: cluster-up
cluster-up: ## Kubernetes on this machine, by kind (CLUSTER_CONTEXT=name: use an existing one)
	hack/cluster up

.PHONY: cluster-down
cluster-down: ## Remove the cluster and everything it started; images and programs are kept
	hack/cluster down

.PHONY: cluster-status
cluster-status: ## Say what runs of the cluster
	hack/cluster status

.PHONY: shell
shell: ## A shell beside the cluster's engine (CMD="docker push ...": one command line)
	@hack/cluster shell $(if $(CMD),'$(subst ','\'',$(CMD))')

.PHONY: images
images: ## Build both images (PUSH=registry/prefix: also push them)
	hack/cluster images $(if $(PUSH),--push '$(PUSH)')

.PHONY: base-image
base-image: ## Make the images' base with debootstrap, where none can be pulled
	hack/cluster base-image
