# Everything that people and CI run. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
DEBIAN ?= 12
export DEBIAN

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: run
run: deps ## the main job: seven BCC tools trace a sample workload, the hub shows it, half a minute long
	tests/lab/demo

.PHONY: test
test: deps ## every test: units, real servers, real programs, a real kernel, a real Kubernetes
	tests/k8s/tools
	cargo test --locked --workspace
	python3 -m unittest discover tests/lab
	python3 -m unittest discover k8s/image
	@# Each machine keeps one CPU busy.
	$(MAKE) --no-print-directory -j2 test-lab test-cluster

# In words that tell their lines apart.
.PHONY: test-lab test-cluster
test-lab:
	@set -o pipefail; tests/lab/lab test 2>&1 | sed -u 's/^/lab     | /'
test-cluster:
	@set -o pipefail; tests/cluster/cluster test 2>&1 | sed -u 's/^/cluster | /'

.PHONY: lab
lab: deps ## the seven tools on a real kernel in a virtual machine; DEBIAN=13 for another release
	tests/lab/lab test

.PHONY: cluster
cluster: deps ## the seven tools in a pod of a real Kubernetes: its node is a virtual machine
	tests/cluster/cluster test --probes tcptracer,tcpconnect,tcpaccept,tcplife,execsnoop,biosnoop,cachetop \
	  --then --server own --restart \
	  --then --server in-cluster \
	  --then --output classic \
	  --then --probes execsnoop --rights bpf --lacks CAP_SYS_ADMIN \
	  --then --probes execsnoop --rights bpf --paranoid 2

.PHONY: image
image: deps ## the agent's image as an OCI archive, without a container daemon; DEBIAN=13 for another release
	k8s/image/build

.PHONY: check
check: deps fmt clippy doc deny forbid ## the gates: format, lints, docs, licences, forbidden words

.PHONY: fmt clippy doc deny forbid
fmt:
	cargo fmt --all --check
	cargo fmt --manifest-path parser/fuzz/Cargo.toml --check
clippy:
	cargo clippy --locked --workspace --all-targets -- -D warnings
doc:
	@# Programs, not libraries: their documentation is for who works on them, private items and all.
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' cargo doc --locked --workspace --no-deps --document-private-items --quiet
deny:
	"$$(.ci/tool cargo-deny 0.20.2)" --log-level error --config .ci/deny.toml check bans licenses sources
forbid:
	.ci/forbid

.PHONY: bench
bench: deps ## lines/s of the parser, ns of a verdict, lines/s from tool to screen
	cargo bench --workspace
	cargo build --release --locked -p x-agent -p x-tracer
	tests/bench/throughput

.PHONY: figures
figures: deps ## memory, start, CPU beside a noisy neighbour, latency, in the lab, beside seven plain tools
	tests/bench/lab-figures

.PHONY: fuzz
fuzz: deps ## every fuzz target for a minute
	parser/fuzz/run 60

.PHONY: chaos
chaos: deps ## kills, stops and cut cables in an order that seeds decide; MINUTES=10
	tests/chaos $(MINUTES)

.PHONY: deps
deps: ## what apt can install (the other targets do it by themselves)
	@.ci/deps
