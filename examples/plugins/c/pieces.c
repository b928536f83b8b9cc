// Content in pieces: a word that no request may have and that no response shows, of
// any length and without storing it; and an integration that answers while it reads.
#include "plugin.h"

static const char word[] = "sesame";
enum { length = sizeof word - 1 };

// find returns where the word begins in text from some place on, or the text's length.
static size_t find(postern_text text, size_t from) {
	for (; from + length <= text.len; from++) {
		size_t i = 0;
		while (i < length && text.at[from + i] == word[i]) i++;
		if (i == length) return from;
	}
	return text.len;
}

// hold keeps back the end of a piece that could be the beginning of the word.
static void hold(postern_text piece) {
	if (postern_chunk_last()) return;
	postern_chunk_keep((int32_t)(piece.len < length - 1 ? piece.len : length - 1));
}

POSTERN_ROLE(request_body) {
	postern_text piece = postern_piece();
	if (find(piece, 0) < piece.len) {
		postern_set_field(POSTERN_FIELD_MESSAGE, postern_of("a word is missing its door"));
		return POSTERN_REFUSE;
	}
	hold(piece);
	return POSTERN_CONTINUE;
}

POSTERN_ROLE(response_body) {
	postern_text piece = postern_piece();
	size_t at = 0, next;
	while ((next = find(piece, at)) < piece.len) {
		postern_chunk_write(piece.at + at, next - at);
		postern_send(postern_of("******"));
		at = next + length;
	}
	size_t rest = piece.len - at, kept = postern_chunk_last() ? 0 : rest < length - 1 ? rest : length - 1;
	postern_chunk_write(piece.at + at, rest - kept);
	postern_chunk_keep((int32_t)kept);
	return POSTERN_CONTINUE;
}

POSTERN_ROLE(integrate) {
	static char buffer[8192];
	postern_set(POSTERN_MAP_RESPONSE_HEADERS, "content-type", postern_of("text/plain"));
	int32_t n;
	while ((n = postern_chunk_read(buffer, sizeof buffer)) > 0) {
		for (int32_t i = 0; i < n; i++)
			if (buffer[i] >= 'a' && buffer[i] <= 'z') buffer[i] -= 'a' - 'A';
		if (postern_chunk_write(buffer, (size_t)n)) return postern_fails("the client left");
	}
	if (n < 0) return postern_fails("the request broke off");
	return postern_chunk_write(0, 0); // a head also for an answer without content
}
