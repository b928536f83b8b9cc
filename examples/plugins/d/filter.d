// A filter in D (betterC): every request and its answer carry a trace id, and what
// lies below /internal is hidden. The functions are those of sdk/c/postern.h; a
// plugin declares what it calls.
import ldc.attributes;
import ldc.intrinsics : llvm_trap;

extern (C) @nogc nothrow:

// What the compiler calls for an index out of range.
void __assert(const char*, const char*, int)
{
    llvm_trap();
}

@llvmAttr("wasm-import-module", "postern_v1") @llvmAttr("wasm-import-name", "field_get")
int field_get(int field, void* buffer, size_t size);
@llvmAttr("wasm-import-module", "postern_v1") @llvmAttr("wasm-import-name", "field_set")
int field_set(int field, const char* value, size_t length);
@llvmAttr("wasm-import-module", "postern_v1") @llvmAttr("wasm-import-name", "map_get")
int map_get(int map, const char* name, size_t length, void* buffer, size_t size);
@llvmAttr("wasm-import-module", "postern_v1") @llvmAttr("wasm-import-name", "map_set")
int map_set(int map, const char* name, size_t nameLength, const char* value, size_t valueLength);
@llvmAttr("wasm-import-module", "postern_v1") @llvmAttr("wasm-import-name", "map_del")
int map_del(int map, const char* name, size_t length);
@llvmAttr("wasm-import-module", "postern_v1") @llvmAttr("wasm-import-name", "body_write")
int body_write(int body, const void* bytes, size_t length);

enum { fieldPath = 2, fieldRequestId = 9, fieldStatus = 19, headers = 1, responseHeaders = 6, bag = 7, responseBody = 2 }
enum { proceed = 1, answer = 2 }

__gshared char[8192] text; // a header line is no longer than this

// fit makes a slice of what was read; null is nothing, or too long.
const(char)[] fit(int length)
{
    return length < 0 || length > text.length ? null : text[0 .. length];
}

const(char)[] field(int number)
{
    return fit(field_get(number, text.ptr, text.length));
}

const(char)[] get(int map, const(char)[] name)
{
    return fit(map_get(map, name.ptr, name.length, text.ptr, text.length));
}

void set(int map, const(char)[] name, const(char)[] value)
{
    map_set(map, name.ptr, name.length, value.ptr, value.length);
}

bool begins(const(char)[] s, const(char)[] with_)
{
    if (s.length < with_.length) return false;
    foreach (i, c; with_) if (s[i] != c) return false;
    return true;
}

@llvmAttr("wasm-export-name", "postern_abi") int postern_abi()
{
    return 1 << 16;
}

@llvmAttr("wasm-export-name", "postern_request") int postern_request()
{
    if (field(fieldPath).begins("/internal"))
    {
        const(char)[] content = `{"message":"not here"}`;
        field_set(fieldStatus, "404".ptr, 3);
        set(responseHeaders, "content-type", "application/json");
        body_write(responseBody, content.ptr, content.length);
        return answer;
    }
    auto trace = get(headers, "x-trace");
    if (trace is null) trace = field(fieldRequestId);
    set(headers, "x-trace", trace);
    set(bag, "trace", trace);
    return proceed;
}

@llvmAttr("wasm-export-name", "postern_response") int postern_response()
{
    auto trace = get(bag, "trace");
    if (trace !is null) set(responseHeaders, "x-trace", trace);
    map_del(responseHeaders, "x-powered-by".ptr, 12);
    return proceed;
}
