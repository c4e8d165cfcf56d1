# bioxen: how it is built, tested and installed.       make | demo | check | check-guest | asan | lint | fuzz | bench | install
#
# Everything is found by wildcard; to add a file is to write it:
#   src/<folder>/x.c, sandbox/x.c     goes into that folder's archive; main.c is the program's own
#   lua/x.lua                         is embedded into the VM (build/gen/lua_embed.h)
#   tests/unit/test_x.c               one cmocka program, linked with every archive; TEST_LDFLAGS_test_x adds to its link line
#   tests/sandbox/test_x.c            the same
#   tests/{e2e,sandbox,...}/test_x.py pytest; $BIOXEN_BUILD tells them where the programs are (build/test: with the native probe)
#   tests/lua/x_test.lua              run by lua5.4
#   src/daemon/schema_table.c        keys of topology files: `make schema` writes what follows from them
#   tests/fuzz/fuzz_x.c               one libFuzzer program; tests/fuzz/seeds.c writes what it starts from
# Includes: "common/x.h", "client/bioxen.h" and so on from src/, "sandbox/x.h" from here, "filters.h", "lua_embed.h", "syscall_names.h" from build/gen.
# A private build directory beside somebody else's: make B=/tmp/mine

B       ?= build
GEN     ?= $(B)/gen
PREFIX  ?= /usr/local
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
PYTHON  ?= /usr/bin/python3
JOBS    ?= $(shell nproc)
FUZZ_SECONDS ?= 20
SANITIZE ?=
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SECONDARY:

# One short line for each command; `make VERBOSE=1` shows them whole.
say = $(if $(VERBOSE),,@printf '  %-6s %s\n' $(1) $@;)

# ---- flags --------------------------------------------------------------------------------------------------------
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wno-format-nonliteral -Wvla -Wconversion -Wno-sign-conversion
LUA_CFLAGS := $(shell pkg-config --cflags lua5.4 2>/dev/null)
LUA_LIBS   := $(or $(shell pkg-config --libs lua5.4 2>/dev/null),-llua5.4)
# src/vm/collect.c stands in the place of two of Lua's functions, which takes the static library.
LUA_LINK   := -Wl,--wrap=luaC_fullgc,--wrap=lua_getallocf -Wl,-Bstatic $(LUA_LIBS)
CPPFLAGS += -D_GNU_SOURCE -I. -Isrc -I$(GEN) $(LUA_CFLAGS) -isystem /usr/include/libnl3
C11     := -std=gnu11 $(WARN) $(WERROR)
CF      := $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
HARDEN  := -O2 -g -fPIE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection $(CF) \
           -fno-strict-aliasing -fvisibility=hidden -ffunction-sections -fdata-sections
LINK    := -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--as-needed
STATIC  := -static-pie

# The VM's own flags: a sanitizer's run-time library cannot live behind the VM's syscall filter, so there
# undefined behaviour traps instead. Its sources run under ASan in the unit tests.
VM_CFLAGS := $(C11) $(HARDEN)
CFLAGS    := $(C11) $(HARDEN)
LDFLAGS   := $(LINK) $(STATIC)
ifeq ($(SANITIZE),asan)
SAN       := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS    := $(C11) -O1 -g $(SAN) -fPIE
LDFLAGS   := -pie $(SAN)
VM_CFLAGS += -fsanitize=undefined -fsanitize-undefined-trap-on-error
ASAN_OPTIONS_OBJ := $(B)/obj/tests/asan_options.o
else ifeq ($(SANITIZE),fuzz)
SAN       := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS    := $(C11) -O1 -g $(SAN) -fsanitize=fuzzer-no-link
LDFLAGS   := $(SAN) -fsanitize=fuzzer
endif

# ---- the C library -------------------------------------------------------------------------------------------------
# The three programs around the VM are linked with musl where it is installed (docs/decisions/0016): they start faster.
# `make LIBC=glibc` does without. The VM, the tests and what carries a sanitizer always have glibc.
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
MUSL      := $(MULTIARCH:-gnu=-musl)
LIBC      ?= $(if $(and $(MUSL),$(wildcard /usr/lib/$(MUSL)/rcrt1.o)),musl,glibc)
ifneq ($(SANITIZE),)
override LIBC := glibc
endif

