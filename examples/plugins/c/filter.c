// A filter: every request and its answer carry a trace id, and what lies below
// /internal is hidden.
#include "plugin.h"

POSTERN_ROLE(request) {
	if (postern_begins(postern_field(POSTERN_FIELD_PATH), "/internal")) {
		return postern_answer(404, "application/json", "{\"message\":\"not here\"}");
	}
	postern_text trace = postern_get(POSTERN_MAP_HEADERS, "x-trace");
	if (!trace.at) trace = postern_field(POSTERN_FIELD_REQUEST_ID);
	postern_set(POSTERN_MAP_HEADERS, "x-trace", trace);
	postern_set(POSTERN_MAP_BAG, "trace", trace);
	return POSTERN_CONTINUE;
}

POSTERN_ROLE(response) {
	postern_set(POSTERN_MAP_RESPONSE_HEADERS, "x-trace", postern_get(POSTERN_MAP_BAG, "trace"));
	postern_remove(POSTERN_MAP_RESPONSE_HEADERS, "x-powered-by");
	return POSTERN_CONTINUE;
}
