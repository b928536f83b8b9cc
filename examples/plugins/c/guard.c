// An authorizer: it lets in who knows the token of the plugin's config,
// config = { token = "…" }.
#include "plugin.h"

static postern_text token;

POSTERN_ROLE(configure) {
	postern_text config = postern_config();
	token = postern_json(postern_json_parse(config.at, config.len), "$.token");
	if (!token.len) return postern_fails("config needs a token: config = { token = \"…\" }");
	return 0;
}

POSTERN_ROLE(authorize) {
	postern_text given = postern_get(POSTERN_MAP_HEADERS, "authorization");
	if (!postern_begins(given, "Bearer ")) return POSTERN_UNAUTHENTICATED;
	if (postern_crypto_equal(given.at + 7, given.len - 7, token.at, token.len) != 1) return POSTERN_DENY;
	postern_set_principal(postern_of("bearer"));
	postern_set_context("stage", postern_field(POSTERN_FIELD_STAGE));
	return POSTERN_ALLOW;
}
