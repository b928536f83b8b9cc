// What makes a plugin in C or C++ short: roles, texts, and memory for one call.
//
//	#include "plugin.h"
//
//	POSTERN_ROLE(request) {
//		postern_text agent = postern_get(POSTERN_MAP_HEADERS, "user-agent");
//		if (!agent.at) return postern_answer(400, "text/plain", "say who you are\n");
//		postern_set(POSTERN_MAP_HEADERS, "x-agent", agent);
//		return POSTERN_CONTINUE;
//	}
//
// It needs no C library and works beside one. All that it returns lies in memory
// that is given back when the call ends; what configure has read stays.
//
// The functions and numbers themselves, and what each does, stand in postern.h.
#ifndef POSTERN_PLUGIN_H
#define POSTERN_PLUGIN_H

#include "postern.h"

// A text or bytes. at is 0 when there is none, which isn't the same as empty.
typedef struct {
	const char *at;
	size_t len;
} postern_text;

// ---- memory

// The memory of a call: a few KiB that are always there, then pieces of whole
// pages. Of those that a call doesn't begin in only the last one is used again.
typedef struct {
	char first[4096];
	char *at, *end;         // what is free
	char *begin, *begin_end; // the same when a call begins
	char *last, *last_end;  // the last piece, without what is kept
} postern_memory;

static postern_memory postern_call_memory;

static inline void postern_begin(void) {
	postern_memory *m = &postern_call_memory;
	if (!m->begin) {
		m->begin = m->last = m->first;
		m->begin_end = m->last_end = m->first + sizeof m->first;
	}
	m->at = m->begin;
	m->end = m->begin == m->last ? m->last_end : m->begin_end;
}

// postern_keep makes what is taken outlive the call; POSTERN_ROLE(configure) does it.
static inline void postern_keep(void) {
	postern_memory *m = &postern_call_memory;
	if (m->end == m->last_end) m->last = m->at;
	m->begin = m->at;
	m->begin_end = m->end;
}

// postern_take returns size bytes, valid until the call ends. It traps when there
// is no memory left.
static inline char *postern_take(size_t size) {
	postern_memory *m = &postern_call_memory;
	if (!m->at) postern_begin();
	if (size > (size_t)(m->end - m->at) && m->end != m->last_end) {
		m->at = m->last;
		m->end = m->last_end;
	}
	if (size > (size_t)(m->end - m->at)) {
		size_t pages = size / 65536 + 1;
		size_t old = __builtin_wasm_memory_grow(0, pages);
		if (old == (size_t)-1) __builtin_trap();
		char *grown = (char *)(old * 65536);
		// Pages that follow the last piece lengthen it; a C library may have taken some.
		if (grown != m->last_end) m->last = m->at = grown;
		m->last_end = m->end = grown + pages * 65536;
	}
	char *taken = m->at;
	m->at += size;
	return taken;
}

// ---- roles

