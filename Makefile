# SPDX-License-Identifier: GPL-2.0-only
#
# make              builds build/whyscale; needs no root
# sudo make run     scripts/setup, build, build/whyscale run
# sudo make test    scripts/setup, build, every test (tests/run)
# make tests        only builds the tests: build/tests/*
# make test-kernels  the program and all its tests under other kernels, in virtual machines: takes long; a part is in make test
# make hard         load and faults in their long form (tests/hard): about ten minutes; HARD_KILLS=50 and the like: numbers
# make STATIC=1      builds also build/whyscale-static, which needs nothing but the C library and util-linux's libsmartcols
# make fuzz         an hour of made-up input for what reads traces, stacks, symbols and options: tests/fuzz/run, which can do less
# make check        style and include arrows;  make tidy: clang-tidy
# make install      PREFIX=/usr/local DESTDIR=
#
# V=1 shows the commands. SAN=address,undefined builds with sanitizers, in build/san. ARCH=arm64 is the machine that the
# BPF programs are for, by default this one. A .c file below userspace/, probes/, bpf/ or tests/ is found, not listed.

CC := gcc
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
ARCH ?= $(subst aarch64,arm64,$(subst x86_64,x86,$(shell uname -m)))
PREFIX ?= /usr/local
KERNELS ?= 6.1 6.12 newest 6.1-rt 6.1-lockdown 6.12-crowd 5.10 6.1-arm64 6.12-arm64 newest-arm64
KERNEL_TESTS ?= clock hotplug ledger pmu loads lacking test_counter test_futex test_findings test_maps test_sample truth report
B := build$(if $(SYSROOT),/$(ARCH))$(if $(SAN),/san)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@)

PACKAGES := libbpf libelf libdw liblzma libzstd jansson smartcols libperf libxxhash zlib
CFLAGS ?= -O2 -g
# What is found ends the program. Instrumented, gcc sees pointers that may be NULL where they cannot.
SANITIZE = -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -Wno-format-truncation -Wno-format-overflow
OURS := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -D_GNU_SOURCE -pthread \
	-iquote userspace -iquote . -iquote $(B)/gen $(if $(SAN),$(SANITIZE)) \
	$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -liberty -lpthread -lm -lrt
# Debian has no static libsmartcols; a static libc could neither look up users nor load libdebuginfod.
STATIC_LIBS = -static-libgcc -Wl,-Bstatic $(shell pkg-config --static --libs $(filter-out smartcols,$(PACKAGES))) -liberty \
	-Wl,-Bdynamic -lsmartcols -lpthread -lm -lrt
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -D__TARGET_ARCH_$(ARCH) -iquote . \
	-idirafter $(SYSROOT)/usr/include/$(shell $(CC) -print-multiarch)

