// An integration: it greets whom the path names.
#include "plugin.h"

POSTERN_ROLE(integrate) {
	postern_text name = postern_get(POSTERN_MAP_PATH_PARAMS, "name");
	postern_text greeting = postern_get(POSTERN_MAP_STAGE_VARIABLES, "greeting");
	if (!greeting.at) greeting = postern_of("Hello");
	postern_text message = postern_join(postern_join(greeting, postern_of(", ")), postern_join(name, postern_of("!")));
	return postern_reply(200, "application/json",
		postern_join(postern_join(postern_of("{\"message\":"), postern_quote(message)), postern_of("}")));
}
