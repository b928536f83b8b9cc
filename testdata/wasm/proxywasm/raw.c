// A plugin for tests that speaks proxy-wasm 0.2.1 without an SDK: what a header
// filter costs at least, and what no SDK would do. The request header "do" says what.
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(proxy_get_header_map_value) uint32_t get_value(uint32_t map, const char *key, uint32_t n, char **value, uint32_t *size);
IMPORT(proxy_replace_header_map_value) uint32_t replace_value(uint32_t map, const char *key, uint32_t n, const char *value, uint32_t size);
IMPORT(proxy_get_header_map_pairs) uint32_t get_pairs(uint32_t map, char **pairs, uint32_t *size);
IMPORT(proxy_set_header_map_pairs) uint32_t set_pairs(uint32_t map, const char *pairs, uint32_t size);
IMPORT(proxy_get_property) uint32_t get_property(const char *path, uint32_t n, char **value, uint32_t *size);
IMPORT(proxy_send_local_response) uint32_t send_response(uint32_t status, const char *details, uint32_t n, const char *body, uint32_t size, const char *pairs, uint32_t pairs_size, uint32_t grpc);
IMPORT(proxy_set_effective_context) uint32_t set_context(uint32_t id);
IMPORT(proxy_set_buffer_bytes) uint32_t set_buffer(uint32_t buffer, uint32_t start, uint32_t size, const char *value, uint32_t n);
IMPORT(proxy_get_buffer_bytes) uint32_t get_buffer(uint32_t buffer, uint32_t start, uint32_t most, char **value, uint32_t *size);
IMPORT(proxy_close_stream) uint32_t close_stream(uint32_t kind);
IMPORT(proxy_done) uint32_t done(void);
IMPORT(proxy_grpc_cancel) uint32_t grpc_cancel(uint32_t id);
IMPORT(proxy_call_foreign_function) uint32_t foreign(const char *name, uint32_t n, const char *in, uint32_t in_size, char **out, uint32_t *out_size);
IMPORT(proxy_log) uint32_t print(uint32_t level, const char *text, uint32_t n);

// What malloc does: gives memory that is only valid until the callback ends.
static char heap[128 << 10];
static uint32_t used, mode;
enum { GIVES, GIVES_NOTHING, GIVES_OUTSIDE, ASKS, TRAPS };

EXPORT(malloc) char *malloc(uint32_t n) {
	char *value;
	uint32_t size;
	switch (mode) {
	case GIVES_NOTHING:
		return 0;
	case GIVES_OUTSIDE:
		return (char *)0xffffff00;
	case ASKS:
		get_value(0, ":path", 5, &value, &size);
		break;
	case TRAPS:
		__builtin_trap();
	}
	if (n > sizeof heap - used)
		return 0;
	used += n;
	return heap + used - n;
}

static char last_do;
static uint32_t lingering; // a stream that isn't done

EXPORT(proxy_abi_version_0_2_1) void version(void) {}
EXPORT(proxy_on_context_create) void create(uint32_t id, uint32_t parent) {}
EXPORT(proxy_on_done) uint32_t on_done(uint32_t id) {
	if (last_do == 'l') {
		lingering = id;
		return 0;
	}
	return 1;
}
EXPORT(proxy_on_log) void on_log(uint32_t id) {
	if (id == lingering)
		print(2, "logged", 6);
}
EXPORT(proxy_on_delete) void on_delete(uint32_t id) {
	if (id == lingering) {
		print(2, "deleted", 7);
		lingering = 0;
	}
}

// result tells a status as the header "status".
static uint32_t result(uint32_t status) {
	char text[2] = {'0' + status / 10, '0' + status % 10};
	replace_value(0, "status", 6, text, 2);
	return 0;
}

