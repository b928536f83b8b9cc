// Mappings for a backend that speaks another JSON, and a check of what it is sent.
#include "plugin.h"

// The content has to be an object with a name.
POSTERN_ROLE(validate) {
	postern_text limit = postern_get(POSTERN_MAP_QUERY, "limit");
	for (size_t i = 0; i < limit.len; i++) {
		if (limit.at[i] < '0' || limit.at[i] > '9') return POSTERN_INVALID_PARAMETERS;
	}
	int32_t document = postern_json_open(POSTERN_BODY_REQUEST);
	if (document < 0 || postern_json_kind(document, "$.name", 6) != POSTERN_KIND_STRING) return POSTERN_INVALID_BODY;
	return POSTERN_VALID;
}

// {"name":N} becomes {"name":N,"from":ADDRESS}.
POSTERN_ROLE(map_request) {
	int32_t document = postern_json_open(POSTERN_BODY_REQUEST);
	if (document < 0) return postern_fails("the content isn't JSON");
	postern_set_json(document, "$.from", postern_quote(postern_field(POSTERN_FIELD_SOURCE_IP)));
	postern_set(POSTERN_MAP_BACKEND_HEADERS, "x-api", postern_field(POSTERN_FIELD_API_ID));
	return postern_json_write_body(document, POSTERN_BODY_BACKEND);
}

// {"pet":P} becomes {"data":{"pet":P}}; the backend's 404 becomes 410.
POSTERN_ROLE(map_response) {
	if (postern_same(postern_field(POSTERN_FIELD_BACKEND_STATUS), "404")) postern_set_status(410);
	postern_text was = postern_content(POSTERN_BODY_RESPONSE);
	postern_set(POSTERN_MAP_RESPONSE_HEADERS, "content-type", postern_of("application/json"));
	return postern_set_content(POSTERN_BODY_RESPONSE,
		postern_join(postern_join(postern_of("{\"data\":"), was), postern_of("}")));
}
