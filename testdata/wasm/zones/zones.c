// Puts records into the DNS server of pebble-challtestsrv, by its management
// interface, and lets names that begin with "a" have certificates.
#include "plugin.h"

static postern_text url;

POSTERN_ROLE(configure) {
	postern_text config = postern_config();
	url = postern_json(postern_json_parse(config.at, config.len), "$.url");
	return url.len ? 0 : postern_fails("config needs a url");
}

static postern_text with(postern_text one, const char *two, postern_text three) {
	return postern_join(postern_join(one, postern_of(two)), three);
}

POSTERN_ROLE(dns) {
	int removes = postern_same(postern_field(POSTERN_FIELD_RECORD_ACTION), "cleanup");
	postern_text to = postern_join(url, postern_of(removes ? "/clear-txt" : "/set-txt"));
	postern_text body = with(postern_of("{\"host\":\""), "", postern_field(POSTERN_FIELD_RECORD_NAME));
	if (removes) body = postern_join(body, postern_of(".\"}"));
	else body = postern_join(with(body, ".\",\"value\":\"", postern_field(POSTERN_FIELD_RECORD_VALUE)), postern_of("\"}"));
	int32_t call = postern_http_send("POST", 4, to.at, to.len, "", 0, body.at, body.len, 0);
	if (call < 0 || postern_http_status(call) != 200) return postern_fails("the server didn't take it");
	return 0;
}

POSTERN_ROLE(certify) {
	return postern_begins(postern_field(POSTERN_FIELD_DOMAIN_NAME), "a") ? POSTERN_ALLOW : POSTERN_DENY;
}
