// A filter: it lets in and keeps out clients by their addresses.
//
//	config = { allow = ["10.0.0.0/8", "2001:db8::/32"], deny = ["10.1.2.3"] }
//
// The lists are merged into sorted ranges when the plugin starts, so that a
// request costs one search in each, whatever their length.
#include "plugin.h"

// An address of either family: IPv4 is ::ffff:a.b.c.d.
typedef struct {
	uint64_t high, low;
} address;

typedef struct {
	address first, last;
} range;

typedef struct {
	range *ranges;
	size_t count;
} list;

static list allowed, denied;
static int status = 403;

static int after(address a, address b) { return a.high != b.high ? a.high > b.high : a.low > b.low; }

// ---- texts to addresses

// parse_v4 reads four decimal numbers without leading zeros.
static int parse_v4(const char *s, size_t n, uint32_t *to) {
	uint32_t value = 0;
	size_t at = 0;
	for (int part = 0; part < 4; part++) {
		if (part && (at >= n || s[at++] != '.')) return 0;
		uint32_t number = 0;
		size_t begin = at;
		for (; at < n && s[at] >= '0' && s[at] <= '9'; at++) {
			number = number * 10 + (uint32_t)(s[at] - '0');
			if (number > 255) return 0;
		}
		if (at == begin || (s[begin] == '0' && at > begin + 1)) return 0;
		value = value << 8 | number;
	}
	*to = value;
	return at == n;
}

static int hex(char c) {
	if (c >= '0' && c <= '9') return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
	return -1;
}

// parse_v6 reads groups of hexadecimal digits, one "::", and IPv4 at the end.
// RFC 4291, 2.2.
static int parse_v6(const char *s, size_t n, address *to) {
	uint16_t groups[8] = {0};
	int count = 0, gap = -1;
	size_t at = 0;
	if (n >= 2 && s[0] == ':' && s[1] == ':') gap = 0, at = 2;
	while (at < n) {
		uint32_t four;
		if (count <= 6 && parse_v4(s + at, n - at, &four)) {
			groups[count++] = (uint16_t)(four >> 16), groups[count++] = (uint16_t)four;
			at = n;
			break;
		}
		if (count == 8) return 0;
		uint32_t group = 0;
		size_t begin = at;
		for (; at < n && at - begin < 4 && hex(s[at]) >= 0; at++) group = group << 4 | (uint32_t)hex(s[at]);
		if (at == begin) return 0;
		groups[count++] = (uint16_t)group;
		if (at == n) break;
		if (s[at++] != ':' || at == n) return 0;
		if (s[at] == ':') {
			if (gap >= 0) return 0;
			gap = count, at++;
		}
	}
	if (gap >= 0 ? count == 8 : count != 8) return 0;
	uint64_t halves[2] = {0, 0};
	for (int i = 0; i < 8; i++) {
		uint16_t group = 0;
		if (gap < 0 || i < gap) group = groups[i];
		else if (i >= 8 - (count - gap)) group = groups[i - (8 - count)];
		halves[i / 4] = halves[i / 4] << 16 | group;
	}
	to->high = halves[0], to->low = halves[1];
	return 1;
}

// parse reads an address and returns how many bits its family has, 0 for none.
static int parse(const char *s, size_t n, address *to) {
	uint32_t four;
	if (parse_v4(s, n, &four)) {
		to->high = 0, to->low = 0xffff00000000 | four;
		return 32;
	}
	return parse_v6(s, n, to) ? 128 : 0;
}

// parse_range reads ADDRESS or ADDRESS/BITS. Bits behind the prefix have to be 0:
// whoever sets some means another network than he writes.
static int parse_range(postern_text t, range *to) {
	size_t slash = 0;
	while (slash < t.len && t.at[slash] != '/') slash++;
	int width = parse(t.at, slash, &to->first);
	if (!width) return 0;
	int bits = width;
	if (slash < t.len) {
		size_t digits = t.len - slash - 1;
		if (digits < 1 || digits > 3 || (digits > 1 && t.at[slash + 1] == '0')) return 0;
		bits = 0;
		for (size_t i = slash + 1; i < t.len; i++) {
			if (t.at[i] < '0' || t.at[i] > '9') return 0;
			bits = bits * 10 + t.at[i] - '0';
		}
		if (bits > width) return 0;
	}
	bits += 128 - width;
	uint64_t high = bits >= 64 ? 0 : ~(uint64_t)0 >> bits;
	uint64_t low = bits >= 128 ? 0 : bits <= 64 ? ~(uint64_t)0 : ~(uint64_t)0 >> (bits - 64);
	if ((to->first.high & high) || (to->first.low & low)) return 0;
	to->last.high = to->first.high | high, to->last.low = to->first.low | low;
	return 1;
}

