// What stands between QuickJS and the gateway: it gives the host's functions to
// JavaScript, and JavaScript's functions to the host. sdk/js/build links it with
// QuickJS, runs init, and keeps what is in memory then.
//
// It shares QuickJS's memory. Its own variables and stack lie at the lower end
// of the megabyte that QuickJS has for its stack, of which it is told to use half.
#include "postern.h"

// QuickJS's values are 64 bits on a 32-bit machine: a tag above, 32 bits below.
typedef uint64_t Value;
typedef struct Context Context;

enum { tag_undefined = 3, tag_exception = 6 };

static int32_t tag(Value v) { return (int32_t)(v >> 32); }
static const Value undefined = (Value)tag_undefined << 32;

#define QUICKJS(name) POSTERN_IMPORT("quickjs", #name)
QUICKJS(qjs_init) int32_t qjs_init(void);
QUICKJS(qjs_get_context_ptr) Context *qjs_get_context_ptr(void);
QUICKJS(qjs_get_runtime_ptr) void *qjs_get_runtime_ptr(void);
QUICKJS(qjs_set_max_stack_size) void qjs_set_max_stack_size(int32_t size);
QUICKJS(qjs_set_module_loader) void qjs_set_module_loader(int32_t on);
QUICKJS(qjs_dup_value) Value *qjs_dup_value(const Value *v);
QUICKJS(qjs_free_value) void qjs_free_value(Value *v);
QUICKJS(qjs_new_host_function) Value *qjs_new_host_function(const char *name, int32_t length, int32_t arguments);
QUICKJS(malloc) void *malloc(size_t size);
QUICKJS(realloc) void *realloc(void *at, size_t size);
QUICKJS(JS_Eval) Value JS_Eval(Context *ctx, const char *source, uint32_t length, const char *name, int32_t flags);
QUICKJS(JS_Call) Value JS_Call(Context *ctx, Value f, Value this, int32_t count, Value *arguments);
QUICKJS(JS_FreeValue) void JS_FreeValue(Context *ctx, Value v);
QUICKJS(JS_GetGlobalObject) Value JS_GetGlobalObject(Context *ctx);
QUICKJS(JS_GetPropertyStr) Value JS_GetPropertyStr(Context *ctx, Value object, const char *name);
QUICKJS(JS_SetPropertyStr) int32_t JS_SetPropertyStr(Context *ctx, Value object, const char *name, Value v);
QUICKJS(JS_SetPropertyUint32) int32_t JS_SetPropertyUint32(Context *ctx, Value object, uint32_t index, Value v);
QUICKJS(JS_NewObject) Value JS_NewObject(Context *ctx);
QUICKJS(JS_NewArray) Value JS_NewArray(Context *ctx);
QUICKJS(JS_NewNumber) Value JS_NewNumber(Context *ctx, double n);
QUICKJS(JS_NewStringLen) Value JS_NewStringLen(Context *ctx, const char *at, uint32_t length);
QUICKJS(JS_NewUint8ArrayCopy) Value JS_NewUint8ArrayCopy(Context *ctx, const void *at, uint32_t length);
QUICKJS(JS_GetTypedArrayType) int32_t JS_GetTypedArrayType(Value v);
QUICKJS(JS_GetUint8Array) char *JS_GetUint8Array(Context *ctx, uint32_t *length, Value v);
QUICKJS(JS_ToCStringLen2) const char *JS_ToCStringLen2(Context *ctx, uint32_t *length, Value v, int32_t cesu8);
QUICKJS(JS_FreeCString) void JS_FreeCString(Context *ctx, const char *at);
QUICKJS(JS_ToInt64Ext) int32_t JS_ToInt64Ext(Context *ctx, int64_t *n, Value v);
QUICKJS(JS_ToInt32) int32_t JS_ToInt32(Context *ctx, int32_t *n, Value v);
QUICKJS(JS_ToBool) int32_t JS_ToBool(Context *ctx, Value v);
QUICKJS(JS_IsPromise) int32_t JS_IsPromise(Value v);
QUICKJS(JS_PromiseState) int32_t JS_PromiseState(Context *ctx, Value v);
QUICKJS(JS_PromiseResult) Value JS_PromiseResult(Context *ctx, Value v);
QUICKJS(JS_GetException) Value JS_GetException(Context *ctx);
QUICKJS(JS_Throw) Value JS_Throw(Context *ctx, Value e);
QUICKJS(JS_IsJobPending) int32_t JS_IsJobPending(void *runtime);
QUICKJS(JS_ExecutePendingJob) int32_t JS_ExecutePendingJob(void *runtime, Context **ctx);
QUICKJS(JS_ThrowPlainError) Value JS_ThrowPlainError(Context *ctx, const char *format, const void *arguments);

