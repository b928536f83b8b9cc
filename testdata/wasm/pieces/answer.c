// A guest that reads and sends content in pieces, as the header x-do says.
#include "plugin.h"

static int told(const char *what) { return postern_same(postern_get(POSTERN_MAP_HEADERS, "x-do"), what); }

static char buffer[16 << 10];

POSTERN_ROLE(integrate) {
	if (told("echo")) {
		postern_set(POSTERN_MAP_RESPONSE_HEADERS, "x-kind", postern_of("echo"));
		int32_t n;
		while ((n = postern_chunk_read(buffer, sizeof buffer)) > 0)
			if (postern_chunk_write(buffer, (size_t)n)) return postern_fails("the client left");
		if (n < 0) return postern_fails("the request broke off");
		return postern_chunk_write(0, 0);
	}
	if (told("count")) { // an answer that is whole
		int64_t all = 0;
		int32_t n;
		while ((n = postern_chunk_read(buffer, sizeof buffer)) > 0) all += n;
		postern_text text = postern_number(n < 0 ? n : all);
		postern_set_status(201);
		return postern_body_write(POSTERN_BODY_RESPONSE, text.at, text.len);
	}
	if (told("forever")) {
		int32_t code;
		while ((code = postern_chunk_write(buffer, sizeof buffer)) == 0) {}
		postern_say(POSTERN_LEVEL_WARN, code == POSTERN_UNAVAILABLE ? "left" : "another code");
		return 0;
	}
	if (told("deaf")) { // goes on when nobody listens
		for (;;) postern_chunk_write(buffer, 1);
	}
	if (told("teapot")) {
		postern_set_status(418);
		postern_set(POSTERN_MAP_RESPONSE_HEADERS, "x-kind", postern_of("pot"));
		postern_send(postern_of("short "));
		int wrong = postern_set_status(200) != POSTERN_WRONG_PHASE || postern_set(POSTERN_MAP_RESPONSE_HEADERS, "x-late", postern_of("1")) != POSTERN_WRONG_PHASE ||
		            postern_body_write(POSTERN_BODY_RESPONSE, "x", 1) != POSTERN_WRONG_PHASE;
		postern_send(wrong ? postern_of("wrong ") : postern_of("and "));
		postern_send(postern_field(POSTERN_FIELD_METHOD));
		return 0;
	}
	if (told("trap")) {
		postern_send(postern_of("half"));
		__builtin_trap();
	}
	if (told("loop")) {
		postern_send(postern_of("half"));
		for (volatile int i = 0;; i++) {}
	}
	if (told("work")) { // as long for each piece as it may be for one
		for (int i = 0; i < 4; i++) {
			int64_t until = postern_time() + 60 * 1000000;
			while (postern_time() < until) {}
			postern_send(postern_of("done "));
		}
		return 0;
	}
	if (told("none")) {
		postern_set_status(204);
		return postern_chunk_write("x", 1) == POSTERN_DENIED && postern_chunk_len() == POSTERN_WRONG_PHASE ? 0 : postern_fails("another code");
	}
	if (told("both")) {
		postern_body_write(POSTERN_BODY_RESPONSE, "whole", 5);
		return postern_chunk_write("x", 1) == POSTERN_WRONG_PHASE ? 0 : postern_fails("another code");
	}
	return 0;
}
