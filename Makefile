# Two commands after a clone: make demo, make test. Each fetches what it needs.
GO       ?= go
BIN      := bin/holdfast
FUZZTIME ?= 40000x
# The profile of cmd/holdfast is for the binary; tests would only build everything twice.
export GOFLAGS := -buildvcs=false -pgo=off
# The newest patch of Go, which go.mod names, has fewer known faults than an older one that
# is installed; where it cannot be fetched, the installed one has to do.
TOOLCHAIN := $(shell sed -n 's/^toolchain //p' go.mod)
export GOTOOLCHAIN := $(shell GOTOOLCHAIN=$(TOOLCHAIN) $(GO) version >/dev/null 2>&1 && echo $(TOOLCHAIN) || echo local)
# Tools have a go.mod of their own: none of what they need is linked into Holdfast.
TOOL       := $(GO) tool -modfile=.ci/tools/go.mod
GOTESTSUM  := $(GO) tool -modfile=.ci/gotestsum/go.mod gotestsum --format pkgname --format-hide-empty-pkg --hide-summary=skipped

.PHONY: console-test contract all build setup kafka demo demo-test cases dashboards-test walk test test-race test-race-short bench bench-nab profile verify-test reference lint vulns sbom fuzz clean

all: build

build:
	$(GO) build -pgo=auto -o $(BIN) ./cmd/holdfast

# libchdb is the ClickHouse engine for one machine; npm brings it once, checked by its checksum.
setup: build
	@command -v npm >/dev/null || { echo "npm is missing: install it (on Debian: apt-get install npm) for libchdb"; exit 1; }
	$(BIN) setup

# Apache Kafka is for tests alone; without Java and Maven those tests skip and say so.
kafka:
	@if command -v java >/dev/null && command -v mvn >/dev/null; then deploy/kafka/start-kafka.sh --fetch-only; \
	else echo "java or mvn is missing (on Debian: apt-get install default-jre-headless maven): tests against Apache Kafka will skip"; fi

demo: setup
	$(BIN) demo

demo-test: setup
	$(BIN) demo --check

bin/schemathesis:
	@mkdir -p bin; python3 -m venv $@ && $@/bin/pip install -q schemathesis==4.32.5 || { rm -rf $@; exit 1; }

# The running API held against its OpenAPI document by schemathesis, in a venv of its own.
contract: setup bin/schemathesis
	HOLDFAST_SCHEMATHESIS=$(CURDIR)/bin/schemathesis/bin/schemathesis CI=true $(GO) test ./cmd/internal/app -run '^TestContract$$' -count=1 -v

# Small inputs that once gave a wrong value, each with a control; about two minutes.
cases: setup
	$(GO) run ./cmd/internal/cases -binary $(BIN)

# Every PromQL expression of deploy/grafana, by Prometheus' own engine; the SQL statements
# are run by make test.
dashboards-test:
	cd .ci/promql && $(GO) test -count=1 ./... # what it reads lies outside of its module

# One leaked key from its stop to the closed case, against a running instance; a minute.
walk: setup
	$(GO) run ./cmd/internal/walk -binary $(BIN)

# The console in a real browser: Debian's chromium; axe-core, which looks for what shuts
# people out, is fetched by npm once. Both are for tests alone.
AXE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/holdfast/axe-core-4.10.3.min.js
console-test:
	@test -f $(AXE) || { tmp=$$(mktemp -d) && mkdir -p $(dir $(AXE)) && cd $$tmp && npm pack axe-core@4.10.3 --silent >/dev/null && tar xzf axe-core-4.10.3.tgz package/axe.min.js && \
	  echo "880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb  package/axe.min.js" | sha256sum -c --quiet && mv package/axe.min.js $(AXE); rm -rf $$tmp; }
	@log=$$(mktemp); $(GO) test -count=1 -timeout 20m -v ./alerting/console 2>&1 | tee $$log | grep -E '^(---|===|FAIL|ok|panic|    .*_test.go)' | grep -vE '^=== ' ; \
	passed=$$(grep -cE '^ *--- PASS' $$log); failed=$$(grep -cE '^ *--- FAIL|^panic|^FAIL.*build failed' $$log); rm -f $$log; \
	echo "$$passed passed, $$failed failed"; test $$failed -eq 0

# A line for each package as it ends, then the failures and a count.
test: setup kafka
	@if $(GOTESTSUM) --version >/dev/null 2>&1; then $(GOTESTSUM) --packages ./... -- -timeout 30m; \
	else $(GO) test -timeout 30m ./...; fi

test-race: setup kafka
	$(GO) test -race -timeout 60m ./...

