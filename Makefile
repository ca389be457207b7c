# Every command covers all modules of go.work: "work" is the go command's pattern for their packages.

GOTESTSUM     := gotest.tools/gotestsum@v1.13.0
BENCHSTAT     := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
GOLANGCI_LINT := v2.15.0

FUZZTIME ?= 10s
BENCH    ?= .
COUNT    ?= 6
TIME     ?= 60s
SEED     ?= 1
TOPOLOGY ?= all
ROUNDS   ?= 5
SECONDS  ?= 5

# The summary is the last line, so that the end of a log tells the result.
TEST := go run $(GOTESTSUM) --format standard-quiet --format-hide-empty-pkg -- -timeout 20m

.PHONY: help demo test race fuzz lint tidy-check bench bench-peers bench-growth bench-codec bench-http chaos outage conformance redis ci
.NOTPARALLEL: # ci's order is its point, and tests and benchmarks want the machine for themselves

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## a users service with its cache, shown at work
	go run ./examples/users -demo

test: redis ## all tests; installs redis-server first where it is missing and that is possible
	$(TEST) work

race: redis ## all tests under the race detector
	@scripts/need.sh gcc gcc libc6-dev
	CGO_ENABLED=1 $(TEST) -race work

chaos: redis ## caches against a Redis that is being broken, for TIME (60s) by SEED (1); TOPOLOGY=single, sentinel, cluster or all
	go test ./internal/chaos -run '^TestChaos$$' -count 1 -timeout 24h -v -args -chaos.time=$(TIME) -chaos.seed=$(SEED) -chaos.topology=$(TOPOLOGY)

outage: redis ## caches under load while Redis or the source fails in 14 ways, each for TIME (60s) by SEED (1)
	go test ./internal/outage -run '^TestOutage$$' -count 1 -timeout 24h -v -args -outage.time=$(TIME) -outage.seed=$(SEED)

conformance: ## the suite of HTTP caching (http-cache-tests), on net/http and Fiber; installs node and npm where they are missing
	@scripts/need.sh node nodejs
	@scripts/need.sh npm npm
	go run ./internal/conformance

fuzz: ## every fuzz target for FUZZTIME (10s)
	scripts/fuzz.sh $(FUZZTIME)

lint: tidy-check ## formatting, vet, golangci-lint and the rules of the house
	scripts/lint.sh $(GOLANGCI_LINT)

tidy-check: ## each go.mod is tidy and builds by itself; the core stays free of adapters' dependencies
	scripts/modules.sh

bench: redis ## the tiers side by side; BENCH=regexp and COUNT=n narrow it
	scripts/bench.sh . tiers '$(BENCH)' $(COUNT) $(BENCHSTAT)

bench-peers: redis ## the same work done by other libraries, in one table
	scripts/bench-peers.sh '$(BENCH)' $(COUNT) $(BENCHSTAT)

bench-growth: redis ## how costs grow with keys, goroutines, sizes and caches: docs/growth.svg, and a table; takes 6 GB of memory
	scripts/bench-growth.sh $(COUNT)

bench-codec: ## the codecs beside the libraries under them
	scripts/bench.sh codec codec '$(BENCH)' $(COUNT) $(BENCHSTAT)

bench-http: ## hits and 304s over HTTP beside nginx, Varnish and Fiber's middleware, ROUNDS (5) times SECONDS (5) each; installs these
	scripts/bench-http.sh $(ROUNDS) $(SECONDS)

redis:
	@scripts/need.sh redis-server redis-server

ci: export CI = true # where a missing Redis is a failure, never a skip
ci: FUZZTIME = 5s
ci: lint fuzz conformance test race ## what must pass before a merge
