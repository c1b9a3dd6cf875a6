# make test    everything: both databases, the battery, the browser (installs or names what the machine lacks)
# make check   formatting, vet, staticcheck, generated documents
# make faults  the long form of the fault oracle: kills, restarts and cuts under load, in six minutes
# make demo    a server, a user and a sample app to click through

# The server speaks HTTP/2 only when built with a toolchain that has the fix of 1.26.9.
export GOTOOLCHAIN ?= go1.26.11+auto
GO ?= go

# SQLite and its libc are C translated to Go, which keeps its data in mapped memory, where the race detector never looks.
# Watching them finds nothing and takes two thirds of the time of the tests.
RACE = -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false

.PHONY: demo test check build need docs fuzz faults faults-planted

demo:
	$(GO) run ./cmd/xenoauth demo

test: need
	XENOAUTH_REQUIRE_ALL=1 $(GO) test $(RACE) -parallel 4 -timeout 30m ./...

check:
	@unformatted="$$(gofmt -l $$(git ls-files '*.go'))"; if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o xenoauth ./cmd/xenoauth

need:
	@sh tools/need.sh

# The long form of the fault oracle; make test has the short one. FAULTS are its options, such as FAULTS='-only F7 -slack 3'.
faults: need
	$(GO) run ./e2e/faults/run $(FAULTS)

docs:
	$(GO) test ./e2e/battery -run TestBatteryDocument -update

FUZZTIME ?= 30s
fuzz:
	@for target in $$($(GO) list ./... | while read -r p; do $(GO) test -list '^Fuzz' $$p | grep '^Fuzz' | sed "s|^|$$p |"; done | tr ' ' ','); do \
		$(GO) test $${target%,*} -run '^$$' -fuzz "^$${target#*,}$$" -fuzztime $(FUZZTIME) || exit 1; \
	done

# Succeeds if the tests fail, and for the reason that was planted.
faults-planted: need
	@out="$$(XENOAUTH_REQUIRE_ALL=1 $(GO) test -tags planted -count=1 -run '^TestSQLite$$' ./e2e/faults 2>&1)" && { echo "nobody found the planted bug"; exit 1; }; \
	echo "$$out" | grep -q 'broke I2' || { echo "$$out"; exit 1; }; \
	echo "the planted bug was found"
