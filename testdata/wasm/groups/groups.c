// Answers what each of the pure capability groups says; header x-do names it, and
// x-in is its input.
#include "plugin.h"

static int32_t key, regex;

POSTERN_ROLE(configure) {
	postern_text config = postern_config();
	postern_text keys = postern_json(postern_json_parse(config.at, config.len), "$.keys");
	key = postern_crypto_key_load(keys.at, keys.len);
	const char *pattern = "([a-z]+)-([0-9]+)";
	regex = postern_text_regex(pattern, postern_of(pattern).len);
	return key < 0 || regex < 0 ? postern_fails("no key or no expression") : 0;
}

static postern_text or_none(postern_text t) { return t.at ? t : postern_of("none"); }

static postern_text hex(postern_text t) { return POSTERN_READ(postern_text_encode, POSTERN_HEX, t.at, t.len); }

static postern_text entries(void) {
	postern_text all = postern_number(postern_map_count(POSTERN_MAP_QUERY)), name, value;
	for (int32_t i = 0; postern_entry(POSTERN_MAP_QUERY, i, &name, &value); i++) {
		all = postern_join(postern_join(all, postern_of(";")), postern_join(postern_join(name, postern_of("=")), value));
	}
	return all;
}

static postern_text document(postern_text in) {
	int32_t d = postern_json_parse(in.at, in.len);
	if (d < 0) return postern_of("none");
	postern_text all = postern_join(postern_number(postern_json_count(d, "$.a", 3)), POSTERN_READ(postern_json_name, d, "$", 1, 0));
	all = postern_join(all, or_none(postern_json(d, "$.a[1].b")));
	postern_set_json(d, "$.n", postern_quote(postern_of("\"\n")));
	postern_json_delete(d, "$.a", 3);
	return postern_join(all, POSTERN_READ(postern_json_write, d));
}

static postern_text result(postern_text what, postern_text in) {
	if (postern_same(what, "hash")) return hex(POSTERN_READ(postern_crypto_hash, POSTERN_SHA256, in.at, in.len));
	if (postern_same(what, "hmac")) return hex(POSTERN_READ(postern_crypto_hmac, POSTERN_SHA256, "key", 3, in.at, in.len));
	if (postern_same(what, "equal")) return postern_of(postern_crypto_equal(in.at, in.len, "same", 4) == 1 ? "true" : "false");
	if (postern_same(what, "jwt")) {
		postern_text claims = POSTERN_READ(postern_crypto_jwt_verify, key, in.at, in.len);
		return claims.at ? postern_json(postern_json_parse(claims.at, claims.len), "$.sub") : postern_of("none");
	}
	if (postern_same(what, "find")) return or_none(POSTERN_READ(postern_text_find, regex, in.at, in.len, 2));
	if (postern_same(what, "match")) return postern_of(postern_text_match(regex, in.at, in.len) == 1 ? "true" : "false");
	if (postern_same(what, "replace")) return POSTERN_READ(postern_text_replace, regex, in.at, in.len, "$2 $1", 5);
	if (postern_same(what, "encode")) return POSTERN_READ(postern_text_encode, POSTERN_BASE64_URL, in.at, in.len);
	if (postern_same(what, "decode")) return or_none(POSTERN_READ(postern_text_decode, POSTERN_BASE64, in.at, in.len));
	if (postern_same(what, "json")) return document(in);
	if (postern_same(what, "entries")) return entries();
	return postern_of("unknown");
}

POSTERN_ROLE(request) {
	postern_text answer = result(postern_get(POSTERN_MAP_HEADERS, "x-do"), postern_get(POSTERN_MAP_HEADERS, "x-in"));
	int32_t code = postern_reply(200, "text/plain", answer);
	return code ? code : POSTERN_ANSWER;
}
