# make deps    install the programs that the tests use, or name them; changes nothing else
# make test    everything: both databases, the battery, the browser (runs make deps first)
# make check   formatting, vet, staticcheck, unreachable functions
# make faults  the long form of the fault oracle: kills, restarts and cuts under load, in a few minutes
# make fuzz    every fuzz target for half a minute, or FUZZTIME=10000000x
# make demo    a server, a user and a sample app to click through

# The server speaks HTTP/2 only when built with a toolchain that has the fix of 1.26.9.
export GOTOOLCHAIN ?= go1.26.11+auto
GO ?= go

# SQLite and its libc are C translated to Go, which keeps its data in mapped memory, where the race detector never looks.
# Watching them finds nothing and takes two thirds of the time of the tests.
RACE = -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false
# How the program is delivered. Looked at in the same way it is compiled once: the tests of the delivered program need it.
DELIVERED = CGO_ENABLED=0 GOFLAGS=-trimpath
# The longest package comes first, so that the others fill the second core.
PACKAGES = ./e2e ./... xenoauth/bearer/...
# make check has all of go vet, and what only debuggers read need not be linked.
QUICK = -vet=off -ldflags=-w

.PHONY: demo deps test check build docs fuzz faults faults-planted

demo:
	@echo "Compiling the server for the demo; the first time takes a minute or two."
	@$(GO) run ./cmd/xenoauth demo

deps:
	@sh tools/deps.sh

test: deps
	@echo "Running all tests: about five minutes on two cores, and a few more to compile the first time."
	@XENOAUTH_REQUIRE_ALL=1 GO="$(GO)" $(GO) -C tools run ./progress -dir .. -- $(RACE) $(QUICK) -parallel 4 -timeout 30m $(PACKAGES)

check:
	@unformatted="$$(gofmt -l $$(git ls-files '*.go'))"; if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(DELIVERED) $(GO) vet ./...
	@for module in bearer docs/examples/go tools; do $(GO) -C $$module vet ./... || exit 1; done
	$(DELIVERED) $(GO) tool -modfile=tools/go.mod staticcheck ./... xenoauth/bearer/...
	@dead="$$($(GO) tool -modfile=tools/go.mod deadcode ./cmd/xenoauth && $(GO) tool -modfile=tools/go.mod deadcode -test ./... xenoauth/bearer/...)" || exit 1; \
	if [ -n "$$dead" ]; then echo "nothing calls these functions, or only tests do:"; echo "$$dead"; exit 1; fi

build:
	$(DELIVERED) $(GO) build -ldflags='-s -w' -o xenoauth ./cmd/xenoauth

# The long form of the fault oracle; make test has the short one. FAULTS are its options, such as FAULTS='-only F7 -slack 3'.
faults: deps
	$(GO) run ./e2e/faults/run $(FAULTS)

docs:
	$(GO) test ./e2e -run TestBatteryDocument -update

# Each target that FUZZ picks, such as 'FuzzParse|FuzzParseSet', for FUZZTIME: a time, or a number of inputs such as 10000000x.
# Instrumented are the package itself and the parsers that it builds on. go test -fuzz would instrument all there is, and look
# at all those counters after each input: a third as fast.
INSTRUMENT = -d=libfuzzer
FUZZ ?= Fuzz.*
FUZZTIME ?= 30s
FUZZPARALLEL ?= 2
fuzz:
	@binary="$$(mktemp)" && cache="$$($(GO) env GOCACHE)/fuzz" && trap 'rm -f "$$binary"' EXIT && \
	targets="$$(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9]+' . | sed -E 's|^\./(.*)/[^/]*:func |\1 |' | grep -wE -- '$(FUZZ)' | sort)" && \
	echo "$$targets" | while read -r package target; do \
		echo "$$package $$target"; \
		$(GO) test -c -gcflags="xenoauth/$$package=$(INSTRUMENT)" -gcflags='net/url=$(INSTRUMENT)' -gcflags='encoding/json=$(INSTRUMENT)' \
			-o "$$binary" "xenoauth/$$package" && \
		(cd "$$package" && GOMAXPROCS=1 GOGC=800 "$$binary" -test.run '^$$' -test.fuzz "^$$target$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 100x \
			-test.parallel $(FUZZPARALLEL) -test.fuzzcachedir "$$cache/xenoauth/$$package/$$target" </dev/null) || exit 1; \
	done

# Succeeds if the tests fail, and for the reason that was planted.
faults-planted: deps
	@out="$$(XENOAUTH_REQUIRE_ALL=1 $(GO) test -tags planted -count=1 -run '^TestSQLite$$' ./e2e/faults 2>&1)" && { echo "the planted bug was not found"; exit 1; }; \
	echo "$$out" | grep -q 'violated I2' || { echo "$$out"; exit 1; }; \
	echo "the planted bug was found"
