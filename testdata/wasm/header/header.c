// The smallest useful filter, for measuring: it reads one header and sets one.
#include "plugin.h"

POSTERN_ROLE(request) {
	postern_set(POSTERN_MAP_HEADERS, "x-agent", postern_get(POSTERN_MAP_HEADERS, "user-agent"));
	return POSTERN_CONTINUE;
}
