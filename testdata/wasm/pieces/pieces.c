// A guest that does to content in pieces what the header x-do says.
#include "plugin.h"

static int told(const char *what) { return postern_same(postern_get(POSTERN_MAP_HEADERS, "x-do"), what); }

static int64_t number(postern_text t) {
	int64_t n = 0;
	for (size_t i = 0; i < t.len; i++) n = 10 * n + (t.at[i] - '0');
	return n;
}

// capitals writes the piece in capital letters.
static void capitals(postern_text piece) {
	char *at = (char *)piece.at;
	for (size_t i = 0; i < piece.len; i++)
		if (at[i] >= 'a' && at[i] <= 'z') at[i] -= 'a' - 'A';
	postern_send(piece);
}

static int32_t look(void) {
	int64_t pieces = number(postern_get(POSTERN_MAP_BAG, "pieces")) + 1;
	int64_t bytes = number(postern_get(POSTERN_MAP_BAG, "bytes")) + postern_chunk_len();
	postern_set(POSTERN_MAP_BAG, "pieces", postern_number(pieces));
	postern_set(POSTERN_MAP_BAG, "bytes", postern_number(bytes));
	if (told("capitals")) {
		capitals(postern_piece());
	} else if (told("spoil")) {
		if (pieces == 2) __builtin_trap();
		capitals(postern_piece());
	} else if (told("drop")) {
		postern_chunk_write(0, 0);
	} else if (told("hold") && !postern_chunk_last()) { // until there are ten bytes
		if (postern_chunk_len() < 10) postern_chunk_keep(postern_chunk_len());
	} else if (told("lines")) { // whole ones, each behind its length
		postern_text piece = postern_piece();
		size_t from = 0;
		for (size_t i = 0; i < piece.len; i++) {
			if (piece.at[i] != '\n') continue;
			postern_send(postern_number((int64_t)(i - from)));
			postern_chunk_write(piece.at + from, i + 1 - from);
			from = i + 1;
		}
		if (from == 0) postern_chunk_write(0, 0);
		if (postern_chunk_last()) postern_chunk_write(piece.at + from, piece.len - from);
		else postern_chunk_keep((int32_t)(piece.len - from));
	} else if (told("refuse") && bytes > 5) {
		postern_set_field(POSTERN_FIELD_MESSAGE, postern_of("too many"));
		return POSTERN_REFUSE;
	} else if (told("trap") && pieces == 2) {
		__builtin_trap();
	} else if (told("loop") && pieces == 2) {
		for (volatile int i = 0;; i++) {}
	} else if (told("fail") && pieces == 2) {
		return postern_fails("as told");
	} else if (told("nothing")) {
		return 0;
	} else if (told("grow")) {
		char *block = postern_take(64 << 10);
		int n = 0;
		while (postern_chunk_write(block, 64 << 10) == 0) n++;
		if (n != 16) return postern_fails("more or less than 1 MiB");
	} else if (told("codes")) {
		char b[1];
		int right = postern_chunk_keep(-1) == POSTERN_BAD_ARGUMENT && postern_chunk_keep(1 << 30) == POSTERN_LIMIT &&
		            postern_chunk_keep(postern_chunk_len() + 1) == POSTERN_DENIED && postern_body_len(POSTERN_BODY_REQUEST) == POSTERN_WRONG_PHASE &&
		            postern_set(POSTERN_MAP_HEADERS, "x-a", postern_of("b")) == POSTERN_WRONG_PHASE &&
		            (!postern_chunk_last() || postern_chunk_keep(1) == POSTERN_DENIED);
		postern_piece();
		if (!right || postern_chunk_read(b, 1) != 0) return postern_fails("a code is wrong");
	}
	return POSTERN_CONTINUE;
}

POSTERN_ROLE(request_body) { return look(); }

POSTERN_ROLE(response_body) { return look(); }