POSTERN_IMPORT("wasi_snapshot_preview1", "fd_write") int32_t fd_write(int32_t file, const void *vectors, int32_t count, uint32_t *written);

// What the glue adds to the host's functions: text of bytes.
enum { utf8 = -1 };

static const struct function {
	int32_t number;
	const char *name, *signature;
} functions[] = {
#define ENTRY(number, name, signature) {number, name, signature},
#include "calls.h"
#undef ENTRY
	{utf8, "utf8", "tb"},
};

enum { function_count = sizeof functions / sizeof *functions, most_arguments = 8, first_size = 4096, most_bytes = 16 << 20 };

struct argument {
	int64_t number;
	const char *at;
	int32_t length;
	int32_t owned; // at has to be given back
};

struct buffer {
	char *at;
	int32_t size;
};

static Context *ctx;
static struct buffer buffer[2];
static int32_t built; // init is over: there is a gateway
static Value exports[11]; // what each export runs, in the order of names in init

static int64_t run(int32_t number, const struct argument *a) {
	switch (number) {
	case utf8:
		if (a[0].length <= buffer[0].size) __builtin_memcpy(buffer[0].at, a[0].at, (size_t)a[0].length);
		return a[0].length;
#define CASES
#include "calls.h"
#undef CASES
	}
	return -4;
}

static uint32_t length_of(const char *s) {
	uint32_t n = 0;
	while (s[n]) n++;
	return n;
}

// enlarge makes room for n bytes in b.
static void enlarge(struct buffer *b, int64_t n) {
	if (n <= b->size) return;
	b->at = realloc(b->at, (uint32_t)n);
	if (!b->at) __builtin_trap();
	b->size = (int32_t)n;
}

// take reads the arguments of a function from JavaScript's. It returns -1 with
// an exception pending if one isn't of its kind.
static int32_t take(const char *signature, struct argument *a, int32_t count, Value **values, int32_t *used) {
	int32_t next = 0;
	for (int32_t i = 0; signature[i]; i++) {
		Value v = undefined;
		if (signature[i] != 'b') {
			if (next < count) v = *values[next];
			next++;
		}
		switch (signature[i]) {
		case 't':
			if (JS_GetTypedArrayType(v) >= 0) {
				a[i].at = JS_GetUint8Array(ctx, (uint32_t *)&a[i].length, v);
				if (!a[i].at) return -1;
				break;
			}
			a[i].at = JS_ToCStringLen2(ctx, (uint32_t *)&a[i].length, v, 0);
			if (!a[i].at) return -1;
			a[i].owned = 1;
			break;
		case 'c':
		case 'r': // JavaScript says how many bytes it wants
		case 'i':
		case 'I':
			if (JS_ToInt64Ext(ctx, &a[i].number, v)) return -1;
			if (signature[i] == 'i' || signature[i] == 'I') break;
			if (a[i].number < 0) a[i].number = 0;
			if (a[i].number > most_bytes) a[i].number = most_bytes;
			enlarge(&buffer[0], a[i].number);
			break;
		}
	}
	*used = next;
	return 0;
}

// give makes JavaScript's value of a result. other asks for a Uint8Array where
// text is usual, and for text where bytes are.
static Value give(const char *signature, const struct argument *a, int64_t result, int32_t other) {
	char kind = 0;
	int32_t wanted = 0;
	for (int32_t i = 0; signature[i]; i++) {
		if (signature[i] == 'b' && kind == 'b') kind = '2';
		else if (signature[i] == 'b' || signature[i] == 'c' || signature[i] == 'r') kind = signature[i], wanted = (int32_t)a[i].number;
	}
	if (!kind || result < 0) return JS_NewNumber(ctx, (double)result);
	if (kind == '2') {
		Value pair = JS_NewArray(ctx);
		JS_SetPropertyUint32(ctx, pair, 0, JS_NewStringLen(ctx, buffer[0].at, (uint32_t)(result >> 32)));
		JS_SetPropertyUint32(ctx, pair, 1, JS_NewStringLen(ctx, buffer[1].at, (uint32_t)result));
		return pair;
	}
	uint32_t n = kind == 'r' ? (uint32_t)wanted : (uint32_t)result;
	if ((kind == 'b') == !!other) return JS_NewUint8ArrayCopy(ctx, buffer[0].at, n);
	return JS_NewStringLen(ctx, buffer[0].at, n);
}

