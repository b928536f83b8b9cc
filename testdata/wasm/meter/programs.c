// Programs on which the cost of plugins/meter is measured: code as plugins have
// it. Built by the benchmark with
//   clang -O2 --target=wasm32 -nostdlib -Wl,--no-entry
// Each takes a count of rounds and returns something that depends on all of them.

typedef unsigned char u8;
typedef unsigned int u32;

#define EXPORT(name) __attribute__((export_name(#name)))
#define SIZE 65536

static u8 text[SIZE];
static u32 numbers[4096];

static void fill(void) {
	static const char sample[] = "{\"id\": 17, \"name\": \"Ada \\\"L\\\" Lovelace\", \"tags\": [\"a\", \"b\", [1, 2, 3]], \"ok\": true}\n";
	if (text[0]) return;
	for (u32 i = 0; i < SIZE; i++) text[i] = sample[i % (sizeof sample - 1)];
}

// A hash of each byte: the compiler unrolls it.
EXPORT(hash) u32 hash(u32 rounds) {
	fill();
	u32 h = 2166136261u;
	while (rounds--)
		for (u32 i = 0; i < SIZE; i++) h = (h ^ text[i]) * 16777619u;
	return h;
}

// The nesting of brackets outside of strings: branches that depend on data.
EXPORT(json) u32 json(u32 rounds) {
	fill();
	u32 deepest = 0;
	while (rounds--) {
		u32 depth = 0, quoted = 0;
		for (u32 i = 0; i < SIZE; i++) {
			u8 c = text[i];
			if (quoted) {
				if (c == '\\') i++;
				else if (c == '"') quoted = 0;
				continue;
			}
			switch (c) {
			case '"': quoted = 1; break;
			case '{': case '[': if (++depth > deepest) deepest = depth; break;
			case '}': case ']': depth--; break;
			}
		}
	}
	return deepest;
}

static u32 rotate(u32 x, u32 n) { return x >> n | x << (32 - n); }

// SHA-256's rounds over the text, without its padding.
EXPORT(sha256) u32 sha256(u32 rounds) {
	static u32 k[64];
	fill();
	if (!k[0])
		for (u32 i = 0, x = 0x428a2f98; i < 64; i++, x = x * 1664525 + 1013904223) k[i] = x | 1;
	u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	while (rounds--)
		for (u32 at = 0; at < SIZE; at += 64) {
			u32 w[64], s[8];
			for (u32 i = 0; i < 16; i++)
				w[i] = (u32)text[at + 4 * i] << 24 | text[at + 4 * i + 1] << 16 | text[at + 4 * i + 2] << 8 | text[at + 4 * i + 3];
			for (u32 i = 16; i < 64; i++) {
				u32 a = w[i - 15], b = w[i - 2];
				w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
			}
			for (u32 i = 0; i < 8; i++) s[i] = h[i];
			for (u32 i = 0; i < 64; i++) {
				u32 t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
				u32 t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
				s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1, s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2;
			}
			for (u32 i = 0; i < 8; i++) h[i] += s[i];
		}
	return h[0] ^ h[7];
}

static int compare(u32 a, u32 b) { return a < b ? -1 : a > b; }

// A heap sort that calls through a pointer to compare.
__attribute__((noinline)) static void sort(u32 *v, u32 n, int (*cmp)(u32, u32)) {
	for (u32 start = n / 2, end = n; end > 1;) {
		if (start) start--;
		else {
			u32 t = v[--end];
			v[end] = v[0], v[0] = t;
		}
		for (u32 root = start; 2 * root + 1 < end;) {
			u32 child = 2 * root + 1;
			if (child + 1 < end && cmp(v[child], v[child + 1]) < 0) child++;
			if (cmp(v[root], v[child]) >= 0) break;
			u32 t = v[root];
			v[root] = v[child], v[child] = t, root = child;
		}
	}
}

static int (*volatile order)(u32, u32) = compare;

EXPORT(sort) u32 sort_numbers(u32 rounds) {
	while (rounds--) {
		for (u32 i = 0, x = 1; i < 4096; i++, x = x * 1664525 + 1013904223) numbers[i] = x;
		sort(numbers, 4096, order);
	}
	return numbers[2048];
}

static float a[64][64], b[64][64], c[64][64];

EXPORT(matrix) u32 matrix(u32 rounds) {
	for (u32 i = 0; i < 64; i++)
		for (u32 j = 0; j < 64; j++) a[i][j] = i + j, b[i][j] = i - (float)j;
	while (rounds--)
		for (u32 i = 0; i < 64; i++)
			for (u32 j = 0; j < 64; j++) {
				float sum = 0;
				for (u32 k = 0; k < 64; k++) sum += a[i][k] * b[k][j];
				c[i][j] = sum, a[i][j] = sum / 65536;
			}
	return (u32)(int)c[7][9];
}

// Calls and nothing else.
EXPORT(fib) u32 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
