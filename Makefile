# Needs Go and make. `make run` and `make test` are the two to know; the latter
# installs the compilers of the other languages that plugins are written in.

GO       ?= go
FUZZTIME ?= 20s
TIMEOUT  ?= 15m

# A guest is a folder whose main.go is built for wasip1 only; FOLDER becomes
# FOLDER.wasm. One with an empty main lives between calls and is built as a reactor.
GUESTS := $(patsubst %/main.go,%.wasm,$(shell grep -rlx --include=main.go '//go:build wasip1' examples testdata plugins sdk 2>/dev/null))

.PHONY: run build examples toolchains tinygo test race check fuzz soak microbench bench bench-short profile h2spec testssl slowhttptest rogues kills clean

# Starts the gateway with examples/quickstart and prints what to try.
run: build $(filter examples/quickstart/%,$(GUESTS))
	@$(GO) build -trimpath -o bin/quickstart ./examples/quickstart
	@exec bin/quickstart

# cmd/postern/default.pgo is used when it is there (go's own rule).
build:
	@mkdir -p bin
	$(GO) build -trimpath -o bin/ ./cmd/postern

# Compiles the WebAssembly guests of examples and tests.
examples: $(GUESTS)

# Go's build cache knows better than make whether a guest is up to date.
.PHONY: $(GUESTS)
$(GUESTS): %.wasm:
	@mode=exe; if grep -q '^func main() {}' $*/main.go; then mode=c-shared; fi; \
		echo "guest $@"; GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildmode=$$mode -o $@ ./$*

# Builds the ready plugins to bin/plugins, with their manifests in them.
.PHONY: plugins
plugins: build toolchains
	@mkdir -p bin/plugins
	@for manifest in examples/plugins/ready/*/manifest.json; do \
		dir=$${manifest%/*}; out=bin/plugins/$${dir##*/}.wasm; \
		source=$$(ls $$dir/plugin.* 2>/dev/null || echo $$dir); \
		sdk/build.sh $$source $$out && bin/postern plugin manifest add $$out $$manifest || exit 1; \
	done

# What tests compile plugins with; quick when all is there. Without root, tests skip
# what is missing.
toolchains:
	@sdk/toolchains.sh

# TinyGo takes two minutes to build; its tests skip without it.
tinygo:
	@GO=$(GO) sdk/toolchains.sh tinygo

test: toolchains examples
	$(GO) test -timeout $(TIMEOUT) ./... ./testdata/bench

race: toolchains examples
	$(GO) test -race -timeout 20m ./...

# What a machine can see of STYLE: format, vet, import layers, sizes, words.
check:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt -w these:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./... ./testdata/bench ./testdata/soak
	$(GO) test -run '^TestGuard' ./proxy

# Every fuzz target for FUZZTIME.
fuzz:
	@for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
			echo "== $$(dirname $$file) $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$(dirname $$file) || exit 1; \
		done; \
	done

# The hot paths, with allocations.
microbench: examples
	$(GO) test -run '^$$' -bench . -benchmem ./...

# Side by side with nginx, HAProxy and Caddy from Debian, a quarter of an hour:
# see testdata/bench/README.md. More flags: make bench BENCH='-only get1k -perf'
bench: bin/bench
	bin/bench $(BENCH)

# A quick look: nginx and postern, about a minute.
bench-short: bin/bench
	bin/bench -short $(BENCH)

# Profiles the gateway under the bench's load for the builds to come.
profile: bin/bench
	bin/bench -profile cmd/postern/default.pgo $(BENCH)

.PHONY: bin/bench
bin/bench: build examples/quickstart/guard.wasm
	$(GO) build -trimpath -o $@ ./testdata/bench

# What of h2spec's 145 cases passes; proxy/proxytest/h2spec_test.go names the rest.
h2spec: bin/h2spec
	H2SPEC=$(CURDIR)/bin/h2spec $(GO) test -count=1 -v -run '^TestH2Spec$$' ./proxy/proxytest

bin/h2spec:
	GOBIN=$(CURDIR)/bin $(GO) install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible

# What of http-cache-tests' cases the cache of RFC 9111 passes; with
# HTTP_CACHE_TEST=ID all that happens in one of them.
.PHONY: cachetests
cachetests: bin/http-cache-tests
	HTTP_CACHE_TESTS=$(CURDIR)/$</node_modules/http-cache-tests $(GO) test -count=1 -v -run '^TestCacheTests$$' ./proxy/proxytest

bin/http-cache-tests:
	@mkdir -p $@ && echo '{"private":true}' >$@/package.json
	cd $@ && npm install --no-audit --no-fund --no-package-lock http-cache-tests@0.4.5 || { cd ..; rm -rf http-cache-tests; exit 1; }

# Half an hour of faults on all sides, reloads, new binaries and restarts; a
# shorter or a raced one: make soak SOAK='-duration 3m -race -seed 42'
soak:
	$(GO) run ./testdata/soak $(SOAK)

# Ends a gateway by kill -9 while it deploys, 200 times: at its next start it serves the
# old deployment or the new one. Under a minute; the tests do it 25 times.
kills:
	POSTERN_KILLS=200 $(GO) test -count=1 -v -timeout 20m -run '^TestDeployKilled$$' ./cmd/postern

# Slow clients by slowhttptest, beside which others are served at once.
slowhttptest: build
	testdata/slow/run.sh

# What testssl finds on a listener: two minutes.
testssl: build
	testdata/testssl/run.sh

# What a plugin must not do to others, for as long as it takes: ten minutes of
# reloads, 100 a minute, after the tests with rogue guests.
rogues:
	POSTERN_RELOADS=10m $(GO) test -count=1 -timeout 20m -v -run 'Rogue|Loops|Reloads' ./plugins

clean:
	rm -rf bin build
	find examples testdata plugins sdk -name '*.wasm' -delete