# ---- what is in each program: the security argument (scripts/check-layers looks at the result) ----------------------
PROGRAMS  := bioxen bioxend bioxen-jailer bioxen-vm
LIBRARIES := libbioxen.so libbioxen.so.1 libbioxen.a
MODULES   := common daemon jailer vm client cli
objects    = $(patsubst %.c,$(1)/%.o,$(filter-out %/main.c sandbox/gen_filters.c,$(wildcard $(2)/*.c)))
main       = $(patsubst %.c,$(1)/%.o,$(wildcard src/$(2)/main.c))
O         := $(B)/obj
V         := $(B)/obj-vm
P         := $(B)/obj-probe
L         := $(B)/lib
S         := $(B)/obj-pic
ifeq ($(LIBC),musl)
H         := $(B)/obj-musl
A         := $(B)/lib-musl
# musl's headers, the compiler's own, and of all others those that are named here: the kernel's and the libraries'.
MUSL_INCLUDE := $(GEN)/musl-include
MUSL_CFLAGS  := -nostdinc -isystem /usr/include/$(MUSL) -isystem $(shell $(CC) -print-file-name=include) \
                -isystem $(MUSL_INCLUDE) -include src/libc/fortify.h -Wno-sign-compare # in its own CMSG_NXTHDR
musl_file     = /usr/lib/$(MUSL)/$(1)
gcc_file      = $(shell $(CC) -print-file-name=$(1))
LINK_BEGIN   := -nostdlib -Wl,--wrap=strerror $(call musl_file,rcrt1.o) $(call musl_file,crti.o) $(call gcc_file,crtbeginS.o)
LINK_END     := -Wl,--start-group $(call musl_file,libc.a) $(call gcc_file,libgcc.a) $(call gcc_file,libgcc_eh.a) \
                -Wl,--end-group $(call gcc_file,crtendS.o) $(call musl_file,crtn.o)
MUSL_OBJ     := $H/src/libc/musl.o
else
H         := $O
A         := $L
endif

BIOXEN_LINK  := $(call main,$H,cli) $(MUSL_OBJ) $A/cli.a $A/libbioxen.a
BIOXEN_LIBS  := -ljansson -lmsgpackc
BIOXEND_LINK := $(call main,$H,daemon) $(MUSL_OBJ) $A/daemon.a $A/common.a $A/lock.a
BIOXEND_LIBS := -lyaml -lmsgpackc -lcap
JAILER_LINK  := $(call main,$H,jailer) $(MUSL_OBJ) $A/jailer.a $A/libsandbox.a $A/common.a
JAILER_LIBS  := -lnl-3 -lcap
VM_LINK      := $(call main,$V,vm) $(call objects,$V,src/vm) $L/vm-common.a $L/vm-lock.a $L/luasocket.a
PROBE_LINK   := $(call main,$P,vm) $(call objects,$P,src/vm) $(call objects,$P,tests/probe) $L/vm-common.a $L/vm-lock.a $L/luasocket.a
VM_LIBS      := -llua5.4-mime $(LUA_LINK) -lmsgpackc -lm
VM_LDFLAGS   := $(LINK) $(STATIC)

.PHONY: all programs libraries python help
all: programs libraries python
programs: $(addprefix $(B)/,$(PROGRAMS))

$(B)/bioxen: $(BIOXEN_LINK)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $(LINK_BEGIN) $(filter %.o %.a,$^) $(BIOXEN_LIBS) $(LINK_END)
$(B)/bioxend: $(BIOXEND_LINK) $(ASAN_OPTIONS_OBJ)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $(LINK_BEGIN) $(filter %.o %.a,$^) $(BIOXEND_LIBS) $(LINK_END)
$(B)/bioxen-jailer: $(JAILER_LINK) $(ASAN_OPTIONS_OBJ)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $(LINK_BEGIN) $(filter %.o %.a,$^) $(JAILER_LIBS) $(LINK_END)
# Another C library than that of the last build: link again.
$(addprefix $(B)/,bioxen bioxend bioxen-jailer): $(B)/libc.$(LIBC)
$(B)/libc.$(LIBC):
	@mkdir -p $(B) && rm -f $(B)/libc.* && touch $@
$(B)/bioxen-vm: $(VM_LINK)
	$(call say,LINK)$(CC) $(VM_LDFLAGS) -o $@ $^ $(VM_LIBS)

# The same programs with a native probe in the VM, for the tests that try to break out.
TEST_PROGRAMS := $(addprefix $(B)/test/,$(PROGRAMS))
$(B)/test/bioxen-vm: $(PROBE_LINK)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(VM_LDFLAGS) -o $@ $^ $(VM_LIBS)
$(filter-out %/bioxen-vm,$(TEST_PROGRAMS)): $(B)/test/%: $(B)/%
	@mkdir -p $(@D)
	$(call say,COPY)cp -f $< $@

# For the tests of the C library: linked as the programs around the VM are.
$(B)/test/libc-probe: $H/tests/libc/probe.o $(MUSL_OBJ) $A/lock.a $(B)/libc.$(LIBC)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $(LINK_BEGIN) $(filter %.o %.a,$^) $(LINK_END)

# ---- libbioxen, for programs of others: msgpack-c is in it, and nothing but bioxen_* shows ---------------------------
# Never with a sanitizer: it is loaded by programs that have none. The unit tests have its sources with one.
LIB_OBJECTS := $(call objects,$S,src/client) $(call objects,$S,src/common)
MSGPACK_LIB := -l:libmsgpackc.a
libraries: $(LIBRARIES:%=$(B)/%)
$(B)/libbioxen.so.1: $(LIB_OBJECTS) src/client/bioxen.map
	$(call say,LINK)gcc -shared $(LINK) -Wl,-soname,$(@F) -Wl,--version-script=src/client/bioxen.map -o $@ $(LIB_OBJECTS) \
	    $(MSGPACK_LIB) -pthread
$(B)/libbioxen.so: $(B)/libbioxen.so.1
	$(call say,LINK)ln -sf $(<F) $@
$(B)/libbioxen.a: $(LIB_OBJECTS)
	$(call say,AR)gcc -nostdlib -r -o $S/libbioxen.o $(LIB_OBJECTS) $(MSGPACK_LIB)
	@objcopy --wildcard --keep-global-symbol='bioxen_*' $S/libbioxen.o && rm -f $@ && ar qcsD $@ $S/libbioxen.o

# The examples of the documentation, against either.
EXAMPLES := $(patsubst docs/examples/%.c,$(B)/examples/%,$(wildcard docs/examples/*.c))
EXAMPLE_CFLAGS := -std=c11 -Wall -Wextra -Werror -Isrc/client
$(EXAMPLES): $(B)/examples/%: docs/examples/%.c src/client/bioxen.h $(B)/libbioxen.so
	@mkdir -p $(@D)
	$(call say,CC)gcc $(EXAMPLE_CFLAGS) -o $@ $< -L$(B) -lbioxen -Wl,-rpath,'$$ORIGIN/..'
$(EXAMPLES:%=%-static): $(B)/examples/%-static: docs/examples/%.c src/client/bioxen.h $(B)/libbioxen.a
	@mkdir -p $(@D)
	$(call say,CC)gcc $(EXAMPLE_CFLAGS) -o $@ $< $(B)/libbioxen.a -pthread

# ---- archives: a program takes from them only what it uses ------------------------------------------------------
ARCHIVES := $(MODULES:%=$L/%.a) $L/libsandbox.a $L/luasocket.a
$L/libsandbox.a: $(call objects,$O,sandbox)
$L/lock.a:       $(patsubst %.c,$O/%.o,$(wildcard sandbox/lock.c sandbox/drop.c))
$L/vm-lock.a:    $(patsubst %.c,$V/%.o,$(wildcard sandbox/lock.c))
$L/vm-common.a:  $(call objects,$V,src/common)
$L/libbioxen.a:  $(call objects,$O,src/client) $(call objects,$O,src/common)
$(foreach m,$(MODULES),$(eval $L/$m.a: $(call objects,$O,src/$m)))
ifeq ($(LIBC),musl)
$A/libsandbox.a: $(call objects,$H,sandbox)
$A/lock.a:       $(patsubst %.c,$H/%.o,$(wildcard sandbox/lock.c sandbox/drop.c))
$A/libbioxen.a:  $(call objects,$H,src/client) $(call objects,$H,src/common)
$(foreach m,$(MODULES),$(eval $A/$m.a: $(call objects,$H,src/$m)))
endif
$L/luasocket.a: src/vm/luasocket.syms
	@mkdir -p $(@D)
	$(call say,MAKE)objcopy --redefine-syms=$< $(shell $(CC) -print-file-name=liblua5.4-socket.a) $@
$(B)/lib%.a:
	@mkdir -p $(@D) && rm -f $@
	$(call say,AR)ar qcsD $@ $(filter %.o,$^)

# ---- objects ------------------------------------------------------------------------------------------------
GENERATED := $(GEN)/syscall_names.h $(if $(wildcard sandbox/profiles.def),$(GEN)/filters.h) $(GEN)/lua_embed.h
DEPEND     = -MMD -MP -MF $(@:.o=.d)
$O/%.o: %.c Makefile | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) $(DEPEND) -c -o $@ $<
$V/%.o: %.c Makefile | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(VM_CFLAGS) $(DEPEND) -c -o $@ $<
$P/%.o: %.c Makefile | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) -DBX_TEST_PROBE $(VM_CFLAGS) $(DEPEND) -c -o $@ $<
$S/%.o: %.c Makefile | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC)gcc $(CPPFLAGS) $(PIC_CFLAGS) $(C11) $(filter-out -fPIE,$(HARDEN)) -fPIC -pthread $(DEPEND) -c -o $@ $<
ifeq ($(LIBC),musl)
$H/%.o: %.c Makefile src/libc/fortify.h | $(GENERATED) $(MUSL_INCLUDE)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) $(MUSL_CFLAGS) $(DEPEND) -c -o $@ $<
$(MUSL_INCLUDE): Makefile
	@rm -rf $@ $@.tmp && mkdir -p $@.tmp/sys
	@ln -sfn -t $@.tmp /usr/include/linux /usr/include/asm-generic /usr/include/$(MULTIARCH)/asm /usr/include/msgpack \
	    /usr/include/msgpack.h /usr/include/yaml.h /usr/include/jansson.h /usr/include/jansson_config.h \
	    /usr/include/uthash.h /usr/include/utlist.h
	@ln -sf -t $@.tmp/sys /usr/include/sys/capability.h
	@mv $@.tmp $@
endif
# The probe does on purpose what the sanitizer would stop: it must die by the kernel.
$P/tests/probe/%.o: VM_CFLAGS += -fno-sanitize=undefined
-include $(shell find $(B)/obj $(B)/obj-vm $(B)/obj-probe $(B)/obj-musl $(B)/obj-pic -name '*.d' 2>/dev/null)

# libseccomp is used here and nowhere else: the programs carry the finished filters.
$(GEN)/gen_filters: sandbox/gen_filters.c $(wildcard sandbox/*.h sandbox/*.def) Makefile
	@mkdir -p $(@D)
	$(call say,CC)gcc $(CPPFLAGS) $(C11) -O1 -o $@ $< -lseccomp
$(GEN)/filters.h: $(GEN)/gen_filters sandbox/profiles.def
	$(call say,MAKE)$(GEN)/gen_filters > $@.tmp && mv $@.tmp $@
$(GEN)/syscall_names.h: scripts/gen-syscalls
	@mkdir -p $(@D)
	$(call say,MAKE)scripts/gen-syscalls gcc > $@.tmp && mv $@.tmp $@
# LuaSocket is Debian's: its Lua files are embedded with ours, and its library gets from us what luasocket.syms names.
LUASOCKET_LUA := /usr/share/lua/5.4
LUASOCKET     := socket ltn12 mime socket.url socket.headers socket.http socket.tp socket.smtp socket.ftp
luasocket_file = $(LUASOCKET_LUA)/$(subst .,/,$(1)).lua
$(GEN)/lua_embed.h: scripts/embed $(wildcard lua/*.lua lua/*/*.lua) $(foreach m,$(LUASOCKET),$(call luasocket_file,$m))
	@mkdir -p $(@D)
	$(call say,MAKE)scripts/embed lua $(foreach m,$(LUASOCKET),$m=$(call luasocket_file,$m)) > $@.tmp && mv $@.tmp $@

# ---- the Python package -----------------------------------------------------------------------------------------------
# One extension for every Python from 3.9 on, with libbioxen inside; made where it is imported from. It runs in Python's
# process, so it has Python's C library and never a sanitizer.
PY_INCLUDE := $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)
PY_CFLAGS := -isystem $(PY_INCLUDE)
PY_OBJECTS := $(patsubst %.c,$S/%.o,$(wildcard python/src/*.c)) $(LIB_OBJECTS)
PY_CORE   := python/pylua_bioxen_vm/_core.abi3.so
ifneq ($(wildcard $(PY_INCLUDE)/Python.h),)
python: $(PY_CORE)
else
python:
	@echo '  the Python package is left out: there is no Python.h (Debian: python3-dev)'
endif
$(PY_CORE): $(PY_OBJECTS) python/src/exports.map
	$(call say,LINK)gcc -shared $(filter-out $(SAN),$(LINK)) -Wl,--version-script=python/src/exports.map -o $@ $(filter %.o,$^) $(PY_LIBS)
PY_LIBS   := -Wl,-Bstatic -lmsgpackc -Wl,-Bdynamic
$S/python/%.o: PIC_CFLAGS = $(PY_CFLAGS)

# ---- tests ------------------------------------------------------------------------------------------------
UNIT_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c tests/sandbox/test_*.c tests/client/test_*.c))
ALL_ARCHIVES = -Wl,--start-group $(ARCHIVES) -Wl,--end-group
ALL_LIBS   := -lnl-3 -lcap -lyaml -ljansson -lmsgpackc -Wl,-Bstatic -llua5.4-mime $(LUA_LINK) -Wl,-Bdynamic -lm
TEST_LINK  := $(if $(SAN),$(SAN),-fPIE) -pie
$(B)/tests/%: $O/tests/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(TEST_LINK) $(TEST_LDFLAGS_$(@F)) -o $@ $< $(ALL_ARCHIVES) -lcmocka $(ALL_LIBS)

.PHONY: tests check check-guest asan lint fuzz bench demo setup
setup:
	@scripts/setup
tests: programs python $(B)/schema $(TEST_PROGRAMS) $(B)/test/libc-probe $(UNIT_TESTS) $(EXAMPLES) $(EXAMPLES:%=%-static)
# Sub-makes, because the flags of a fresh machine are known only after the set-up.
check: setup
	@$(MAKE) -j$(JOBS) tests
	@BIOXEN_BUILD=$(B) $(PYTHON) tests/run $(TESTS)
# The same tests under another kernel with pure cgroup v2, in an emulator (docs/kernels.md).
check-guest: setup
	@BIOXEN_BUILD=$(B) scripts/setup guest
	@$(MAKE) -j$(JOBS) tests
	@BIOXEN_BUILD=$(B) $(PYTHON) tests/guest/run $(TESTS)
asan: setup
	@$(MAKE) -j$(JOBS) B=$(B)/asan GEN=$(GEN) SANITIZE=asan tests
	@BIOXEN_BUILD=$(B)/asan $(PYTHON) tests/run --sanitize $(TESTS)
demo: setup
	@$(MAKE) -j$(JOBS) programs
	@BIOXEN_BUILD=$(B) scripts/demo
lint: setup
	@$(MAKE) -j$(JOBS) programs
	@BIOXEN_BUILD=$(B) CPPFLAGS="$(CPPFLAGS) $(PY_CFLAGS)" C11="$(C11)" JOBS=$(JOBS) scripts/lint
bench: setup
	@$(MAKE) -j$(JOBS) programs python $(B)/bench-idle $(B)/bench-network
	@BIOXEN_BUILD=$(B) scripts/bench

$(B)/bench-idle $(B)/bench-network: $(B)/bench-%: $O/tests/bench/%.o $L/libbioxen.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lmsgpackc

# What follows from the table of keys of topology files.
.PHONY: schema
schema: $(B)/schema
	@BIOXEN_SCHEMA=$(B)/schema scripts/make-schema
$(B)/schema: $O/scripts/schema.o $L/daemon.a $L/common.a
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(TEST_LINK) -o $@ $^ -ljansson -lyaml -lmsgpackc -lcap -lm

FUZZERS   := $(patsubst tests/fuzz/%.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
.PHONY: fuzzers
fuzzers: $(FUZZERS) $(B)/seeds
$(B)/fuzz_%: $O/tests/fuzz/fuzz_%.o $(ARCHIVES)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $< $(ALL_ARCHIVES) $(ALL_LIBS)
$(B)/seeds: $O/tests/fuzz/seeds.o $L/common.a
	$(call say,LINK)$(CC) $(SAN) -o $@ $^ -lmsgpackc
fuzz: setup
	@$(MAKE) -j$(JOBS) CC=clang B=$(B)/fuzz GEN=$(GEN) SANITIZE=fuzz fuzzers
	@BIOXEN_BUILD=$(B)/fuzz FUZZ_SECONDS=$(FUZZ_SECONDS) JOBS=$(JOBS) scripts/fuzz

# ---- install ------------------------------------------------------------------------------------------------
DEST = $(DESTDIR)$(PREFIX)
MAN  = $(notdir $(wildcard docs/man/*.1))
.PHONY: install uninstall clean format
install: programs libraries
	install -d $(DEST)/bin $(DEST)/libexec/bioxen $(DEST)/share/man/man1
	install -s -m 755 $(B)/bioxen $(DEST)/bin
	install -s -m 755 $(B)/bioxend $(B)/bioxen-jailer $(B)/bioxen-vm $(DEST)/libexec/bioxen
	install -m 644 $(MAN:%=docs/man/%) $(DEST)/share/man/man1
	install -d $(DEST)/include $(DEST)/lib/pkgconfig
	install -m 644 src/client/bioxen.h $(DEST)/include
	install -m 644 $(B)/libbioxen.a $(B)/libbioxen.so.1 $(DEST)/lib
	ln -sf libbioxen.so.1 $(DEST)/lib/libbioxen.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e "s|@VERSION@|$$(sed -n 's/^#define BIOXEN_VERSION "\(.*\)"/\1/p' src/client/bioxen.h)|" \
	    src/client/bioxen.pc.in > $(DEST)/lib/pkgconfig/bioxen.pc
	install -D -m 644 config/completions/bioxen.bash $(DEST)/share/bash-completion/completions/bioxen
	install -D -m 644 config/completions/_bioxen $(DEST)/share/zsh/site-functions/_bioxen
	install -D -m 644 config/completions/bioxen.fish $(DEST)/share/fish/vendor_completions.d/bioxen.fish
	install -D -m 644 config/bioxen.schema.json $(DEST)/share/bioxen/bioxen.schema.json
uninstall:
	rm -f $(DEST)/bin/bioxen $(MAN:%=$(DEST)/share/man/man1/%) $(DEST)/share/bash-completion/completions/bioxen \
	    $(DEST)/share/zsh/site-functions/_bioxen $(DEST)/share/fish/vendor_completions.d/bioxen.fish
	rm -f $(DEST)/include/bioxen.h $(LIBRARIES:%=$(DEST)/lib/%) $(DEST)/lib/pkgconfig/bioxen.pc
	rm -rf $(DEST)/libexec/bioxen $(DEST)/share/bioxen
clean:
	rm -rf $(B)
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