EXPORT(proxy_on_request_headers) uint32_t request_headers(uint32_t id, uint32_t n, uint32_t end) {
	char *value = 0, *other;
	uint32_t size = 0, other_size, status;
	used = 0;
	mode = GIVES;
	last_do = 0;
	if (get_value(0, "do", 2, &value, &size) != 0 || size == 0)
		return 0;
	switch (last_do = *value) {
	case 'c': // copy: a header filter
		return replace_value(0, "copied", 6, value, size);
	case 'n':
		mode = GIVES_NOTHING;
		status = get_value(0, "do", 2, &other, &other_size);
		return result(status);
	case 'o':
		mode = GIVES_OUTSIDE;
		status = get_value(0, "do", 2, &other, &other_size);
		return result(status);
	case 'a':
		mode = ASKS;
		get_value(0, "do", 2, &other, &other_size);
		return 0;
	case 't':
		mode = TRAPS;
		get_value(0, "do", 2, &other, &other_size);
		return 0;
	case 'p': // bad pointers
		status = get_value(0, (char *)0xfffffff0, 64, &other, &other_size) != 6;
		status |= get_value(0, "do", 2, (char **)0xfffffffe, &other_size) != 6;
		status |= replace_value(0, "x", 1, (char *)0xfffffff0, 64) != 6;
		status |= get_pairs(0, (char **)0xfffffffe, &other_size) != 6;
		status |= print(2, (char *)0xfffffff0, 64) != 6;
		return result(status);
	case 'm': // maps that aren't
		status = set_pairs(0, "\xff\xff\xff\xff", 4) != 4;
		status |= set_pairs(0, "\1\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 12) != 4;
		status |= set_pairs(0, "\1\0\0\0\1\0\0\0\1\0\0\0a\0b", 15) != 4; // the last zero is missing
		status |= set_pairs(0, "\1\0\0\0\1\0\0\0\3\0\0\0a\0b\nc\0", 18) != 2;
		status |= set_pairs(9, "", 0) != 2;
		return result(status);
	case 'v': // what isn't there
		status = get_value(2, "server", 6, &other, &other_size) != 2;
		status |= get_value(7, "x", 1, &other, &other_size) != 2;
		status |= get_buffer(0, 0, 9, &other, &other_size) != 1;
		status |= get_buffer(5, 0, 9, &other, &other_size) != 1;
		status |= get_buffer(9, 0, 9, &other, &other_size) != 2;
		status |= set_context(12345) != 2;
		status |= done() != 1;
		status |= grpc_cancel(1) != 12;
		status |= foreign("f", 1, 0, 0, &other, &other_size) != 1;
		status |= get_property("no\0such", 7, &other, &other_size) != 1;
		status |= print(9, "", 0) != 2;
		return result(status);
	case 'h': // header fields that mustn't be
		status = replace_value(0, "x", 1, "a\r\nb: c", 7) != 2;
		status |= replace_value(0, "a b", 3, "x", 1) != 2;
		status |= replace_value(0, "x-forwarded-for", 15, "1.2.3.4", 7) != 2;
		status |= replace_value(0, "host", 4, "evil", 4) != 2;
		status |= replace_value(0, "content-length", 14, "1", 1) != 0; // heeded, not taken
		status |= replace_value(0, ":method", 7, "DELETE", 6) != 2;
		status |= send_response(99, 0, 0, 0, 0, 0, 0, -1) != 2;
		return result(status);
	case 'x':
		return 99; // no action
	case 'q':
		close_stream(0);
		return 1;
	case 'l':
		return 0;
	case 'd': // done with the stream before
		status = set_context(lingering) | done();
		status |= done() != 1; // it is said once
		set_context(id);
		return result(status);
	case 'w': // the buffer
		return 0;
	}
	return 0;
}

EXPORT(proxy_on_request_body) uint32_t request_body(uint32_t id, uint32_t size, uint32_t end) {
	if (last_do != 'w' || !end)
		return 0;
	set_buffer(0, 1, 2, "--", 2);          // within
	set_buffer(0, 0xffffffff, 0, "end", 3); // behind
	set_buffer(0, 0, 1, "", 0);            // cut off the first
	return set_buffer(0, 3, 1000000, "!", 1);
}
