# make demo   the SLB tutorial, for real, on this machine
# make test   everything that CI checks
# make crash  every point at which commands and daemon can be killed or find the disk full
# make zeroloss  100,000 requests through everything that may change under them
# make testssl  what testssl.sh has to say about https listeners
# make bench  what a plan, a pick, a connection, a simulated request and the import of a log cost
# make bench-sim  what a simulated connection or request costs, on one core, and in SimPy
# make bench-peers  the same work through slbctl, HAProxy and nginx, side by side
# make build  bin/slbctl

GO ?= go

# A checkout that belongs to somebody else, whom git does not trust, builds as well.
export GOFLAGS += -buildvcs=$(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)

# The race detector takes a C compiler.
RACE = $(shell command -v gcc >/dev/null && echo -race)

# Packages that ./... leaves out because of where they lie.
TESTDATA = ./testdata ./testdata/bench ./testdata/bench/simpy ./testdata/client ./testdata/wire

.PHONY: build demo test crash zeroloss testssl lint tools bench bench-sim bench-peers golden pgo

# Without C there is one static binary, as small in memory as it gets.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/slbctl ./cmd/slbctl

demo: build
	$(GO) build -o bin/client ./testdata/client
	./testdata/demo.sh bin/slbctl bin/client

# The simulator and its page have no goroutine: the race detector would find nothing there, in minutes.
test: tools lint
	$(GO) test $(RACE) -pgo off -timeout 15m $$($(GO) list ./... | grep -vxE 'slbctl/sim(/htmlreport)?')
	$(GO) test -pgo off ./sim ./sim/htmlreport
	$(GO) test -tags failpoint ./runtime/durable

# crash takes a quarter of an hour: make test goes to a spread of the same points. As root it
# has a real disk become full as well.
crash:
	$(GO) test -count 1 -pgo off -timeout 60m -v -run '$(CRASHES)' ./cmd/slbctl -long
CRASHES = ^(TestKilledCommand|TestFullDiskOfCommand|TestDisturbedDaemon|TestFullDisk|TestFullDiskUnderWay|TestTornJournal|TestTwoAtOnce|TestKilledUpgrade)$$

# zeroloss takes half a minute: make test sends some thousand requests through the same.
zeroloss:
	$(GO) test -count 1 -pgo off -timeout 10m -v -run '^TestZeroLoss$$' ./cmd/slbctl -long

# testssl has testssl.sh, if that is installed, look at https listeners, each for a minute or two.
testssl:
	$(GO) test -count 1 -timeout 20m -v -run TestTestssl ./cmd/slbctl -testssl

lint:
	@unformatted=$$(gofmt -l cmd spec planner runtime sim testdata); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./... $(TESTDATA)
	$(GO) tool staticcheck ./... $(TESTDATA)

# tools installs what the tests can make use of: a C compiler for the race detector,
# and dig, which asks the name server. Where that cannot be, they go on without.
tools:
	@missing=$$(command -v gcc >/dev/null || echo gcc libc6-dev; command -v dig >/dev/null || echo dnsutils); \
	test -z "$$missing" || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && export DEBIAN_FRONTEND=noninteractive && \
	  { apt-get install -y -q $$missing >/dev/null 2>&1 || { apt-get update -q >/dev/null && apt-get install -y -q $$missing >/dev/null; }; }; } || \
	  echo "not installed, going on without:" $$missing

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./cmd/slbctl ./spec ./planner ./planner/state ./runtime/balance ./runtime/http1 ./runtime/netloop ./runtime/proxy ./sim ./sim/trace

# As slbctl itself, the simulator is built by the profile.
SIMULATED = Run|Service|Web
bench-sim:
	$(GO) test -run '^$$' -bench '$(SIMULATED)' -cpu 1 -pgo $(CURDIR)/cmd/slbctl/default.pgo ./sim
	./testdata/bench/simpy/install.sh
	$(GO) run ./testdata/bench/simpy

# bench-peers takes a quarter of an hour; ROW=http-64,tcp-bulk selects rows, ROUNDS=n
# and DURATION=seconds set how often and how long each program is measured. It installs
# HAProxy, nginx, wrk and h2load, for which it must be root once.
bench-peers: build
	./testdata/bench/install.sh
	$(GO) run ./testdata/bench -slbctl bin/slbctl -row "$(ROW)" -rounds $(or $(ROUNDS),3) -duration $(or $(DURATION),4) $(if $(FLOOR),-floor)

# pgo renews the profile that builds of slbctl are guided by (cmd/slbctl/default.pgo), from
# the rows in which a processor's time counts and some seconds of simulations. Look at what
# bench-peers and bench-sim say before and after.
PROFILED = http-64,http-new,http-64k,tcp-64,tcp-rate,tls-64,tls-64k,tls-new,h2,everything
PROFILES = /tmp/slbctl-profiles
pgo:
	./testdata/bench/install.sh
	rm -rf $(PROFILES) && mkdir -p $(PROFILES)
	$(GO) build -trimpath -tags profile -pgo off -o $(PROFILES)/slbctl ./cmd/slbctl
	PROFILE=$(PROFILES) $(GO) run ./testdata/bench -slbctl $(PROFILES)/slbctl -row $(PROFILED) -rounds 1 -duration 5
	$(GO) test -run '^$$' -bench '$(SIMULATED)' -cpu 1 -benchtime 0.2s -pgo off -cpuprofile $(PROFILES)/sim.pprof -o $(PROFILES)/sim.test ./sim
	find $(PROFILES) -name '*.pprof' -size +1k | xargs $(GO) tool pprof -proto >cmd/slbctl/default.pgo
	rm -r $(PROFILES)

# golden rewrites what the golden files hold; look at the difference afterwards.
golden:
	$(GO) test ./spec ./planner -update
	$(GO) test ./cmd/slbctl -run TestScript -update
