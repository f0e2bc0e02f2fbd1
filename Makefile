# Builds ucspi-bear with GNU make. Settings are the one-line files in conf-compile/; sources are found by wildcard, so a new
# file in src/ needs no change here. A build with other settings goes into folders of its own:
#   make BUILD=build/asan COMMAND=build/asan/command CC=clang CFLAGS_EXTRA=-fsanitize=address,undefined
#
# Targets: all (programs), tests (unit tests), fuzz, check, install, clean, flags (what would be used).

VERSION := 0.1.0

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

setting = $(strip $(file <conf-compile/conf-$(1)))

# ---- settings; all of them can be given on the command line ----

ifeq ($(origin CC),default)
CC := $(call setting,cc)
endif
ifeq ($(origin AR),default)
AR := ar
endif
CFLAGS ?= $(call setting,cflags)
LDFLAGS ?= $(call setting,ld)
PREFIX ?= $(call setting,prefix)
ENGINES ?= $(call setting,engines)
ENGINE ?= $(call setting,engine)
STATIC ?= $(call setting,static)
BUILD ?= build
COMMAND ?= command
CFLAGS_EXTRA ?=
LDFLAGS_EXTRA ?=
WARNINGS ?= -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes

# Engines beside bearssl are built where their library is: tlsd-io and tlsc-io are BearSSL's, the others' names end in theirs.
BUILT_ENGINES := bearssl $(foreach e,$(filter openssl,$(ENGINES)),$(shell printf '%s\n' '\#include <openssl/ssl.h>' | \
	$(CC) -E - >/dev/null 2>&1 && echo $(e)))

# Sanitizers do not go with static linking.
ifneq ($(findstring -fsanitize,$(CFLAGS_EXTRA) $(CFLAGS)),)
STATIC :=
endif

# Fuzz programs have no main: libFuzzer brings it where the compiler is clang, else a driver of our own.
ifneq ($(findstring clang,$(CC)),)
FUZZER ?= -fsanitize=fuzzer
else
FUZZER ?= $(wildcard tests/fuzz/driver.c)
endif

COMPILE := $(CC) -std=c11 -D_GNU_SOURCE -Isrc -I$(BUILD) $(WARNINGS) $(CFLAGS) $(CFLAGS_EXTRA)
LINK := $(CC) $(CFLAGS) $(CFLAGS_EXTRA) $(LDFLAGS) $(LDFLAGS_EXTRA)

# WERROR=1: warnings are errors. That changes no object, so it is no reason to compile again, unless a file was compiled without it
# since: the file "strict" is there as long as none was.
ifeq ($(WERROR),1)
STRICT := $(BUILD)/strict
ERRORS := -Werror
else
loosen = @rm -f $(BUILD)/strict
endif

# ---- what there is to build ----

