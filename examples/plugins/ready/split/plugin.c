// A filter: it deals requests out to variants, and a client gets the same one
// each time.
//
//	config = { variants = [{ name = "old", weight = 95 }, { name = "new", weight = 5 }] }
//
// The backend reads the variant from a header; where it is remembered by a
// cookie, the response sets that.
#include "plugin.h"

enum { BY_COOKIE, BY_HEADER, BY_ADDRESS };
enum { MAX_VARIANTS = 16 };

typedef struct {
	postern_text name;
	uint32_t weight;
} variant;

static variant variants[MAX_VARIANTS];
static int32_t variant_count;
static uint32_t weights; // of all
static int by;
static postern_text experiment, cookie, max_age;

// The names of headers end with a zero byte, as C's texts do.
static const char *set_header_name, *key_header_name;

static const char *named(postern_text t) {
	char *s = postern_take(t.len + 1);
	__builtin_memcpy(s, t.at, t.len);
	s[t.len] = 0;
	return s;
}

static postern_text either(int32_t config, const char *path, const char *otherwise) {
	postern_text t = postern_json(config, path);
	return t.at ? t : postern_of(otherwise);
}

static uint32_t number(postern_text t) {
	uint32_t n = 0;
	for (size_t i = 0; i < t.len && t.at[i] >= '0' && t.at[i] <= '9'; i++) n = n * 10 + (uint32_t)(t.at[i] - '0');
	return n;
}

static int same(postern_text a, postern_text b) {
	if (a.len != b.len) return 0;
	for (size_t i = 0; i < a.len; i++)
		if (a.at[i] != b.at[i]) return 0;
	return 1;
}

POSTERN_ROLE(configure) {
	postern_text text = postern_config();
	int32_t config = postern_json_parse(text.at, text.len);
	variant_count = postern_json_count(config, "$.variants", 10);
	if (variant_count < 2 || variant_count > MAX_VARIANTS) return postern_fails("config needs 2 to 16 variants");
	for (int32_t i = 0; i < variant_count; i++) {
		postern_text path = postern_join(postern_of("$.variants["), postern_join(postern_number(i), postern_of("]")));
		variants[i].name = postern_json(config, named(postern_join(path, postern_of(".name"))));
		variants[i].weight = number(postern_json(config, named(postern_join(path, postern_of(".weight")))));
		weights += variants[i].weight;
		for (int32_t other = 0; other < i; other++)
			if (same(variants[i].name, variants[other].name)) return postern_fails("two variants have the same name");
	}
	if (!weights) return postern_fails("all weights are 0");
	postern_text how = either(config, "$.by", "cookie");
	by = postern_same(how, "header") ? BY_HEADER : postern_same(how, "address") ? BY_ADDRESS : BY_COOKIE;
	experiment = either(config, "$.experiment", "split");
	set_header_name = named(either(config, "$.header", "X-Variant"));
	cookie = either(config, "$.cookie", "variant");
	max_age = either(config, "$.max_age", "2592000");
	postern_text key_header = postern_json(config, "$.key_header");
	if (by == BY_HEADER && !key_header.len) return postern_fails("by = \"header\" needs key_header");
	if (key_header.len) key_header_name = named(key_header);
	return 0;
}

// pick returns the variant that a number from 0 on falls on.
static int32_t pick(uint32_t at) {
	at %= weights;
	for (int32_t i = 0; i < variant_count; i++) {
		if (at < variants[i].weight) return i;
		at -= variants[i].weight;
	}
	return 0;
}

// deal picks by a text. The experiment is part of it, so that those who are few
// in one aren't the same few in the next.
static int32_t deal(postern_text key) {
	uint8_t digest[32];
	postern_text whole = postern_join(postern_join(experiment, postern_of("\n")), key);
	if (postern_crypto_hash(POSTERN_SHA256, whole.at, whole.len, (char *)digest, sizeof digest) != sizeof digest) return 0;
	return pick((uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3]);
}

static int32_t find_variant(postern_text name) {
	for (int32_t i = 0; i < variant_count; i++)
		if (same(variants[i].name, name)) return i;
	return -1;
}

// remembered returns the variant in one Cookie field, -1 for none. RFC 6265, 4.2.1.
static int32_t remembered(postern_text field) {
	for (size_t at = 0; at < field.len;) {
		while (at < field.len && (field.at[at] == ' ' || field.at[at] == ';')) at++;
		size_t begin = at, equals = field.len;
		for (; at < field.len && field.at[at] != ';'; at++)
			if (field.at[at] == '=' && equals == field.len) equals = at;
		if (equals == field.len || !same((postern_text){field.at + begin, equals - begin}, cookie)) continue;
		return find_variant((postern_text){field.at + equals + 1, at - equals - 1});
	}
	return -1;
}

POSTERN_ROLE(request) {
	int32_t chosen = -1, fresh = 0;
	if (by == BY_COOKIE) {
		postern_text field = postern_get(POSTERN_MAP_HEADERS, "cookie");
		if (field.len) chosen = remembered(field);
		if (chosen < 0) {
			uint8_t bytes[4];
			postern_random((char *)bytes, sizeof bytes);
			chosen = pick((uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3]);
			fresh = 1;
		}
	} else {
		postern_text key = {0, 0};
		if (by == BY_HEADER) key = postern_get(POSTERN_MAP_HEADERS, key_header_name);
		if (!key.len) key = postern_field(POSTERN_FIELD_SOURCE_IP);
		chosen = deal(key);
	}
	postern_text name = variants[chosen].name;
	int32_t code = postern_set(POSTERN_MAP_HEADERS, set_header_name, name);
	// The client's Connection field names ours, to have it dropped on the way.
	if (code == POSTERN_DENIED) return postern_answer(400, "application/json", "{\"message\":\"Bad Request\"}");
	if (code) return postern_fails("the header with the variant wasn't taken");
	postern_set(POSTERN_MAP_BAG, "variant", name);
	if (fresh) postern_set(POSTERN_MAP_BAG, "fresh", name);
	return POSTERN_CONTINUE;
}

POSTERN_ROLE(response) {
	postern_text name = postern_get(POSTERN_MAP_BAG, "variant");
	if (!name.at) return POSTERN_CONTINUE;
	postern_set(POSTERN_MAP_RESPONSE_HEADERS, set_header_name, name);
	if (by == BY_COOKIE) postern_add(POSTERN_MAP_RESPONSE_HEADERS, "vary", postern_of("Cookie"));
	if (!postern_get(POSTERN_MAP_BAG, "fresh").at) return POSTERN_CONTINUE;
	postern_text value = postern_join(postern_join(cookie, postern_of("=")), name);
	value = postern_join(postern_join(value, postern_of("; Path=/; Max-Age=")), max_age);
	value = postern_join(value, postern_of("; HttpOnly; SameSite=Lax"));
	if (postern_same(postern_field(POSTERN_FIELD_SCHEME), "https")) value = postern_join(value, postern_of("; Secure"));
	postern_add(POSTERN_MAP_RESPONSE_HEADERS, "set-cookie", value);
	return POSTERN_CONTINUE;
}