// ---- lists

// sort is Shell's: short, in place, and quick enough for lists of 100,000.
static void sort(range *r, size_t n) {
	size_t gap = 1;
	while (gap < n / 3) gap = gap * 3 + 1;
	for (; gap; gap /= 3) {
		for (size_t i = gap; i < n; i++) {
			range moved = r[i];
			size_t at = i;
			for (; at >= gap && after(r[at - gap].first, moved.first); at -= gap) r[at] = r[at - gap];
			r[at] = moved;
		}
	}
}

// merge makes one of ranges that overlap, so that they are in order of both ends.
static size_t merge(range *r, size_t n) {
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (kept && !after(r[i].first, r[kept - 1].last)) {
			if (after(r[i].last, r[kept - 1].last)) r[kept - 1].last = r[i].last;
			continue;
		}
		r[kept++] = r[i];
	}
	return kept;
}

// complain makes configure fail and names the entry that is wrong.
static int32_t complain(const char *key, int32_t index) {
	postern_text why = postern_join(postern_join(postern_of(key), postern_of("[")), postern_number(index));
	why = postern_join(why, postern_of("] is no address and no network such as 10.0.0.0/8 or 2001:db8::/32"));
	postern_fail(1, why.at, why.len);
	return -1;
}

// read_list reads the list at key, "allow" or "deny", of the config. What is taken
// while configure runs is never given back, so entries are read into a buffer.
static int32_t read_list(int32_t config, const char *key, list *to) {
	postern_text path = postern_join(postern_of("$."), postern_of(key));
	int32_t n = postern_json_count(config, path.at, path.len);
	if (n <= 0) return 0;
	to->ranges = (range *)(((uintptr_t)postern_take((size_t)n * sizeof(range) + 8) + 7) & ~(uintptr_t)7);
	char at[40], entry[64];
	__builtin_memcpy(at, path.at, path.len);
	at[path.len] = '[';
	for (int32_t i = 0; i < n; i++) {
		char digits[10];
		size_t count = 0, end = path.len + 1;
		for (int32_t rest = i; rest || !count; rest /= 10) digits[count++] = (char)('0' + rest % 10);
		while (count) at[end++] = digits[--count];
		at[end++] = ']';
		int32_t length = postern_json_get(config, at, end, entry, sizeof entry);
		if (length < 0 || (size_t)length > sizeof entry || !parse_range((postern_text){entry, (size_t)length}, &to->ranges[i])) return complain(key, i);
	}
	sort(to->ranges, (size_t)n);
	to->count = merge(to->ranges, (size_t)n);
	return 0;
}

static int has(const list *l, address a) {
	size_t low = 0, high = l->count; // the first range that begins behind a
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (after(l->ranges[middle].first, a)) high = middle;
		else low = middle + 1;
	}
	return low && !after(a, l->ranges[low - 1].last);
}

// ---- roles

POSTERN_ROLE(configure) {
	postern_text text = postern_config();
	int32_t config = postern_json_parse(text.at, text.len);
	if (config < 0) return postern_fails("config is no JSON");
	if (read_list(config, "allow", &allowed) || read_list(config, "deny", &denied)) return -1;
	if (!allowed.count && !denied.count) return postern_fails("config needs a list: allow = [\"10.0.0.0/8\"] or deny = […]");
	if (postern_same(postern_json(config, "$.status"), "404")) status = 404;
	return 0;
}

POSTERN_ROLE(request) {
	char text[64];
	address client;
	int32_t n = postern_field_get(POSTERN_FIELD_SOURCE_IP, text, sizeof text);
	// Who has no address, as behind a Unix socket, is in no list and let in by none.
	int known = n > 0 && (size_t)n <= sizeof text && parse(text, (size_t)n, &client);
	if (known && !has(&denied, client) && (!allowed.count || has(&allowed, client))) return POSTERN_CONTINUE;
	if (status == 404) return postern_answer(404, "application/json", "{\"message\":\"Not Found\"}");
	return postern_answer(403, "application/json", "{\"message\":\"Forbidden\"}");
}
