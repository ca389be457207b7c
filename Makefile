# Every command covers all modules of go.work: "work" is the go command's pattern for their packages.

GOTESTSUM     := gotest.tools/gotestsum@v1.13.0
BENCHSTAT     := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
GOLANGCI_LINT := v2.15.0
ACTIONLINT    := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0

FUZZTIME ?= 10s
BENCH    ?= .
COUNT    ?= 6
TIME     ?= 60s
SEED     ?= 1
TOPOLOGY ?= all
MODE     ?= all
LISTENERS ?= 0
ROUNDS   ?= 5
SECONDS  ?= 5

# The summary is the last line, so that the end of a log has the result.
TEST := go run $(GOTESTSUM) --format standard-quiet --format-hide-empty-pkg -- -timeout 20m

.PHONY: help demo test race mutations model fuzz lint vuln tidy-check release-check api-check bench bench-peers bench-growth bench-scale bench-budget bench-codec bench-http chaos outage conformance redis postgres spin promtool chromium readers ci
.NOTPARALLEL: # ci has an order, and tests and benchmarks need the machine for themselves

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## run the example users, which measures a service with and without its cache
	go run ./examples/users -demo

test: redis postgres ## run all tests except the mutations; installs redis-server and PostgreSQL first if they are missing (Debian, Ubuntu)
	$(TEST) -short work

race: redis postgres ## run all tests under the race detector
	@scripts/need.sh gcc gcc libc6-dev
	CGO_ENABLED=1 $(TEST) -race work

mutations: redis postgres spin ## run all tests of internal/chaos, adapters/pgxcache and model but TestChaos, which race runs: the checks find every mutation of the library and of the models, which takes minutes
	$(TEST) -skip '^TestChaos$$' ./internal/chaos ./adapters/pgxcache ./model

model: spin ## have spin look at all states of the larger models of the protocol, which takes minutes and 12 GB of memory; see model/README.md
	go test ./model -run '^TestModels$$' -count 1 -timeout 24h -v -args -model.large

chaos: redis ## check the guarantees while faults are injected, for TIME (60s) with SEED (1); TOPOLOGY=single, sentinel, cluster or all; MODE=tracking, keys, pubsub or all; LISTENERS=200 stand for as many other processes
	go test ./internal/chaos -run '^TestChaos$$' -count 1 -timeout 24h -v -args -chaos.time=$(TIME) -chaos.seed=$(SEED) -chaos.topology=$(TOPOLOGY) -chaos.mode=$(MODE) -chaos.listeners=$(LISTENERS)

outage: redis ## check the policies under load while Redis or the source fails in 14 ways, an overload, a deploy, cold starts and storms, each for TIME (60s) with SEED (1)
	go test ./internal/outage -run '^Test(Outage|Overload|Deploy|ColdStart|ColdStartAlone|Storm)$$' -count 1 -timeout 24h -v -args -outage.time=$(TIME) -outage.seed=$(SEED)

conformance: ## run the HTTP caching suite http-cache-tests on net/http, Fiber and a client; installs node and npm if they are missing
	@scripts/need.sh node nodejs
	@scripts/need.sh npm npm
	go run ./internal/conformance

fuzz: ## run every fuzz target for FUZZTIME (10s)
	scripts/fuzz.sh $(FUZZTIME)

lint: tidy-check ## check formatting, vet, golangci-lint and the workflows of .github
	go run $(ACTIONLINT) -shellcheck= -pyflakes=
	scripts/lint.sh $(GOLANGCI_LINT)

vuln: ## look for known vulnerabilities in what the modules call; needs the database of the Go project
	go run $(GOVULNCHECK) work

tidy-check: ## check that each module is tidy and builds by itself, and that the core has no dependencies of adapters
	scripts/modules.sh

release-check: ## check that users can get and use the modules: releases them in a clone, and runs programs in empty modules
	go run ./internal/release -check

api-check: ## check that CHANGELOG.md announces all incompatible changes of the API since the last release
	go run ./internal/release -api

bench: redis ## run the benchmarks of the tiers, COUNT (6) times; BENCH=regexp selects some
	scripts/bench.sh . tiers '$(BENCH)' $(COUNT) $(BENCHSTAT)

bench-peers: redis ## compare with other libraries that do the same work
	scripts/bench-peers.sh '$(BENCH)' $(COUNT) $(BENCHSTAT)

bench-growth: redis ## measure how costs grow with keys, goroutines, sizes and caches; writes docs/growth.svg, prints a table, takes 6 GB of memory
	scripts/bench-growth.sh $(COUNT)

bench-scale: COUNT = 3
bench-scale: redis ## measure what it costs Redis that up to 1,000 processes learn of changes, COUNT (3) times in 12 minutes; writes docs/scale.svg and the table of docs/growth.md; BENCH=regexp prints some
	scripts/bench-scale.sh '$(BENCH)' $(COUNT)

bench-budget: redis ## print where the processor time of a local hit, a Redis hit and a miss goes, each profiled for SECONDS (5)
	go test ./benchmarks/budget -run '^TestBudget$$' -count 1 -v -args -budget.time=$(SECONDS)s

bench-codec: ## compare the codecs with the libraries that they use
	scripts/bench.sh codec codec '$(BENCH)' $(COUNT) $(BENCHSTAT)

bench-http: ## compare hits and 304s over HTTP with nginx, Varnish and Fiber's middleware, ROUNDS (5) times SECONDS (5) each; installs these
	scripts/bench-http.sh $(ROUNDS) $(SECONDS)

redis:
	@scripts/need.sh $${TIERCACHE_REDIS_SERVER:-redis-server} redis-server

postgres: # make installs it with redis-server, for the tests of adapters/pgxcache
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || scripts/need.sh initdb postgresql || ls /usr/lib/postgresql/*/bin/initdb >/dev/null

spin:
	@scripts/need.sh cc gcc libc6-dev
	@scripts/need.sh spin spin

chromium: # without it the tests of the inspector's pages in a browser are skipped, but not in CI
	@command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || scripts/need.sh chromium chromium

promtool: # without it the tests of promcache's alerts are skipped, but not in CI
	@scripts/need.sh promtool prometheus

readers: # without these the tests of the readers are skipped, but not in CI
	@scripts/need.sh python3 python3
	@scripts/need.sh node nodejs
	@scripts/need.sh npm npm

ifneq ($(CI),)
test race: promtool chromium readers
endif

ci: export CI = true # a missing Redis is then a failure, never a skip
ci: FUZZTIME = 3s
ci: lint release-check api-check fuzz conformance promtool chromium test race mutations ## run everything that must pass before a merge
