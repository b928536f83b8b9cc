// A plugin of Extism without a PDK, for tests. "authorize" and "handle" get events;
// "raw" does what its input says, which no PDK would.

typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned char u8;

#define IMPORT(name) __attribute__((import_module("extism:host/env"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

IMPORT("alloc") u64 block(u64 size);
IMPORT("free") void release(u64 at);
IMPORT("length") u64 length(u64 at);
IMPORT("load_u8") u32 load8(u64 at);
IMPORT("load_u64") u64 load64(u64 at);
IMPORT("store_u8") void store8(u64 at, u32 value);
IMPORT("store_u64") void store64(u64 at, u64 value);
IMPORT("input_length") u64 input_length(void);
IMPORT("input_load_u8") u32 input_load8(u64 at);
IMPORT("input_load_u64") u64 input_load64(u64 at);
IMPORT("output_set") void output_set(u64 at, u64 size);
IMPORT("error_set") void error_set(u64 at);
IMPORT("var_get") u64 var_get(u64 name);
IMPORT("var_set") void var_set(u64 name, u64 value);
IMPORT("memory_bytes") u64 memory_bytes(void);
IMPORT("reset") void reset(void);

static u64 text(const char *s) {
	u64 n = 0;
	while (s[n]) n++;
	u64 at = block(n);
	for (u64 i = 0; i < n; i++) store8(at + i, (u8)s[i]);
	return at;
}

static void answer(const char *s) {
	u64 at = text(s);
	output_set(at, length(at));
}

// has reports whether the input has s in it.
static int has(const char *s) {
	for (u64 i = 0; i < input_length(); i++) {
		u64 j = 0;
		while (s[j] && input_load8(i + j) == (u8)s[j]) j++;
		if (!s[j]) return 1;
	}
	return 0;
}

EXPORT("authorize") int authorize(void) {
	if (!has("\"type\":\"REQUEST\",\"methodArn\":\"arn:aws:execute-api:")) return 7;
	if (has("\"allow\"")) answer("{\"isAuthorized\":true,\"principalId\":\"anna\",\"context\":{\"level\":3}}");
	else if (has("\"who\"")) answer("{\"isAuthorized\":false,\"status\":401}");
	else if (has("\"policy\"")) answer("{\"policyDocument\":{}}");
	else if (has("\"junk\"")) answer("no JSON");
	else answer("{}");
	return 0;
}

EXPORT("handle") int handle(void) {
	answer(has("\"httpMethod\":\"GET\"") ? "{\"statusCode\":201,\"body\":\"made\"}" : "{}");
	return 0;
}

// digits sets the output to n in decimal.
static int digits(u64 n) {
	char s[24];
	int i = 23;
	s[23] = 0;
	do {
		s[--i] = '0' + n % 10;
		n /= 10;
	} while (n);
	answer(s + i);
	return 0;
}

EXPORT("raw") u64 raw(void) {
	u64 a, b, c;
	switch (input_load8(0)) {
	case 'l': // lengths of what is no block
		return digits(length(0) + length(1) + length(17) + length((u64)-1) + length(1ull << 32));
	case 'i': // beyond the input
		return digits(input_load8(1) + input_load64(0) + input_load8((u64)-1) + input_load64((u64)-8));
	case 'r':
		load8(1ull << 40);
		break;
	case 'R':
		load64((u64)-4);
		break;
	case 'w':
		store64(memory_bytes() - 4, 1);
		break;
	case 'W':
		store8((u64)-1, 1);
		break;
	case 'o':
		output_set(16, (u64)-8);
		break;
	case 'f': // the output given back
		a = text("gone");
		output_set(a, 4);
		release(a);
		break;
	case 'F': // twice, and nothing
		a = text("twice");
		release(a), release(a), release(0), release(12345);
		break;
	case 'a': // what was given back is used again, and is zero
		a = block(64), b = block(64), c = block(64);
		store64(b, 1);
		release(b);
		if (length(b) || block(64) != b || load64(b) || !length(a) || !length(c)) return 1;
		release(c), release(b), release(a);
		for (int i = 0; i < 100000; i++) release(block(1000));
		return memory_bytes() > 10000 || digits(5);
	case 'm':
		for (;;) block(1 << 20);
	case 'M':
		block((u64)-1);
		break;
	case 'n': // many
		for (int i = 0; i < 200000; i++) block(8);
		break;
	case 'e':
		error_set(9999);
		break;
	case 'E': { // an error that is no text
		u64 at = block(2);
		store8(at, 0xff), store8(at + 1, 'x');
		error_set(at);
		break;
	}
	case 'v': // counts
		a = var_get(text("n"));
		b = block(8);
		store64(b, (a ? load64(a) : 0) + 1);
		c = load64(b);
		var_set(text("n"), b);
		return digits(c);
	case 'V':
		var_set(text("big"), block(1 << 20));
		break;
	case 'x': // removes
		var_set(text("n"), 0);
		return digits(var_get(text("n")));
	case 'z':
		reset();
		return digits(memory_bytes() + input_length());
	case '9':
		return 9;
	}
	return 0;
}