MAIN := userspace/cli/main.c
SRCS := $(sort $(shell find userspace -name '*.c') $(wildcard probes/*.c))
UNIT := $(wildcard tests/unit/test_*.c tests/bpf/test_*.c)
HELP := $(filter-out $(UNIT),$(wildcard tests/unit/*.c tests/bpf/*.c))
PROGS := $(wildcard tests/e2e/progs/*.c)
OBJS := $(patsubst %.c,$(B)/obj/%.o,$(SRCS) $(UNIT) $(HELP))
SKELS := $(patsubst bpf/%.bpf.c,$(B)/gen/%.skel.h,$(wildcard bpf/*.bpf.c))
TESTS := $(addprefix $(B)/tests/,$(notdir $(UNIT:.c=)) $(patsubst tests/e2e/%.c,%,$(PROGS)))
LIB := $(B)/libwhyscale.a
# What a guest of the other architecture needs in the short form of tests/kernels; all of it: tests.
CROSS = scripts/cross arm64 $(if $(V),,-s)
GUEST_TESTS = build/arm64/tests/test_counter $(PROGS:tests/e2e/progs/%.c=build/arm64/tests/progs/%)
# Under sudo the build is still made as the owner of the tree, so that a plain `make` works afterwards.
OWNER := $(shell stat -c %U .)
AS_OWNER = $(if $(filter 0,$(shell id -u)),$(if $(filter-out root UNKNOWN,$(OWNER)),runuser -u $(OWNER) --))

.PHONY: all run test test-kernels hard fuzz tests unit install clean check tidy
.DELETE_ON_ERROR:
.SECONDARY:
all: $(LIB) $(if $(wildcard $(MAIN)),$(B)/whyscale $(if $(STATIC),$(B)/whyscale-static))
tests: all $(B)/whyscale-static $(TESTS)
unit: $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))

ifneq ($(filter-out run test clean check,$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell pkg-config --exists $(PACKAGES) && echo found),found)
$(error a library is missing; run: sudo scripts/setup)
endif
endif

run:
	$(Q)scripts/setup
	$(Q)$(AS_OWNER) $(MAKE) --no-print-directory $(if $(V),,-s) all
	$(Q)$(B)/whyscale run

test:
	$(Q)scripts/setup --tests
	$(Q)$(AS_OWNER) $(MAKE) --no-print-directory $(if $(V),,-s) tests
	$(Q)$(if $(SAN),,$(AS_OWNER) tests/fuzz/run --build)
	$(Q)$(AS_OWNER) $(CROSS) all $(GUEST_TESTS) || [ $$? -eq 77 ]
	$(Q)BUILD=$(B) tests/run

test-kernels: tests
	+$(Q)$(CROSS) tests
	$(Q)BUILD=$(B) KERNELS="$(KERNELS)" KERNEL_TESTS="$(KERNEL_TESTS)" tests/kernels/kernels.sh

fuzz:
	$(Q)tests/fuzz/run

hard: tests
	$(Q)HARD=long LIMIT=900 BUILD=$(B) tests/run load faults

install: all
	install -D -m 755 $(B)/whyscale $(DESTDIR)$(PREFIX)/bin/whyscale

clean:
	rm -rf build

check:
	$(Q)scripts/check-style
	$(Q)scripts/check-includes

tidy: $(SKELS)
	$(Q)clang-tidy --quiet $(SRCS) -- $(filter-out -Werror,$(OURS)) $(LIBPERF_INTERNAL)

# BPF: object, then skeleton, before the files that include it. The debug information goes, the BTF stays.
$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(B)/flags
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(B)/gen/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst .,_,$*)_bpf > $@

$(filter $(B)/obj/probes/% $(B)/obj/userspace/record/% $(B)/obj/tests/bpf/%,$(OBJS)): | $(SKELS)
# The Python programs, and the flame graph's scripts, are embedded by .incbin, which -MMD does not see.
$(filter $(B)/obj/userspace/strategy/%,$(OBJS)): $(wildcard userspace/strategy/py/*.py)
$(filter $(B)/obj/userspace/report/flame_svg.o,$(OBJS)): $(wildcard userspace/report/flame/*)
# libperf's <internal/...> headers stand on the kernel's own <linux/list.h> and the like.
LIBPERF_INTERNAL := $(shell pkg-config --variable=internal_cflags libperf 2>/dev/null)
$(filter $(B)/obj/probes/%,$(OBJS)): OURS += $(LIBPERF_INTERNAL)

$(OBJS): $(B)/obj/%.o: %.c $(B)/flags
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(OURS) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(patsubst %.c,$(B)/obj/%.o,$(filter-out $(MAIN),$(SRCS))) $(B)/sources
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(B)/whyscale: $(B)/obj/$(MAIN:.c=.o) $(LIB)
	$(call say,LINK)
	$(Q)$(CC) $(OURS) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

$(B)/whyscale-static: $(B)/obj/$(MAIN:.c=.o) $(LIB)
	$(call say,LINK)
	$(Q)$(CC) $(OURS) $(CFLAGS) $(LDFLAGS) $^ $(STATIC_LIBS) -o $@

define test_program
$(B)/tests/$(basename $(notdir $(1))): $(1:%.c=$(B)/obj/%.o) $(patsubst %.c,$(B)/obj/%.o,$(filter $(dir $(1))%,$(HELP))) $(LIB)
	$$(call say,LINK)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(OURS) $$(CFLAGS) $$(LDFLAGS) $$^ -lcmocka $$(LIBS) -o $$@
endef
$(foreach t,$(UNIT),$(eval $(call test_program,$(t))))

$(PROGS:tests/e2e/progs/%.c=$(B)/tests/progs/%): $(B)/tests/progs/%: tests/e2e/progs/%.c $(wildcard tests/e2e/progs/*.h) $(B)/flags
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -O2 -g -Wall -Werror -D_GNU_SOURCE -pthread $< -o $@

# Rewritten only when their content changes: other flags rebuild everything, a removed file leaves the archive.
stamp = $(shell mkdir -p $(B); echo '$(2)' | cmp -s - $(1) || echo '$(2)' > $(1))
ifneq ($(filter-out run test clean check,$(or $(MAKECMDGOALS),all)),)
$(call stamp,$(B)/flags,$(CC) $(OURS) $(CFLAGS) $(CPPFLAGS) $(BPF_CFLAGS))
$(call stamp,$(B)/sources,$(SRCS))
endif
$(B)/flags $(B)/sources: ;

-include $(OBJS:.o=.d) $(SKELS:$(B)/gen/%.skel.h=$(B)/bpf/%.bpf.d)
