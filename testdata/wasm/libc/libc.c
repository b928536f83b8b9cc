// Memory of a C library and memory of a call beside each other: neither may
// overwrite the other, call after call.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

static char *kept, *own; // by the library and by the SDK, as long as the instance

POSTERN_ROLE(configure) {
	kept = calloc(1, 5000);
	own = postern_take(9000); // more than is always there
	memset(own, 4, 9000);
	return kept ? 0 : postern_fails("no memory");
}

POSTERN_ROLE(request) {
	enum { large = 100000 };
	char *one = malloc(large);
	postern_text given = postern_get(POSTERN_MAP_HEADERS, "x-in");
	char *call = postern_take(large);
	char *more = malloc(large);
	memset(one, 1, large);
	memset(call, 2, large);
	memset(more, 3, large);
	int wrong = 0;
	for (int i = 0; i < large; i++) wrong += (one[i] != 1) + (call[i] != 2) + (more[i] != 3);
	for (int i = 0; i < 5000; i++) wrong += kept[i] != 0;
	for (int i = 0; i < 9000; i++) wrong += own[i] != 4;
	snprintf(one, large, "%.*s %d %.2f", (int)given.len, given.at, wrong, 0.5);
	int32_t result = postern_answer(200, "text/plain", one);
	free(more);
	free(one);
	return result;
}
