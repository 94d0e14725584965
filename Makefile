# Two commands after a clone: make demo, make test. Each fetches what it needs.
GO       ?= go
BIN      := bin/holdfast
FUZZTIME ?= 40000x
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# The profile of cmd/holdfast is for the binary; tests would only build everything twice.
export GOFLAGS := -buildvcs=false -pgo=off

.PHONY: all build setup kafka demo demo-test test test-race test-race-short bench bench-nab profile lint fuzz clean

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

test: setup kafka
	$(GO) test -timeout 30m ./...

test-race: setup kafka
	$(GO) test -race -timeout 60m ./...

# What shares memory between goroutines, with fewer seeds (needs a C compiler).
test-race-short: setup
	$(GO) test -race -short -timeout 30m ./alerting/... ./cmd/internal/replay ./ingest/enrich ./ingest/gateway ./ingest/history ./ingest/importer ./ingest/intake ./ingest/lane/... ./ingest/record

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

lint:
	$(GO) run $(LINT) run ./...

# Runs are counted: a duration's end is at times reported as a failure (go.dev/issue/75804).
fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 200x $$pkg; \
	  done; \
	done

clean:
	rm -rf bin holdfast-data
