# SPDX-License-Identifier: BSD-2-Clause
# What people type. The build itself is meson's; this only calls it, and sets up what is missing.
#
#   make            build ./build/cmd/vdax
#   make demo       the main job on real input, explained, in two minutes
#   make check      all tests; the first time it fetches QEMU and kernels
#   make check-unit the inner loop, under 20 seconds
#   make check-long the large counts; can be stopped and started again
#   make check-kasan  vpmem.ko in a kernel that is made for finding faults, and built here first
#   make fuzz       all libFuzzer targets, FUZZ_SECONDS (600) each
#   make bench      figures for docs/performance.md
#   make install    to PREFIX (/usr/local), under DESTDIR
#   make kmod       vpmem.ko for the lab's kernels, in build/kmod; kmod/Makefile is for others

PREFIX ?= /usr/local
BUILD = build

all: $(BUILD)/build.ninja
	@ninja --quiet -C $(BUILD)

$(BUILD)/build.ninja:
	@lab/host-packages build
	@meson setup $(BUILD) --prefix=$(PREFIX) >/dev/null || { cat $(BUILD)/meson-logs/meson-log.txt; exit 1; }

setup:
	@lab/host-packages build lab
	@lab/fetch

demo: all setup
	@VDAX_BUILD=$(BUILD) demo/run

check: setup
	@lab/host-packages check
	@tests/run check

check-unit:
	@lab/host-packages build
	@tests/run unit

check-long: setup
	@lab/host-packages check
	@tests/run long

# Modules are built with what is installed here, as this kernel is.
check-kasan: setup
	@lab/host-packages kasan
	@lab/kasan
	@tests/run kasan

kmod: setup
	@lab/kmod kmod $(BUILD)/kmod/kmod

FUZZ_SECONDS ?= 600

fuzz:
	@lab/host-packages build check
	@VDAX_FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run fuzz

bench: all setup
	@bench/run

install: all
	meson install -C $(BUILD) --no-rebuild

format:
	clang-format -i $$(git ls-files '*.[ch]')

clean:
	rm -rf $(BUILD) $(BUILD)-*

.PHONY: all setup demo check check-unit check-long check-kasan fuzz bench install kmod format clean
