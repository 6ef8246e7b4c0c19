# Each target sets up what it needs: the npm packages of the lockfile, and the Debian packages of commands that are absent.

HOST := $(patsubst aarch64,arm64,$(patsubst x86_64,x64,$(shell uname -m)))
ARCH := $(HOST)

executable := dist/kube-nwplcy$(if $(filter-out $(HOST),$(ARCH)),-$(ARCH))
modules := node_modules/.package-lock.json
# What the npm packages install, the pinned Node among them, comes first.
run := PATH="$(CURDIR)/node_modules/.bin:$$PATH"

triple.x64 := x86_64-linux-gnu
triple.arm64 := aarch64-linux-gnu
ifndef triple.$(ARCH)
$(error Cannot build for "$(ARCH)": ARCH is x64 or arm64)
endif
packing := $(triple.$(ARCH))-strip=binutils-$(subst _,-,$(triple.$(ARCH)))
running := iptables=iptables ipset=ipset conntrack=conntrack nft=nftables ip=iproute2 modprobe=kmod \
	/usr/lib/cni/bridge=containernetworking-plugins chromium=chromium tcpdump=tcpdump

.PHONY: build test test-slow demo screenshots bench check types lint formatted unused format clean

build: $(executable)

$(executable): $(modules) package.json $(shell find src scripts -type f) $(wildcard .git/logs/HEAD)
	@scripts/setup.sh $(packing)
	@$(run) node scripts/build.ts --arch $(ARCH)

test: build
	@scripts/setup.sh $(running)
# Its package would start a service; without promtool the tests of alerts and metrics say so.
	@scripts/unpack.sh prometheus || true
	@$(run) vitest run --project='!slow' --reporter=default --reporter=json --outputFile.json=.cache/tests.json

# What takes minutes: a real kubelet, and a container runtime that is built first.
test-slow: build
	@scripts/setup.sh $(running)
	@$(run) vitest run --project=slow

# KEEP=1 leaves the demo's cluster up, DOWN=1 takes it down; BACKEND=nftables shows it with that backend.
demo: build
	@scripts/setup.sh $(running)
	@$(run) node scripts/demo.ts

# Makes the pictures in docs/images anew.
screenshots: $(modules)
	@scripts/setup.sh chromium=chromium pngquant=pngquant
	@$(run) node scripts/screenshots.ts

# ONLY=add,react,path,agent,compile measures some parts, FULL=1 every size.
bench: build
	@scripts/setup.sh $(running) cc=build-essential iperf3=iperf3
	@$(run) node bench/main.ts

check: types lint formatted unused

types: $(modules)
	@$(run) tsc
	@$(run) tsc --project src/browser

lint: $(modules)
	@$(run) oxlint

formatted: $(modules)
	@$(run) oxfmt --check

unused: $(modules)
	@$(run) knip --treat-config-hints-as-errors

format: $(modules)
	@$(run) oxfmt

clean:
	rm -rf dist .cache

$(modules): package-lock.json
	@npm ci --loglevel=error
	@touch $@
