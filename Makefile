# `make` lists what there is. Everything that CI runs is here, so that it can
# be run by hand: .ci/run calls these targets and nothing else.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VERSION ?=
SIZES ?= 10,100,300,1000,3000
ROUNDS ?= 3
ONLY ?= ColdStart|Compare|Faults|Gate|AWS|AWSBuckets
# A folder with terraform's AWS provider, as `terraform providers mirror` makes it.
TERRAFORM_PLUGINS ?= /opt/tf-plugins
LDFLAGS := -s -w $(if $(VERSION),-X main.version=$(VERSION))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/noren, one static file
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/noren ./cmd/noren

.PHONY: demo
demo: ## close and open two sample applications on this machine
	examples/demo/run.sh

.PHONY: sandbox
sandbox: test-tools build ## a shop on a real Kubernetes API server, to try bin/noren by hand
	@# of a package that is named, go test prints nothing until the end
	@PATH="$$(test/kubeserver/install.sh):$$PATH"; cd test/e2e && go test -run '^TestByHand$$' -count=1 -timeout 0 -by-hand 8h

.PHONY: sandbox-ecs
sandbox-ecs: build ## the shop of examples/ecs-shop on an AWS of this machine, to try bin/noren by hand
	@cd test/e2e && go test -run '^TestECSByHand$$' -count=1 -timeout 0 -by-hand 8h

.PHONY: test
test: test-tools ## run all tests; TESTFLAGS='-run X -count=1' is passed on
	@tools/test.sh

.PHONY: test-tools
test-tools: ## install what the tests need: API server, AWS stand-in, browser, fonts, pinned tools
	@tools/packages.sh
	@test/kubeserver/install.sh >/dev/null
	@test/moto/install.sh >/dev/null
	@tools/install.sh >/dev/null

.PHONY: lint
lint: fmt-check mod-check ## look for mistakes with golangci-lint and go vet's friends
	@"$$(tools/install.sh)/golangci-lint" run --allow-parallel-runners ./...
	@cd tools && go vet ./... && go test ./...
	@cd test/kubeserver && gofmt -l . | (! grep .)
	@cd test/bench/kubectl && gofmt -l . | (! grep .)
	@for f in .ci/run tools/*.sh test/kubeserver/*.sh test/moto/*.sh test/bench/servers/*.sh test/bench/aws/*.sh examples/demo/*.sh; do bash -n "$$f"; done

.PHONY: fmt-check
fmt-check: ## check that every Go file is formatted
	@files=$$(gofmt -l cmd internal test examples tools); \
	  if [[ -n $$files ]]; then echo "not formatted, run gofmt -w:"; echo "$$files"; exit 1; fi

.PHONY: mod-check
mod-check: ## check that go.mod and go.sum say what the code uses
	@go mod tidy -diff
	@go mod verify >/dev/null

.PHONY: vuln
vuln: ## look for known vulnerabilities
	@tools/vuln.sh

.PHONY: secrets
secrets: ## look for secrets in the files and in the history
	@tools=$$(tools/install.sh); \
	"$$tools/gitleaks" dir --no-banner --redact .; \
	if [[ -e .git ]]; then "$$tools/gitleaks" git --no-banner --redact .; fi

.PHONY: generate
generate: ## write docs/reference from the code
	go run ./cmd/noren docs --out docs/reference

.PHONY: check-generated
check-generated: ## check that docs/reference is what the code says
	@tools/check-generated.sh

.PHONY: fuzz-smoke
fuzz-smoke: ## run every fuzz target for FUZZTIME (10s)
	@tools/fuzz.sh

.PHONY: bench
bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-compare
bench-compare: test-tools ## noren beside scripts, client-go, boto3, terraform, nginx: writes docs/benchmarks.md; SIZES, ROUNDS, ONLY
	@cd test/bench/kubectl && CGO_ENABLED=0 go build -ldflags '-s -w' -o "$${NOREN_TEST_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/noren-test}/kubectl" .
	@PATH="$$(test/kubeserver/install.sh):$$(test/moto/install.sh):$$PATH" go test ./test/bench -run '^Test($(ONLY))$$' -v -count=1 -timeout 4h \
	  -compare '$(SIZES)' -rounds '$(ROUNDS)' -servers "$$(test/bench/servers/install.sh)" \
	  -kubectl "$${NOREN_TEST_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/noren-test}/kubectl" \
	  -aws-tools "$$(test/bench/aws/install.sh)" -terraform "$$(command -v terraform || true)" -terraform-plugins '$(TERRAFORM_PLUGINS)' \
	  -document '$(CURDIR)/docs/benchmarks.md' -made-by 'make bench-compare SIZES=$(SIZES) ROUNDS=$(ROUNDS)' | grep -v -e '^=== ' -e '^--- PASS'

.PHONY: ci
ci: ## run what CI runs
	@.ci/run

.PHONY: clean
clean: ## remove what was built here (the caches of tests stay)
	rm -rf bin dist
