// Uses the groups that have to be granted, as header x-do says; x-in is an address.
#include "plugin.h"

static int32_t counter, gauge, histogram;

POSTERN_ROLE(configure) {
	counter = postern_metric_define(POSTERN_COUNTER, "calls", 5);
	gauge = postern_metric_define(POSTERN_GAUGE, "level", 5);
	histogram = postern_metric_define(POSTERN_HISTOGRAM, "size", 4);
	return 0;
}

static postern_text with_space(postern_text one, postern_text other) {
	if (!other.at) other = postern_of("none");
	return one.at ? postern_join(postern_join(one, postern_of(" ")), other) : other;
}

static postern_text values(void) {
	postern_text all = {0, 0};
	all = with_space(all, POSTERN_READ(postern_kv_get, "a", 1));
	all = with_space(all, postern_number(postern_kv_set("a", 1, "one", 3, 0)));
	all = with_space(all, POSTERN_READ(postern_kv_get, "a", 1));
	all = with_space(all, postern_number(postern_kv_cas("a", 1, "two", 3, "three", 5, 0)));
	all = with_space(all, postern_number(postern_kv_cas("a", 1, "one", 3, "three", 5, 0)));
	all = with_space(all, POSTERN_READ(postern_kv_get, "a", 1));
	all = with_space(all, postern_number(postern_kv_add("n", 1, 2, 0)));
	all = with_space(all, postern_number(postern_kv_add("n", 1, 3, 0)));
	postern_kv_delete("a", 1);
	postern_kv_delete("n", 1);
	return with_space(all, POSTERN_READ(postern_kv_get, "a", 1));
}

static postern_text figures(void) {
	int32_t code = postern_metric_add(counter, 2) | postern_metric_set(gauge, -7) | postern_metric_observe(histogram, 100);
	return postern_number(code);
}

static postern_text fetch(postern_text url) {
	postern_text headers = postern_of("X-Ask: c\n");
	int32_t one = postern_http_send("POST", 4, url.at, url.len, headers.at, headers.len, "ping", 4, 0);
	if (one < 0) return postern_number(one);
	int32_t other = postern_http_send("GET", 3, url.at, url.len, 0, 0, 0, 0, 1000000000);
	postern_text all = with_space(postern_number(postern_http_status(one)), POSTERN_READ(postern_http_header, one, "x-say", 5));
	char *part = postern_take(16);
	int32_t n = postern_http_read(one, part, 16);
	all = with_space(all, (postern_text){part, n < 0 ? 0 : (size_t)n});
	return with_space(all, postern_number(postern_http_status(other)));
}

POSTERN_ROLE(request) {
	postern_text what = postern_get(POSTERN_MAP_HEADERS, "x-do");
	postern_text answer = postern_same(what, "kv") ? values() : postern_same(what, "metric") ? figures() : fetch(postern_get(POSTERN_MAP_HEADERS, "x-in"));
	int32_t code = postern_reply(200, "text/plain", answer);
	return code ? code : POSTERN_ANSWER;
}