// host_call is called by QuickJS for the functions that init has made. The name
// of such a function is its index in functions.
POSTERN_EXPORT("host_call") Value *host_call(const char *name, int32_t length, Value *this, int32_t count, Value **values) {
	(void)this;
	int32_t index = 0;
	for (int32_t i = 0; i < length; i++) index = index * 10 + (name[i] - '0');
	if (index < 0 || index >= function_count) __builtin_trap();
	const char *signature = functions[index].signature;
	struct argument a[most_arguments] = {0};
	int32_t used = 0, two = 0;
	if (!built) {
		JS_ThrowPlainError(ctx, "there is no gateway while the plugin is built: ask it in configure or later, not at the top level", 0);
		return 0;
	}
	int32_t thrown = take(signature, a, count, values, &used);
	Value v = undefined;
	if (!thrown) {
		for (int32_t i = 0; signature[i]; i++) two += signature[i] == 'b';
		for (;;) {
			int64_t result = run(functions[index].number, a);
			int64_t need = two == 2 ? result >> 32 : result;
			int64_t second = two == 2 ? (uint32_t)result : 0;
			if (two && result >= 0 && (need > buffer[0].size || second > buffer[1].size)) {
				enlarge(&buffer[0], need);
				enlarge(&buffer[1], second);
				continue;
			}
			v = give(signature, a, result, used < count && JS_ToBool(ctx, *values[used]));
			break;
		}
	}
	for (int32_t i = 0; i < most_arguments; i++)
		if (a[i].owned) JS_FreeCString(ctx, a[i].at);
	if (thrown) return 0;
	Value *kept = qjs_dup_value(&v);
	JS_FreeValue(ctx, v);
	return kept;
}

// Nothing stops JavaScript but the host's own clock.
POSTERN_EXPORT("host_interrupt") int32_t host_interrupt(void) { return 0; }

POSTERN_EXPORT("host_promise_rejection") void host_promise_rejection(Value *promise, Value *reason, int32_t handled) {
	(void)handled;
	qjs_free_value(promise);
	qjs_free_value(reason);
}

POSTERN_EXPORT("host_get_timezone_offset") int32_t host_get_timezone_offset(int32_t high, int32_t low) {
	(void)high, (void)low;
	return 0; // UTC
}

// The modules that a handler can import, and the handler itself.
static char source_postern[] = {
#embed "postern.js"
	, 0};
static char source_handler[] = {
#embed HANDLER
	, 0};
static const char entry[] = "import * as handler from 'handler'; import { start } from 'postern'; start(handler);";

static int32_t same(const char *one, const char *other) {
	uint32_t i = 0;
	while (one[i] && one[i] == other[i]) i++;
	return one[i] == other[i];
}

static char *copy(const char *text) {
	uint32_t n = length_of(text) + 1;
	char *c = malloc(n);
	if (!c) __builtin_trap();
	__builtin_memcpy(c, text, n);
	return c;
}

POSTERN_EXPORT("host_module_normalize") char *host_module_normalize(const char *from, const char *name) {
	(void)from;
	return copy(name);
}

POSTERN_EXPORT("host_module_load") char *host_module_load(const char *name, uint32_t *length) {
	const char *source = 0;
	if (same(name, "handler")) source = source_handler;
	else if (same(name, "postern")) source = source_postern;
	if (!source) {
		JS_ThrowPlainError(ctx, "there is no module of that name: a handler can import only postern; put all else into one file with a bundler", 0);
		return 0;
	}
	*length = length_of(source);
	return copy(source);
}

// settle waits for a promise and returns what it comes to; v is given up.
static Value settle(Value v) {
	while (JS_IsPromise(v)) {
		int32_t state = JS_PromiseState(ctx, v); // 0 pending, 1 fulfilled, 2 rejected
		if (state == 0) {
			Context *any;
			if (JS_ExecutePendingJob(qjs_get_runtime_ptr(), &any) > 0) continue;
			JS_FreeValue(ctx, v);
			JS_ThrowPlainError(ctx, "the function waits for something that never comes: host functions don't return promises", 0);
			return (Value)tag_exception << 32;
		}
		Value result = JS_PromiseResult(ctx, v);
		JS_FreeValue(ctx, v);
		if (state == 1) return result;
		return JS_Throw(ctx, result);
	}
	return v;
}