// POSTERN_ROLE(name) { … } is a role: authorize, integrate, request, response,
// map_request, map_response, validate, dns, certify, request_body, response_body, or
// configure. Its result is the number that plugins/ABI.md names: POSTERN_ALLOW, POSTERN_CONTINUE, POSTERN_VALID, 0 …
#define POSTERN_ROLE(role)                                                        \
	static int32_t postern_own_##role(void);                                      \
	POSTERN_EXPORT("postern_" #role) int32_t postern_export_##role(void);         \
	int32_t postern_export_##role(void) {                                         \
		postern_begin();                                                          \
		int32_t result = postern_own_##role();                                    \
		if (sizeof #role == sizeof "configure" && (#role)[0] == 'c') postern_keep(); \
		return result;                                                            \
	}                                                                             \
	static int32_t postern_own_##role(void)

// The version of the ABI. One file of the plugin exports it: the one that includes
// this header without POSTERN_PART.
#ifndef POSTERN_PART
POSTERN_EXPORT("postern_abi") int32_t postern_export_abi(void);
int32_t postern_export_abi(void) { return POSTERN_VERSION; }
#endif

// ---- texts

static inline postern_text postern_of(const char *s) {
	postern_text t = {s, 0};
	while (s[t.len]) t.len++;
	return t;
}

static inline int postern_same(postern_text one, const char *other) {
	postern_text o = postern_of(other);
	if (!one.at || one.len != o.len) return 0;
	for (size_t i = 0; i < o.len; i++)
		if (one.at[i] != o.at[i]) return 0;
	return 1;
}

static inline int postern_begins(postern_text t, const char *with) {
	for (size_t i = 0; with[i]; i++)
		if (i >= t.len || t.at[i] != with[i]) return 0;
	return t.at != 0;
}

// postern_join returns one after the other; none counts as empty.
static inline postern_text postern_join(postern_text one, postern_text other) {
	char *at = postern_take(one.len + other.len);
	if (one.len) __builtin_memcpy(at, one.at, one.len);
	if (other.len) __builtin_memcpy(at + one.len, other.at, other.len);
	postern_text t = {at, one.len + other.len};
	return t;
}

// postern_number returns a number's digits.
static inline postern_text postern_number(int64_t n) {
	char *end = postern_take(20) + 20, *at = end;
	uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
	do *--at = (char)('0' + rest % 10);
	while (rest /= 10);
	if (n < 0) *--at = '-';
	postern_text t = {at, (size_t)(end - at)};
	return t;
}

// postern_quote returns t as a JSON string, with its quotes.
static inline postern_text postern_quote(postern_text t) {
	const char *hex = "0123456789abcdef";
	char *at = postern_take(t.len * 6 + 2);
	size_t n = 0;
	at[n++] = '"';
	for (size_t i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.at[i];
		if (c < 0x20 || c == '"' || c == '\\') {
			const char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
			__builtin_memcpy(at + n, escape, sizeof escape);
			n += sizeof escape;
		} else {
			at[n++] = (char)c;
		}
	}
	at[n++] = '"';
	postern_text quoted = {at, n};
	return quoted;
}

// ---- what fills a buffer

// POSTERN_READ(function, arguments …) calls a function of postern.h whose last two
// parameters are a buffer and its size, and returns what it wrote:
//
//	postern_text secret = POSTERN_READ(postern_kv_get, "secret", 6);
#define POSTERN_READ(function, ...)                                                       \
	(__extension__({                                                                      \
		postern_text postern_t = {0, 0};                                                  \
		size_t postern_room = 256;                                                        \
		for (;;) {                                                                        \
			char *postern_at = postern_take(postern_room);                                \
			int32_t postern_n = function(__VA_ARGS__ __VA_OPT__(, ) postern_at, postern_room); \
			if (postern_n >= 0 && (size_t)postern_n <= postern_room) {                    \
				postern_t.at = postern_at;                                                \
				postern_t.len = (size_t)postern_n;                                        \
				postern_call_memory.at = postern_at + postern_n;                          \
				break;                                                                    \
			}                                                                             \
			postern_call_memory.at = postern_at;                                          \
			if (postern_n < 0) break;                                                     \
			postern_room = (size_t)postern_n;                                             \
		}                                                                                 \
		postern_t;                                                                        \
	}))

static inline postern_text postern_field(int32_t field) { return POSTERN_READ(postern_field_get, field); }
static inline postern_text postern_config(void) { return POSTERN_READ(postern_config_read); }

// postern_get returns the last value of a name in a map.
static inline postern_text postern_get(int32_t map, const char *name) {
	return POSTERN_READ(postern_map_get, map, name, postern_of(name).len);
}

// postern_json returns what stands at a path of a document; see postern_json_get.
static inline postern_text postern_json(int32_t document, const char *path) {
	return POSTERN_READ(postern_json_get, document, path, postern_of(path).len);
}

// postern_entry reads an entry of a map and returns 1, or 0 when there is none.
static inline int postern_entry(int32_t map, int32_t index, postern_text *name, postern_text *value) {
	int64_t n = postern_map_entry(map, index, 0, 0, 0, 0);
	if (n < 0) return 0;
	name->len = (size_t)(n >> 32), value->len = (size_t)(uint32_t)n;
	char *at = postern_take(name->len + value->len);
	name->at = at, value->at = at + name->len;
	return postern_map_entry(map, index, at, name->len, at + name->len, value->len) == n;
}

// postern_content reads all content that is left of a body.
static inline postern_text postern_content(int32_t body) {
	int32_t n = postern_body_len(body);
	if (n < 0) return (postern_text){0, 0};
	char *at = postern_take((size_t)n);
	size_t got = 0;
	for (;;) {
		int32_t more = got < (size_t)n ? postern_body_read(body, at + got, (size_t)n - got) : 0;
		if (more <= 0) break;
		got += (size_t)more;
	}
	return (postern_text){at, got};
}

// postern_piece reads the piece of content that a call of request_body or
// response_body is about.
static inline postern_text postern_piece(void) {
	int32_t n = postern_chunk_len();
	if (n < 0) return (postern_text){0, 0};
	char *at = postern_take((size_t)n);
	n = postern_chunk_read(at, (size_t)n);
	return (postern_text){at, n < 0 ? 0 : (size_t)n};
}

// ---- what changes something; the results are 0 or one of the codes

static inline int32_t postern_set(int32_t map, const char *name, postern_text value) {
	return postern_map_set(map, name, postern_of(name).len, value.at, value.len);
}

static inline int32_t postern_add(int32_t map, const char *name, postern_text value) {
	return postern_map_add(map, name, postern_of(name).len, value.at, value.len);
}

static inline int32_t postern_remove(int32_t map, const char *name) {
	return postern_map_del(map, name, postern_of(name).len);
}

static inline int32_t postern_set_field(int32_t field, postern_text value) {
	return postern_field_set(field, value.at, value.len);
}

static inline int32_t postern_set_status(int status) { return postern_set_field(POSTERN_FIELD_STATUS, postern_number(status)); }

static inline int32_t postern_set_principal(postern_text id) { return postern_principal_set(id.at, id.len); }

static inline int32_t postern_set_context(const char *name, postern_text value) {
	return postern_context_set(name, postern_of(name).len, value.at, value.len);
}

// postern_set_content makes text the whole new content of a body.
static inline int32_t postern_set_content(int32_t body, postern_text text) {
	int32_t code = postern_body_reset(body);
	return code ? code : postern_body_write(body, text.at, text.len);
}

// postern_send sends content in the role integrate, and in request_body and
// response_body adds to what goes on in place of the piece.
static inline int32_t postern_send(postern_text text) { return postern_chunk_write(text.at, text.len); }

static inline int32_t postern_set_json(int32_t document, const char *path, postern_text json) {
	return postern_json_set(document, path, postern_of(path).len, json.at, json.len);
}

static inline int32_t postern_say(int32_t level, const char *text) { return postern_log(level, text, postern_of(text).len); }

// postern_fails makes the call fail: return its result.
static inline int32_t postern_fails(const char *why) {
	postern_fail(1, why, postern_of(why).len);
	return -1;
}

// postern_reply makes up an answer in the role integrate: return its result.
static inline int32_t postern_reply(int status, const char *type, postern_text content) {
	postern_set_status(status);
	postern_set(POSTERN_MAP_RESPONSE_HEADERS, "content-type", postern_of(type));
	return postern_set_content(POSTERN_BODY_RESPONSE, content);
}

// postern_answer answers instead of the backend in the role request: return its result.
static inline int32_t postern_answer(int status, const char *type, const char *content) {
	int32_t code = postern_reply(status, type, postern_of(content));
	return code ? code : POSTERN_ANSWER;
}

#endif
