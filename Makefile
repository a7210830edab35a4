# Needs Go, make and git; `make test` also finds, installs or starts the database servers that it wants.

# Modules of their own: examples with somebody else's router, the comparisons in bench, the test of the OpenAPI document.
# Their tests run each time: what they look at lies outside of them, where Go's cache of test results does not look.
nested := $(patsubst %/go.mod,%,$(filter-out tools/%,$(wildcard */go.mod */*/go.mod)))
modules := . $(nested)

# The race detector needs a C compiler; where CI is set, its absence is a failure.
# It looks past what is C made Go, SQLite's own code: there is no Go in it to be racing, and most of the time would go
# there. The driver around it is looked at as everything else is, but for each pointer of C's that it makes Go's
# (checkptr). Nor does it wait a second for late races before each program ends: no test leaves a goroutine behind.
race := $(if $(CI)$(filter 1,$(shell go env CGO_ENABLED)),-race -gcflags=modernc.org/...=-d=checkptr=0 \
  $(foreach c,sqlite/lib libc memory,-gcflags=modernc.org/$(c)=-race=false))
export GORACE ?= atexit_sleep_ms=0

golangci-lint = go tool -modfile=$(CURDIR)/tools/go.mod golangci-lint

.PHONY: help test test-short test-modules test-main test-nested test-faults soak lint figures vuln mutants bench bench-packages run tidy check-tidy check

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

test: bin/withservers ## all tests, with the race detector, on SQLite, Postgres and MariaDB
	@bin/withservers $(MAKE) --no-print-directory test-modules

test-short: ## the quick tests, on SQLite alone
	go test -short ./...

test-modules:
	@$(if $(race),,echo "WITHOUT THE RACE DETECTOR: there is no C compiler")
	@$(MAKE) --no-print-directory --keep-going -j 2 test-main test-nested

# What takes longest begins first, and one package more than there are processors at a time: tests also wait. What go vet
# says is for make lint.
test-main:
	go test -vet=off -p $$(($$(getconf _NPROCESSORS_ONLN) + 1)) $(race) ./internal/faulttest ./store/mysql ./store/postgres ./internal/fleettest ./...

test-nested:
	@set -e; for dir in $(nested); do echo "go -C $$dir test -count=1 $(race) ./..."; go -C $$dir test -vet=off -count=1 $(race) ./...; done

lint: ## go vet, golangci-lint and gofmt
	@set -e; for dir in $(modules) tools; do echo "go -C $$dir vet ./..."; go -C $$dir vet ./...; done
	@set -e; for dir in $(modules) tools; do echo "golangci-lint run ($$dir)"; (cd $$dir && $(golangci-lint) run --allow-parallel-runners ./...); done
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }

vuln: ## govulncheck; says so where its database cannot be reached
	@set -e; for dir in $(modules); do echo "govulncheck ($$dir)"; go -C tools run ./vuln -C ../$$dir ./...; done

figures: ## how tidy the house is: sizes, comments, examples, links
	@go -C tools run ./figures ..

test-faults: bin/withservers ## crashes, outages, histories; all of it with APIKEYS_TEST_FULL=1
	@bin/withservers go test $(race) -count=1 -v -timeout 3h ./internal/faulttest

soak: bin/withservers ## mixed traffic on each database, for=10m each: memory, goroutines and connections stay flat
	@bin/withservers go test -count=1 -v -timeout 3h -run TestSoak ./internal/faulttest -soak $(or $(for),10m)

mutants: ## plant bugs and see the tests catch them
	go run ./internal/mutants

bench: ## what is promised of speed, beside its floor, as a table; run="cached" for a part
	go -C bench run . $(if $(run),-run '$(run)')

bench-packages: ## the benchmarks of the packages
	go test -run='^$$' -bench=. ./...

run: ## the whole life of keys, on SQLite in memory
	go run ./examples/quickstart

tidy: ## go mod tidy, in every module
	@set -e; for dir in $(modules) tools; do echo "go -C $$dir mod tidy"; go -C $$dir mod tidy; done

check-tidy:
	@set -e; for dir in $(modules) tools; do echo "go -C $$dir mod verify"; go -C $$dir mod verify; \
	  echo "go -C $$dir mod tidy -diff"; go -C $$dir mod tidy -diff; done

check: ## all that CI does, on a clean checkout of what is committed
	.ci/run

.PHONY: bin/withservers
bin/withservers:
	@go build -buildvcs=false -o $@ ./internal/testdb/withservers
