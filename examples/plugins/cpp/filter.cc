// A filter in C++: every request and its answer carry a trace id, and what lies
// below /internal is hidden. C's header is all that it takes; views of what it
// returns are valid until the call ends.
#include "plugin.h"

namespace {

// Field and Entry read as values and are assigned to as variables.
struct Field {
	int32_t number;
	operator postern_text() const { return postern_field(number); }
};

struct Entry {
	int32_t map;
	const char *name;
	operator postern_text() const { return postern_get(map, name); }
	void operator=(postern_text value) const { postern_set(map, name, value); }
};

constexpr Field path{POSTERN_FIELD_PATH}, id{POSTERN_FIELD_REQUEST_ID};
constexpr Entry incoming{POSTERN_MAP_HEADERS, "x-trace"}, outgoing{POSTERN_MAP_RESPONSE_HEADERS, "x-trace"};
constexpr Entry kept{POSTERN_MAP_BAG, "trace"};

} // namespace

POSTERN_ROLE(request) {
	if (postern_begins(path, "/internal")) {
		return postern_answer(404, "application/json", R"({"message":"not here"})");
	}
	postern_text trace = incoming;
	if (!trace.at) trace = id;
	incoming = trace;
	kept = trace;
	return POSTERN_CONTINUE;
}

POSTERN_ROLE(response) {
	outgoing = kept;
	postern_remove(POSTERN_MAP_RESPONSE_HEADERS, "x-powered-by");
	return POSTERN_CONTINUE;
}