# What shares memory between goroutines, with fewer seeds (needs a C compiler).
test-race-short: setup
	$(GO) test -race -short -timeout 30m ./alerting/... ./cmd/internal/replay ./ingest/enrich ./ingest/gateway ./ingest/history ./ingest/importer ./ingest/intake ./ingest/lane/... ./ingest/record

# Rows, leaves and salts changed, added and taken away by SQL: each must be found and named.
verify-test: setup
	@mkdir -p bin; $(GO) test -count=1 -v -timeout 20m -run 'Tamper|TreeFromItsTopic|Erase|Expiry' ./ingest/proof > bin/verify-test.log 2>&1; code=$$?; \
	awk '/^ *--- (PASS|FAIL|SKIP)/ {n[$$2]++} /^ *--- FAIL/ {print} END {printf "%d passed, %d failed\n", n["PASS:"], n["FAIL:"]; exit n["PASS:"] == 0}' bin/verify-test.log && \
	{ test $$code -eq 0 || { tail -n 50 bin/verify-test.log; exit $$code; }; }

bench: setup kafka
	$(GO) test -run '^$$' -bench . -benchtime 1s ./schemas/... ./detectors/... ./ingest/lane/... ./ingest/kafka/
	$(GO) run -pgo=$(CURDIR)/cmd/holdfast/default.pgo ./cmd/internal/bench

# The profile by which the compiler chooses what to inline: a made-up platform, replayed.
profile: build
	$(BIN) simulate bin/profile --profile mixed --seed 1
	$(GO) test -trimpath -run '^$$' -bench '^BenchmarkReplay$$' -benchtime 60x -cpu 1 -cpuprofile $(CURDIR)/cmd/holdfast/default.pgo -o /dev/null ./cmd/internal/replay -args -events $(CURDIR)/bin/profile/events.ndjson.gz

# NAB is a folder of <category>/<series>.csv with windows.json, as the Numenta Anomaly Benchmark lays them out.
NAB      ?= ../shared/data/nab
NAB_OUT  ?= bin/nab
bench-nab: build
	@test -d $(NAB) || { echo "no series in $(NAB): give their folder, make bench-nab NAB=DIR"; exit 1; }
	@cd $(NAB) && find . -mindepth 2 -name '*.csv' | while read -r f; do \
	  mkdir -p $(abspath $(NAB_OUT))/$$(dirname $$f) && $(CURDIR)/$(BIN) series $$f --out $(abspath $(NAB_OUT))/$$f || exit 1; done
	@echo "the scores are in $(NAB_OUT); what they are worth tells: python3 ../shared/bench/score_nab.py $(NAB) $(NAB_OUT)"

# The pages under deploy/docs/reference, which a test compares with the code.
reference: setup
	$(GO) test ./cmd/internal/app -run Reference -update

# golangci-lint with the rules in .golangci.yml, gosec's among them.
lint:
	$(TOOL) golangci-lint run ./...

# Known faults in the code that is called, from the Go vulnerability database as a module:
# offline once the modules are there. A newer database: go get golang.org/x/vulndb@latest
# in .ci/tools.
vulns:
	@mkdir -p bin
	@data=$$(cd .ci/tools && $(GO) list -m -f '{{.Dir}}' golang.org/x/vulndb 2>/dev/null); \
	test -n "$$data" || data=$$(cd .ci/tools && $(GO) mod download -json golang.org/x/vulndb | sed -n 's/.*"Dir": "\(.*\)",*/\1/p'); \
	if [ "$$(cat bin/vulndb/from 2>/dev/null)" != "$$data" ]; then rm -rf bin/vulndb; \
	  $(TOOL) indexdb -vulns "$$data/data/osv" -out bin/vulndb && echo "$$data" > bin/vulndb/from; fi
	$(TOOL) govulncheck -db file://$(CURDIR)/bin/vulndb ./...

# What the binary is made of: a CycloneDX list of its modules, and the licence of each.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
sbom: build
	$(TOOL) cyclonedx-gomod bin -licenses -json -version $(VERSION) -output bin/sbom.cdx.json $(BIN)
	@cd .ci/tools && $(GO) run ./licences < $(CURDIR)/bin/sbom.cdx.json > $(CURDIR)/bin/licences.txt
	@echo "bin/sbom.cdx.json and bin/licences.txt: $$(wc -l < bin/licences.txt) modules, licences allowed"

# Runs are counted: a duration's end is at times reported as a failure (go.dev/issue/75804).
fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 200x $$pkg; \
	  done; \
	done

clean:
	rm -rf bin holdfast-data
