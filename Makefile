# make demo   the SLB tutorial, for real, on this machine
# make test   everything that CI checks
# make bench  what a plan, a pick, a connection and a simulated request cost
# make build  bin/slbctl

GO ?= go

.PHONY: build demo test lint tools bench golden

build:
	$(GO) build -trimpath -o bin/slbctl ./cmd/slbctl

demo: build
	$(GO) build -o bin/client ./testdata/client
	./testdata/demo.sh bin/slbctl bin/client

test: tools lint
	$(GO) test -race -timeout 8m ./...
	$(GO) test -tags failpoint ./runtime/durable

lint:
	@unformatted=$$(gofmt -l cmd spec planner runtime sim testdata); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./... ./testdata ./testdata/client
	$(GO) tool staticcheck ./... ./testdata ./testdata/client

# dig asks the name server in a test. It is Debian's; where it cannot be installed,
# that test says so and is skipped.
tools:
	@command -v dig >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get install -y -q dnsutils >/dev/null 2>&1 || { apt-get update -q >/dev/null && apt-get install -y -q dnsutils >/dev/null; }; }; } || \
	  echo "dig is not here (package dnsutils): going on without it"

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./spec ./planner ./planner/state ./runtime/balance ./runtime/netloop ./runtime/proxy ./sim

# golden rewrites what the golden files hold; look at the difference afterwards.
golden:
	$(GO) test ./spec ./planner ./sim -update
	$(GO) test ./cmd/slbctl -run TestScript -update