// complain gives the pending exception to what takes text: fd_write before there
// is a host, else the host's fail.
static void complain(int32_t starting) {
	Value e = JS_GetException(ctx);
	uint32_t n = 0;
	Value stack = JS_GetPropertyStr(ctx, e, "stack");
	const char *text = JS_ToCStringLen2(ctx, &n, e, 0);
	uint32_t m = 0;
	const char *where = tag(stack) == tag_undefined ? 0 : JS_ToCStringLen2(ctx, &m, stack, 0);
	enlarge(&buffer[0], (int64_t)n + m + 2);
	char *at = buffer[0].at;
	__builtin_memcpy(at, text, n);
	at[n++] = '\n';
	if (where) __builtin_memcpy(at + n, where, m);
	n += where ? m : 0;
	if (starting) {
		struct { const char *at; uint32_t length; } vector = {at, n};
		uint32_t written;
		fd_write(2, &vector, 1, &written);
	} else {
		postern_fail(1, at, n);
	}
	if (text) JS_FreeCString(ctx, text);
	if (where) JS_FreeCString(ctx, where);
	JS_FreeValue(ctx, stack);
	JS_FreeValue(ctx, e);
}

static void check(Value v) {
	if (tag(v) != tag_exception) return;
	complain(1);
	__builtin_trap();
}

// init runs when the plugin is built: it starts QuickJS and runs the handler's
// top level. The sources aren't needed after that.
POSTERN_EXPORT("wizer-initialize") void init(void) {
	if (qjs_init()) __builtin_trap();
	qjs_set_max_stack_size(512 << 10);
	qjs_set_module_loader(1);
	ctx = qjs_get_context_ptr();
	enlarge(&buffer[0], first_size);
	enlarge(&buffer[1], first_size);
	Value global = JS_GetGlobalObject(ctx), host = JS_NewObject(ctx);
	for (int32_t i = 0; i < function_count; i++) {
		char name[4];
		int32_t n = 0;
		if (i >= 100) name[n++] = (char)('0' + i / 100);
		if (i >= 10) name[n++] = (char)('0' + i / 10 % 10);
		name[n++] = (char)('0' + i % 10);
		Value *f = qjs_new_host_function(name, n, 0);
		JS_SetPropertyStr(ctx, host, functions[i].name, *f);
	}
	JS_SetPropertyStr(ctx, global, "$host", host);
	Value done = JS_Eval(ctx, entry, sizeof entry - 1, "entry", 1); // 1: a module
	check(done);
	check(settle(done));
	Value roles = JS_GetPropertyStr(ctx, global, "$roles");
	static const char *const names[] = {"roles", "configure", "authorize", "integrate", "request", "response", "map_request", "map_response", "validate", "dns", "certify"};
	for (int32_t i = 0; i < 11; i++) exports[i] = JS_GetPropertyStr(ctx, roles, names[i]);
	JS_FreeValue(ctx, roles);
	JS_FreeValue(ctx, global);
	built = 1;
	__builtin_memset(source_handler, 0, sizeof source_handler);
	__builtin_memset(source_postern, 0, sizeof source_postern);
}

static int32_t call(Value f) {
	Value v = settle(JS_Call(ctx, f, undefined, 0, 0));
	int32_t n = 0;
	if (tag(v) == tag_exception || JS_ToInt32(ctx, &n, v)) {
		complain(0);
		n = -1;
	}
	JS_FreeValue(ctx, v);
	// What nobody waits for belongs to this call all the same.
	Context *any;
	while (JS_IsJobPending(qjs_get_runtime_ptr()) && JS_ExecutePendingJob(qjs_get_runtime_ptr(), &any) > 0) {}
	return n;
}

POSTERN_EXPORT("postern_abi") int32_t postern_abi(void) { return POSTERN_VERSION; }
POSTERN_EXPORT("postern_roles") int32_t postern_roles(void) { return call(exports[0]); }
POSTERN_EXPORT("postern_configure") int32_t postern_configure(void) { return call(exports[1]); }
POSTERN_EXPORT("postern_authorize") int32_t postern_authorize(void) { return call(exports[2]); }
POSTERN_EXPORT("postern_integrate") int32_t postern_integrate(void) { return call(exports[3]); }
POSTERN_EXPORT("postern_request") int32_t postern_request(void) { return call(exports[4]); }
POSTERN_EXPORT("postern_response") int32_t postern_response(void) { return call(exports[5]); }
POSTERN_EXPORT("postern_map_request") int32_t postern_map_request(void) { return call(exports[6]); }
POSTERN_EXPORT("postern_map_response") int32_t postern_map_response(void) { return call(exports[7]); }
POSTERN_EXPORT("postern_validate") int32_t postern_validate(void) { return call(exports[8]); }
POSTERN_EXPORT("postern_dns") int32_t postern_dns(void) { return call(exports[9]); }
POSTERN_EXPORT("postern_certify") int32_t postern_certify(void) { return call(exports[10]); }
