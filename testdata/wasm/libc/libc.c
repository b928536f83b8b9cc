// Memory of a C library and memory of a call beside each other: neither may
// overwrite the other, call after call.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

static char *kept; // by the library, as long as the instance

POSTERN_ROLE(configure) {
	kept = calloc(1, 5000);
	return kept ? 0 : postern_fails("no memory");
}

POSTERN_ROLE(request) {
	enum { large = 100000 };
	char *own = malloc(large);
	postern_text given = postern_get(POSTERN_MAP_HEADERS, "x-in");
	char *call = postern_take(large);
	char *more = malloc(large);
	memset(own, 1, large);
	memset(call, 2, large);
	memset(more, 3, large);
	int wrong = 0;
	for (int i = 0; i < large; i++) wrong += (own[i] != 1) + (call[i] != 2) + (more[i] != 3);
	for (int i = 0; i < 5000; i++) wrong += kept[i] != 0;
	snprintf(own, large, "%.*s %d %.2f", (int)given.len, given.at, wrong, 0.5);
	int32_t result = postern_answer(200, "text/plain", own);
	free(more);
	free(own);
	return result;
}
