// A plugin that does what a plugin must not: what the header x-do says, or at its
// start what START is defined as. Built by the tests of package plugins.
#include "postern.h"

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
WASI(proc_exit) _Noreturn void proc_exit(uint32_t code);
WASI(poll_oneoff) uint32_t poll_oneoff(const void *subscriptions, void *events, size_t n, size_t *got);
WASI(random_get) uint32_t random_get(void *buffer, size_t size);
WASI(fd_write) uint32_t fd_write(uint32_t fd, const void *vectors, size_t n, size_t *written);

#define PAGE 65536
#define TEXT(s) (s), sizeof(s) - 1

static char what[64];
static uint32_t kept = 1; // calls of this instance
static char big[192 << 10];
static volatile uint32_t sink, zero;

static int is(const char *name) {
	const char *w = what;
	while (*w && *w == *name) w++, name++;
	return *w == 0 && *name == 0;
}

#pragma clang diagnostic ignored "-Winfinite-recursion"
// Not a tail call, and not one that a compiler can make a loop of.
__attribute__((noinline)) static uint32_t recurse(uint32_t n) {
	uint32_t r = recurse(n + 1);
	sink += r;
	return r ^ n;
}

// The same with variables in memory: the C stack ends first.
__attribute__((noinline)) static uint32_t overflow(uint32_t n) {
	volatile uint32_t here[8];
	for (int i = 0; i < 8; i++) here[i] = n + i;
	return overflow(n + 1) + here[n & 7];
}

__attribute__((noinline)) static void spin(void) {
	for (;;) sink++;
}

static void sleep_for(uint64_t nanoseconds) {
	struct {
		uint64_t user;
		uint8_t kind, pad[7];
		uint32_t clock, pad2;
		uint64_t timeout, precision;
		uint16_t flags, pad3[3];
	} subscription = {.clock = 1, .timeout = nanoseconds};
	char event[32];
	size_t got;
	poll_oneoff(&subscription, event, 1, &got);
}

// Takes all the memory there is, and touches it.
static uint32_t grow(void) {
	uint32_t pages = 0;
	while (__builtin_wasm_memory_grow(0, 1) != (size_t)-1) {
		*(volatile char *)(__builtin_wasm_memory_size(0) * PAGE - 1) = 1;
		pages++;
	}
	return pages;
}

static void say(uint32_t n) {
	char digits[12];
	int at = sizeof digits;
	do digits[--at] = '0' + n % 10;
	while (n /= 10);
	postern_principal_set(digits + at, sizeof digits - at);
}

// What needs no exchange; it is done at the start as well.
static void misbehave(void) {
	if (is("loop")) spin();
	if (is("trap")) __builtin_trap();
	if (is("divide")) sink = kept / zero;
	if (is("recurse")) sink = recurse(0);
	if (is("overflow")) sink = overflow(0);
	if (is("exit")) proc_exit(3);
	if (is("exit0")) proc_exit(0);
	if (is("sleep")) sleep_for(UINT64_MAX / 2);
	if (is("naps")) for (;;) sleep_for(1000);
	if (is("fill")) for (;;) __builtin_memset(big, sink++, sizeof big);
	if (is("move")) for (;;) __builtin_memmove(big, big + 1, sizeof big - 1);
	if (is("random")) for (;;) random_get(big, sizeof big);
	if (is("calls")) for (;;) postern_field_get(0, big, 0);
	if (is("time")) for (;;) postern_time();
	if (is("bad pointer")) postern_field_get(1, (void *)0xfffffff0, 16);
	if (is("bad length")) postern_log(3, big, 0xffffffff);
	if (is("wrap")) postern_principal_set((void *)0xffffffff, 2);
	if (is("null call")) ((void (*)(void))(uintptr_t)(kept + 100000))();
	if (is("smash")) __builtin_memset(0, 0xff, PAGE), recurse(0);
}

POSTERN_EXPORT("postern_abi") int32_t version(void) { return POSTERN_VERSION; }

POSTERN_EXPORT("postern_configure") int32_t configure(void) {
#ifdef START
	__builtin_memcpy(what, START, sizeof START);
	misbehave();
	if (is("grow")) grow();
	if (is("slow")) for (uint32_t i = 0; i < 100000000; i++) sink++;
#endif
	return 0;
}

POSTERN_EXPORT("postern_authorize") int32_t authorize(void) {
	int32_t n = postern_map_get(POSTERN_MAP_HEADERS, TEXT("x-do"), what, sizeof what - 1);
	what[n > 0 ? n : 0] = 0;
	misbehave();
	if (is("grow")) say(grow());
	else if (is("count")) say(kept++);
	else if (is("utf8")) postern_principal_set(TEXT("\xff\xfe\xc3"));
	else if (is("crlf")) postern_principal_set(TEXT("a\r\nX-Admin: 1"));
	else if (is("contexts")) for (uint32_t i = 0; i < 100000; i++) {
		char name[] = "k0000000";
		for (uint32_t j = 7, v = i; j > 0; j--, v /= 10) name[j] = '0' + v % 10;
		if (postern_context_set(name, 8, big, 60000) < 0) break;
	}
	else if (is("log")) for (uint32_t i = 0; i < 2000000; i++) postern_log(POSTERN_LEVEL_WARN, big, 60000);
	else if (is("print")) for (uint32_t i = 0; i < 2000000; i++) {
		struct { const void *at; size_t size; } vector = {big, 1000};
		size_t written;
		fd_write(2, &vector, 1, &written);
	}
	else if (is("phase")) return postern_result_write(TEXT("{}")) == POSTERN_WRONG_PHASE ? POSTERN_DENY : POSTERN_ALLOW;
	else if (is("number")) return 77;
	else if (is("zero")) return 0;
	else if (is("deny")) return POSTERN_DENY;
	return POSTERN_ALLOW;
}

POSTERN_EXPORT("postern_integrate") int32_t integrate(void) {
	int32_t n = postern_map_get(POSTERN_MAP_HEADERS, TEXT("x-do"), what, sizeof what - 1);
	what[n > 0 ? n : 0] = 0;
	misbehave();
	if (is("huge")) postern_result_write(0, (grow(), __builtin_wasm_memory_size(0) * PAGE));
	if (is("body")) for (uint32_t i = 0; i < 2000000; i++)
		if (postern_body_write(POSTERN_BODY_RESPONSE, big, sizeof big) < 0) break;
	if (is("split")) return postern_map_set(POSTERN_MAP_RESPONSE_HEADERS, TEXT("X-A"), TEXT("1\r\nX-Admin: 1")) < 0 ? postern_result_write(TEXT("{\"statusCode\":204}")) : 0;
	if (is("nothing")) return 0;
	if (is("json")) postern_result_write(TEXT("{\"statusCode\":"));
	if (is("status")) postern_result_write(TEXT("{\"statusCode\":99999}"));
	if (is("header")) postern_result_write(TEXT("{\"statusCode\":200,\"headers\":{\"X-A\\r\\nX-Admin\":\"1\"}}"));
	if (is("ok")) postern_result_write(TEXT("{\"statusCode\":200}"));
	return 0;
}