COMMANDS := $(patsubst src/cmd/%.c,$(COMMAND)/%,$(wildcard src/cmd/*.c))
OPENSSL_PROGRAMS := $(if $(filter openssl,$(BUILT_ENGINES)),$(addprefix $(COMMAND)/,tlsd-io-openssl tlsc-io-openssl))
STUNNEL_AWK := $(addprefix src/stunnel/,$(addsuffix .awk,read options chain tls trust hosts services write))
SCRIPTS := $(patsubst src/script/%,$(COMMAND)/%,$(filter-out %~ %.orig,$(wildcard src/script/*)))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/*.c))
FUZZ_TESTS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(filter-out tests/fuzz/driver.c,$(wildcard tests/fuzz/*.c)))
# What tests and benches run beside the programs, each linked with tests/lib/minimal.c.
TEST_TOOLS := $(BUILD)/tests/minimal $(BUILD)/bench/validation

# One static library for each folder that has sources, in link order: a folder uses only those that stand behind it.
FOLDERS := $(foreach f,certify starttls relay chain net rules $(BUILT_ENGINES:%=engine/%) engine x509,$(if $(wildcard src/$(f)/*.c),$(f)))
archive = $(foreach f,$(filter $(1),$(FOLDERS)),$(BUILD)/lib$(subst /,-,$(f)).a)
objects = $(patsubst src/%.c,$(BUILD)/src/%.o,$(wildcard src/$(1)/*.c))

PLAIN_ARCHIVES := $(call archive,starttls relay chain net rules x509)
IO_ARCHIVES := $(call archive,certify relay chain net rules engine/bearssl engine x509)
OPENSSL_ARCHIVES := $(call archive,relay chain net rules engine/openssl engine x509)
ALL_ARCHIVES := $(call archive,starttls) $(IO_ARCHIVES)

# Programs that are executed once for each connection: static, for what it costs to start them.
PER_CONNECTION := $(addprefix $(COMMAND)/,tlsd tlsc tlsd-io tlsc-io ucspitlsd ucspitlsc relay)
IO_PROGRAMS := $(addprefix $(COMMAND)/,tlsd-io tlsc-io tlsverify tlscert tlstrust)
RESOLVING := $(addprefix $(COMMAND)/,tcpserver tcponce tcpclient tcprr tcpprio sslserver sslclient tcpallow)

all: $(COMMANDS) $(OPENSSL_PROGRAMS) $(SCRIPTS) $(COMMAND)/stunnel2run
tests: $(UNIT_TESTS) $(FUZZ_TESTS) $(TEST_TOOLS)
fuzz: $(FUZZ_TESTS)

check:
	+package/check
install:
	+package/install
clean:
	rm -rf build command
flags:
	@printf '%s\n' 'compile: $(COMPILE)' 'link: $(LINK)' 'static: $(STATIC)' 'engines: $(ENGINES) ($(ENGINE))'
version:
	@printf '%s\n' '$(VERSION)'
prefix:
	@printf '%s\n' '$(PREFIX)'

.PHONY: all tests fuzz check install clean flags version prefix always

# ---- files that stay as they are unless their contents change ----

# Writes standard input to $@ if it differs from what is there.
keep = cat >$@.$$$$; if cmp -s $@.$$$$ $@; then rm -f $@.$$$$; else mv -f $@.$$$$ $@; fi
quoted = "$(subst ",\",$(subst \,\\,$(1)))"

define CONF_H
/* Made by the Makefile from conf-compile/. */
#define VERSION $(call quoted,$(VERSION))
#define CONF_PREFIX $(call quoted,$(PREFIX))
#define CONF_LIBEXEC $(call quoted,$(PREFIX)/bin) /* where tlsd-io and tlsc-io are installed */
#define CONF_ENGINE $(call quoted,$(ENGINE))
#define CONF_CAFILE $(call quoted,$(call setting,cafile))
#define CONF_CADIR $(call quoted,$(call setting,cadir))
#define CONF_CERTFILE $(call quoted,$(call setting,certfile))
#define CONF_CERTCHAINFILE $(call quoted,$(call setting,certchainfile))
#define CONF_KEYFILE $(call quoted,$(call setting,keyfile))
#define CONF_CCAFILE $(call quoted,$(call setting,ccafile))
#define CONF_CIPHERS $(call quoted,$(call setting,ciphers))
#define CONF_DHFILE $(call quoted,$(call setting,dhfile))
#define CONF_VERIFYDEPTH $(call setting,verifydepth)
#define CONF_UID $(call setting,uid)
endef
export CONF_H

$(BUILD)/conf.h: always | $(BUILD)/
	@printf '%s\n' "$$CONF_H" | { $(keep); }
$(BUILD)/compile-flags: always | $(BUILD)/
	@printf '%s\n' '$(COMPILE)' | { $(keep); }
$(BUILD)/link-flags: always | $(BUILD)/
	@printf '%s\n' '$(LINK)' '$(STATIC)' '$(ENGINE)' | { $(keep); }
$(BUILD)/sources: always | $(BUILD)/
	@printf '%s\n' $(sort $(wildcard src/*/*.c src/*/*/*.c)) | { $(keep); }

# Can a static program be linked here, and does it start? Holds the flag, or nothing.
$(BUILD)/static-flag: $(BUILD)/link-flags
	@printf '%s\n' '#include <bearssl.h>' '#include <skalibs/env.h>' \
		'int main(void) { return br_ec_get_default() == 0 || env_len((char const *const[]){0}) != 0; }' >$@.c
	@: >$@
	@if test -n '$(STATIC)'; then \
		if $(LINK) $(STATIC) -o $@.trial $@.c -lskarnet -lbearssl >$@.log 2>&1 && $@.trial; then printf '%s\n' '$(STATIC)' >$@; \
		else echo 'notice: no static linking here (see $@.log): tlsd, tlsd-io and their like become dynamic'; fi; \
	fi

# The same with the library of the other engine.
$(BUILD)/static-flag-openssl: $(BUILD)/link-flags
	@printf '%s\n' '#include <openssl/ssl.h>' 'int main(void) { return OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, 0) != 1; }' >$@.c
	@: >$@
	@if test -n '$(STATIC)'; then \
		if $(LINK) $(STATIC) -o $@.trial $@.c -lssl -lcrypto >$@.log 2>&1 && $@.trial; then printf '%s\n' '$(STATIC)' >$@; \
		else echo 'notice: no static linking with libssl here (see $@.log): tlsd-io-openssl and tlsc-io-openssl become dynamic'; fi; \
	fi

$(BUILD)/strict: | $(BUILD)/
	@: >$@

%/:
	@mkdir -p $@

# ---- rules; V=1 shows the whole commands ----

say = $(if $(V),,@echo '$(1)';)

.SECONDEXPANSION:
.PRECIOUS: $(BUILD)/src/%.o $(BUILD)/%/ %/

$(BUILD)/src/%.o: src/%.c $(BUILD)/compile-flags $(STRICT) | $(BUILD)/conf.h $$(@D)/
	$(loosen)
	$(call say,compile $<)$(COMPILE) $(ERRORS) -MMD -MP -c -o $@ $<

# $(1): folder
define archive_rule
$(call archive,$(1)): $(call objects,$(1)) $(BUILD)/sources
	@rm -f $$@.new
	$(call say,archive $$@)$(AR) rc $$@.new $(call objects,$(1)) && mv -f $$@.new $$@
endef
$(foreach f,$(FOLDERS),$(eval $(call archive_rule,$(f))))

# What each kind of program is linked with.
PROGRAM_ARCHIVES = $(PLAIN_ARCHIVES)
PROGRAM_LIBS = -lskarnet
PROGRAM_STATIC =
$(IO_PROGRAMS): PROGRAM_ARCHIVES = $(IO_ARCHIVES)
$(IO_PROGRAMS): PROGRAM_LIBS = -lskarnet -lbearssl
$(IO_PROGRAMS): $(IO_ARCHIVES)
$(RESOLVING): PROGRAM_LIBS = -lskarnet -lcares
$(PER_CONNECTION): PROGRAM_STATIC = $$(cat $(BUILD)/static-flag)
$(PER_CONNECTION): $(BUILD)/static-flag

$(COMMANDS): $(COMMAND)/%: $(BUILD)/src/cmd/%.o $(PLAIN_ARCHIVES) $(BUILD)/link-flags | $(COMMAND)/
	$(call say,link $@)$(LINK) $(PROGRAM_STATIC) -o $@ $< $(PROGRAM_ARCHIVES) $(PROGRAM_LIBS)

# The same main programs with the other engine. libcrypto knows calls that do not work in static programs, none of which is made here:
# what the linker says of them is shown only if it fails.
$(OPENSSL_PROGRAMS): $(COMMAND)/%-openssl: $(BUILD)/src/cmd/%.o $(OPENSSL_ARCHIVES) $(BUILD)/link-flags $(BUILD)/static-flag-openssl | $(COMMAND)/
	$(call say,link $@)$(LINK) $$(cat $(BUILD)/static-flag-openssl) -o $@ $< $(OPENSSL_ARCHIVES) -lskarnet -lssl -lcrypto \
		2>$(BUILD)/$(@F).log || { cat $(BUILD)/$(@F).log >&2; false; }

$(SCRIPTS): $(COMMAND)/%: src/script/% $(BUILD)/conf.h | $(COMMAND)/
	$(call say,script $@)sed 's|@PREFIX@|$(PREFIX)|g;s|@VERSION@|$(VERSION)|g' $< >$@.new
	@chmod 755 $@.new && mv -f $@.new $@

# Its awk program stands between single quotes, so it has none itself.
$(COMMAND)/stunnel2run: src/stunnel/stunnel2run.sh $(STUNNEL_AWK) | $(COMMAND)/
	$(call say,script $@)! grep -n "'" $(STUNNEL_AWK)
	@cat $(STUNNEL_AWK) >$@.awk && sed -e '/^@AWK@$$/{r $@.awk' -e 'd;}' $< >$@.new && rm -f $@.awk
	@chmod 755 $@.new && mv -f $@.new $@

$(UNIT_TESTS): $(BUILD)/tests/%: tests/unit/%.c $(ALL_ARCHIVES) $(STRICT) $(BUILD)/compile-flags $(BUILD)/link-flags | $(BUILD)/tests/ $(BUILD)/conf.h
	$(loosen)
	$(call say,test $@)$(COMPILE) $(ERRORS) -MMD -MP -MF $@.d $(LDFLAGS) $(LDFLAGS_EXTRA) -o $@ $< $(ALL_ARCHIVES) -lcmocka -lskarnet -lbearssl -lcares

$(FUZZ_TESTS): $(BUILD)/fuzz/%: tests/fuzz/%.c $(ALL_ARCHIVES) $(BUILD)/compile-flags $(BUILD)/link-flags | $(BUILD)/fuzz/ $(BUILD)/conf.h
	$(call say,fuzz $@)$(COMPILE) $(ERRORS) -MMD -MP -MF $@.d $(LDFLAGS) $(LDFLAGS_EXTRA) -o $@ $< $(filter %.o,$^) $(FUZZER) $(ALL_ARCHIVES) -lskarnet -lbearssl -lcares

$(BUILD)/fuzz/path: $(BUILD)/tests/lib/minimal.o $(BUILD)/tests/lib/described.o

$(BUILD)/tests/%.o: tests/%.c $(BUILD)/compile-flags $(STRICT) | $(BUILD)/conf.h $$(@D)/
	$(loosen)
	$(call say,compile $<)$(COMPILE) $(ERRORS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/minimal: $(BUILD)/tests/lib/minimal_main.o
$(BUILD)/bench/validation: $(BUILD)/tests/bench/validation.o
$(TEST_TOOLS): $(BUILD)/tests/lib/minimal.o $(call archive,engine/bearssl engine x509) $(BUILD)/link-flags | $(BUILD)/tests/ $(BUILD)/bench/
	$(call say,link $@)$(LINK) -o $@ $(filter %.o,$^) $(call archive,engine/bearssl engine x509) -lskarnet -lbearssl

-include $(patsubst src/%.c,$(BUILD)/src/%.d,$(wildcard src/*/*.c src/*/*/*.c)) $(UNIT_TESTS:%=%.d) $(FUZZ_TESTS:%=%.d) $(wildcard $(BUILD)/tests/lib/*.d $(BUILD)/tests/bench/*.d)
