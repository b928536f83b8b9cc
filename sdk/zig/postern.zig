//! The guest's side of postern's plugins. A plugin's root file has a public
//! function for each of its roles, and exports them with one line:
//!
//!     const postern = @import("postern");
//!
//!     comptime {
//!         postern.plugin(@This());
//!     }
//!
//!     pub fn request(r: postern.Request, _: postern.Response) !postern.Verdict {
//!         try r.headers().set("x-trace", r.id());
//!         return .proceed;
//!     }
//!
//! What a function returns lies in memory that is given back when the call ends;
//! what configure reads stays. An error makes the call fail: its name is logged.
const std = @import("std");

/// The functions and numbers as they are.
pub const raw = @import("raw.zig");

pub const Decision = enum(i32) { allow = raw.ALLOW, deny = raw.DENY, unauthenticated = raw.UNAUTHENTICATED };
pub const Verdict = enum(i32) { proceed = raw.CONTINUE, answer = raw.ANSWER, refuse = raw.REFUSE };
pub const Judgement = enum(i32) { valid = raw.VALID, invalid_body = raw.INVALID_BODY, invalid_parameters = raw.INVALID_PARAMETERS };
pub const Level = enum(i32) { debug = raw.LEVEL_DEBUG, info = raw.LEVEL_INFO, warn = raw.LEVEL_WARN, err = raw.LEVEL_ERROR };

pub const Error = error{ NotFound, Denied, WrongPhase, BadArgument, Limit, Unavailable, Deadline, Unknown, OutOfMemory };

fn check(result: i32) Error!u32 {
    return switch (result) {
        raw.NOT_FOUND => error.NotFound,
        raw.DENIED => error.Denied,
        raw.WRONG_PHASE => error.WrongPhase,
        raw.BAD_ARGUMENT => error.BadArgument,
        raw.LIMIT => error.Limit,
        raw.UNAVAILABLE => error.Unavailable,
        raw.DEADLINE => error.Deadline,
        else => if (result < 0) error.Unknown else @intCast(result),
    };
}

// ---- memory

/// The memory of a call: a few KiB that are always there, then pieces of whole
/// pages. Of those that a call doesn't begin in only the last one is used again.
const Memory = struct {
    var first: [4096]u8 = undefined;
    var free: []u8 = &first;
    var begin: []u8 = &first; // what is free when a call begins
    var last: []u8 = &first; // the last piece, without what is kept

    fn start() void {
        free = if (begin.ptr == last.ptr) last else begin;
    }

    /// keep makes what is taken outlive the call.
    fn keep() void {
        if (free.ptr + free.len == last.ptr + last.len) last = free;
        begin = free;
    }

    fn take(size: usize) []u8 {
        if (size > free.len and free.ptr + free.len != last.ptr + last.len) free = last;
        if (size > free.len) {
            const pages = size / 65536 + 1;
            const old = @wasmMemoryGrow(0, pages);
            if (old < 0) @trap();
            const grown = @as([*]u8, @ptrFromInt(@as(usize, @intCast(old)) * 65536));
            if (grown == last.ptr + last.len) {
                last.len += pages * 65536;
                free.len += pages * 65536;
            } else {
                last = grown[0 .. pages * 65536];
                free = last;
            }
        }
        const taken = free[0..size];
        free = free[size..];
        return taken;
    }

    /// untake gives back the end of what was taken last.
    fn untake(taken: []u8, used: usize) []u8 {
        free = taken.ptr[used .. taken.len + free.len];
        return taken[0..used];
    }
};

/// An allocator for the call's own needs; nothing needs to be freed.
pub const allocator = std.mem.Allocator{ .ptr = undefined, .vtable = &.{
    .alloc = struct {
        fn alloc(_: *anyopaque, size: usize, alignment: std.mem.Alignment, _: usize) ?[*]u8 {
            const room = Memory.take(size + alignment.toByteUnits());
            return @ptrFromInt(alignment.forward(@intFromPtr(room.ptr)));
        }
    }.alloc,
    .resize = std.mem.Allocator.noResize,
    .remap = std.mem.Allocator.noRemap,
    .free = std.mem.Allocator.noFree,
} };

/// read calls a function whose last two parameters are a buffer and its size.
fn read(comptime f: anytype, arguments: anytype) Error!?[]const u8 {
    var room: usize = 256;
    while (true) {
        const buffer = Memory.take(room);
        const result = @call(.auto, f, arguments ++ .{ buffer.ptr, buffer.len });
        if (result == raw.NOT_FOUND) {
            _ = Memory.untake(buffer, 0);
            return null;
        }
        const need = check(result) catch |e| {
            _ = Memory.untake(buffer, 0);
            return e;
        };
        if (need <= buffer.len) return Memory.untake(buffer, need);
        _ = Memory.untake(buffer, 0);
        room = need;
    }
}

/// A text made as std.fmt.bufPrint does, valid until the call ends.
pub fn print(comptime format: []const u8, arguments: anytype) []const u8 {
    const size: usize = @intCast(std.fmt.count(format, arguments));
    return std.fmt.bufPrint(Memory.take(size), format, arguments) catch unreachable;
}

// ---- roles

/// Exports the roles that a plugin's root file has as public functions.
pub fn plugin(comptime Root: type) void {
    @export(&struct {
        fn abi() callconv(.c) i32 {
            return raw.VERSION;
        }
    }.abi, .{ .name = "postern_abi" });
    if (@hasDecl(Root, "configure")) @export(&struct {
        fn call() callconv(.c) i32 {
            const given = (read(raw.core.config_read, .{}) catch null) orelse "{}";
            Root.configure(given) catch |e| return failed(e);
            Memory.keep();
            return 0;
        }
    }.call, .{ .name = "postern_configure" });
    inline for (.{
        .{ "authorize", .{Request{}} },
        .{ "integrate", .{ Request{}, Response{} } },
        .{ "request", .{ Request{}, Response{} } },
        .{ "response", .{ Request{}, Response{} } },
        .{ "map_request", .{ Request{}, Backend{} } },
        .{ "map_response", .{ Request{}, Response{} } },
        .{ "validate", .{Request{}} },
        .{ "dns", .{Record{}} },
        .{ "certify", .{Request{}} },
        .{ "request_body", .{ Request{}, Piece{} } },
        .{ "response_body", .{ Request{}, Response{}, Piece{} } },
    }) |role| {
        if (@hasDecl(Root, role[0])) @export(&struct {
            fn call() callconv(.c) i32 {
                Memory.start();
                const result = @call(.auto, @field(Root, role[0]), role[1]) catch |e| return failed(e);
                if (@TypeOf(result) != void) return @intFromEnum(result);
                return if (comptime std.mem.startsWith(u8, role[0], "response")) raw.CONTINUE else 0;
            }
        }.call, .{ .name = "postern_" ++ role[0] });
    }
}

fn failed(e: anyerror) i32 {
    const name = @errorName(e);
    _ = raw.core.fail(1, name.ptr, name.len);
    return -1;
}

/// Makes the call fail with a reason of more words: return its result.
pub fn fail(why: []const u8) error{Failed} {
    _ = raw.core.fail(1, why.ptr, why.len);
    return error.Failed;
}

// ---- messages

/// Names and values: headers, parameters, variables.
pub const Map = struct {
    number: i32,

    /// The last value of a name.
    pub fn get(m: Map, name: []const u8) ?[]const u8 {
        return read(raw.core.map_get, .{ m.number, name.ptr, name.len }) catch null;
    }

    pub fn count(m: Map) usize {
        return check(raw.core.map_count(m.number)) catch 0;
    }

    pub const Entry = struct { name: []const u8, value: []const u8 };

    /// The entry at an index, in the order of arrival; null behind the last one.
    pub fn entry(m: Map, index: usize) ?Entry {
        var none: [1]u8 = undefined;
        const at: i32 = @intCast(index);
        const lengths = raw.core.map_entry(m.number, at, &none, 0, &none, 0);
        if (lengths < 0) return null;
        const name = Memory.take(@intCast(lengths >> 32));
        const value = Memory.take(@intCast(lengths & 0xffffffff));
        _ = raw.core.map_entry(m.number, at, name.ptr, name.len, value.ptr, value.len);
        return .{ .name = name, .value = value };
    }

    /// Sets a name to one value, whatever it had.
    pub fn set(m: Map, name: []const u8, value: []const u8) Error!void {
        _ = try check(raw.core.map_set(m.number, name.ptr, name.len, value.ptr, value.len));
    }

    pub fn add(m: Map, name: []const u8, value: []const u8) Error!void {
        _ = try check(raw.core.map_add(m.number, name.ptr, name.len, value.ptr, value.len));
    }

    /// Removes all values of a name and returns how many there were.
    pub fn remove(m: Map, name: []const u8) Error!usize {
        return try check(raw.core.map_del(m.number, name.ptr, name.len));
    }
};

/// Content. Whoever reads it waits for it; whoever doesn't never does.
pub const Body = struct {
    number: i32,

    /// Reads the next bytes; 0 is the end.
    pub fn read(b: Body, buffer: []u8) Error!usize {
        return try check(raw.core.body_read(b.number, buffer.ptr, buffer.len));
    }

    /// Reads all that is left.
    pub fn all(b: Body) Error![]const u8 {
        const buffer = Memory.take(try check(raw.core.body_len(b.number)));
        var got: usize = 0;
        while (got < buffer.len) {
            const n = try b.read(buffer[got..]);
            if (n == 0) break;
            got += n;
        }
        return buffer[0..got];
    }

    /// Adds to the new content.
    pub fn write(b: Body, content: []const u8) Error!void {
        _ = try check(raw.core.body_write(b.number, content.ptr, content.len));
    }

    /// Makes it the whole new content.
    pub fn set(b: Body, content: []const u8) Error!void {
        _ = try check(raw.core.body_reset(b.number));
        try b.write(content);
    }
};

/// Some content on its way. What isn't written goes on as it is; what is written goes
/// on in place of the piece.
pub const Piece = struct {
    /// The piece, once.
    pub fn bytes(_: Piece) Error![]const u8 {
        const buffer = Memory.take(try check(raw.core.chunk_len()));
        return buffer[0..try check(raw.core.chunk_read(buffer.ptr, buffer.len))];
    }

    /// Whether the content ends with it.
    pub fn last(_: Piece) bool {
        return raw.core.chunk_last() == 1;
    }

    /// Adds to what goes on in its place.
    pub fn write(_: Piece, content: []const u8) Error!void {
        _ = try check(raw.core.chunk_write(content.ptr, content.len));
    }

    /// Holds back its last bytes: the next piece begins with them.
    pub fn keep(_: Piece, count: usize) Error!void {
        _ = try check(raw.core.chunk_keep(@intCast(count)));
    }
};

fn field(number: i32) []const u8 {
    return (read(raw.core.field_get, .{number}) catch null) orelse "";
}

fn setField(number: i32, value: []const u8) Error!void {
    _ = try check(raw.core.field_set(number, value.ptr, value.len));
}

/// A TXT record that is to be put into a DNS zone, or removed.
pub const Record = struct {
    /// "present" or "cleanup".
    pub fn action(_: Record) []const u8 {
        return field(raw.FIELD_RECORD_ACTION);
    }
    /// Without a dot at its end, like the name.
    pub fn zone(_: Record) []const u8 {
        return field(raw.FIELD_RECORD_ZONE);
    }
    pub fn name(_: Record) []const u8 {
        return field(raw.FIELD_RECORD_NAME);
    }
    pub fn value(_: Record) []const u8 {
        return field(raw.FIELD_RECORD_VALUE);
    }
    /// In seconds.
    pub fn ttl(_: Record) []const u8 {
        return field(raw.FIELD_RECORD_TTL);
    }
};

/// The client's request. Each method asks the gateway for just what it returns.
pub const Request = struct {
    /// The host name by which the request came in, or that a certificate is wanted for.
    pub fn domainName(_: Request) []const u8 {
        return field(raw.FIELD_DOMAIN_NAME);
    }
    pub fn method(_: Request) []const u8 {
        return field(raw.FIELD_METHOD);
    }
    /// The path after stage or base path, as sent.
    pub fn path(_: Request) []const u8 {
        return field(raw.FIELD_PATH);
    }
    pub fn rawQuery(_: Request) []const u8 {
        return field(raw.FIELD_RAW_QUERY);
    }
    pub fn setRawQuery(_: Request, value: []const u8) Error!void {
        try setField(raw.FIELD_RAW_QUERY, value);
    }
    pub fn routeKey(_: Request) []const u8 {
        return field(raw.FIELD_ROUTE_KEY);
    }
    pub fn stage(_: Request) []const u8 {
        return field(raw.FIELD_STAGE);
    }
    pub fn apiId(_: Request) []const u8 {
        return field(raw.FIELD_API_ID);
    }
    pub fn id(_: Request) []const u8 {
        return field(raw.FIELD_REQUEST_ID);
    }
    pub fn sourceIp(_: Request) []const u8 {
        return field(raw.FIELD_SOURCE_IP);
    }
    pub fn host(_: Request) []const u8 {
        return field(raw.FIELD_HOST);
    }
    pub fn principal(_: Request) []const u8 {
        return field(raw.FIELD_PRINCIPAL);
    }
    pub fn methodArn(_: Request) []const u8 {
        return field(raw.FIELD_METHOD_ARN);
    }
    /// The content's next bytes as they come, in the role integrate; none is the end.
    pub fn incoming(_: Request, buffer: []u8) Error![]u8 {
        return buffer[0..try check(raw.core.chunk_read(buffer.ptr, buffer.len))];
    }
    /// Any other field, by its number in raw.
    pub fn other(_: Request, number: i32) []const u8 {
        return field(number);
    }

    /// The last value of a header, without regard to case.
    pub fn header(r: Request, name: []const u8) ?[]const u8 {
        return r.headers().get(name);
    }
    pub fn headers(_: Request) Map {
        return .{ .number = raw.MAP_HEADERS };
    }
    pub fn query(_: Request) Map {
        return .{ .number = raw.MAP_QUERY };
    }
    pub fn pathParams(_: Request) Map {
        return .{ .number = raw.MAP_PATH_PARAMS };
    }
    pub fn stageVariables(_: Request) Map {
        return .{ .number = raw.MAP_STAGE_VARIABLES };
    }
    pub fn context(_: Request) Map {
        return .{ .number = raw.MAP_CONTEXT };
    }
    /// What this plugin keeps from call to call about the same request.
    pub fn bag(_: Request) Map {
        return .{ .number = raw.MAP_BAG };
    }
    pub fn body(_: Request) Body {
        return .{ .number = raw.BODY_REQUEST };
    }
    /// AWS's proxy event, as JSON.
    pub fn event(_: Request) Error![]const u8 {
        return (try read(raw.core.event_read, .{})) orelse error.NotFound;
    }

    /// Says who calls, in the role authorize.
    pub fn setPrincipal(_: Request, who: []const u8) Error!void {
        _ = try check(raw.core.principal_set(who.ptr, who.len));
    }
    /// Sets an entry of the authorizer's context, in the role authorize.
    pub fn setContext(_: Request, name: []const u8, value: []const u8) Error!void {
        _ = try check(raw.core.context_set(name.ptr, name.len, value.ptr, value.len));
    }
    /// What a client that is refused is told, in the roles authorize and validate.
    pub fn setMessage(_: Request, message: []const u8) Error!void {
        try setField(raw.FIELD_MESSAGE, message);
    }
};

/// What the client gets.
pub const Response = struct {
    pub fn status(_: Response) []const u8 {
        return field(raw.FIELD_STATUS);
    }
    pub fn setStatus(_: Response, value: u16) Error!void {
        try setField(raw.FIELD_STATUS, print("{d}", .{value}));
    }
    /// The backend's status; empty when there was no answer.
    pub fn backendStatus(_: Response) []const u8 {
        return field(raw.FIELD_BACKEND_STATUS);
    }
    /// The gateway response type when the gateway itself answers, else empty.
    pub fn fault(_: Response) []const u8 {
        return field(raw.FIELD_FAULT);
    }
    pub fn headers(_: Response) Map {
        return .{ .number = raw.MAP_RESPONSE_HEADERS };
    }
    pub fn backendHeaders(_: Response) Map {
        return .{ .number = raw.MAP_BACKEND_RESPONSE_HEADERS };
    }
    pub fn body(_: Response) Body {
        return .{ .number = raw.BODY_RESPONSE };
    }
    /// Sends content and waits until the client takes it, in the role integrate. The first
    /// one, even of nothing, sends status and headers before.
    pub fn send(_: Response, content: []const u8) Error!void {
        _ = try check(raw.core.chunk_write(content.ptr, content.len));
    }
    /// Makes up a whole answer.
    pub fn reply(r: Response, code: u16, content_type: []const u8, content: []const u8) Error!void {
        try r.setStatus(code);
        try r.headers().set("content-type", content_type);
        try r.body().set(content);
    }
    /// Makes up a whole answer and asks the gateway for it, in the role request.
    pub fn answer(r: Response, code: u16, content_type: []const u8, content: []const u8) Error!Verdict {
        try r.reply(code, content_type, content);
        return .answer;
    }
    /// Answers with AWS's proxy response as JSON, in the role integrate.
    pub fn writeResult(_: Response, json_text: []const u8) Error!void {
        _ = try check(raw.core.result_write(json_text.ptr, json_text.len));
    }
};

/// What goes to the backend.
pub const Backend = struct {
    pub fn method(_: Backend) []const u8 {
        return field(raw.FIELD_BACKEND_METHOD);
    }
    pub fn setMethod(_: Backend, value: []const u8) Error!void {
        try setField(raw.FIELD_BACKEND_METHOD, value);
    }
    /// Path and query, encoded.
    pub fn target(_: Backend) []const u8 {
        return field(raw.FIELD_BACKEND_TARGET);
    }
    pub fn setTarget(_: Backend, value: []const u8) Error!void {
        try setField(raw.FIELD_BACKEND_TARGET, value);
    }
    pub fn setHost(_: Backend, value: []const u8) Error!void {
        try setField(raw.FIELD_BACKEND_HOST, value);
    }
    pub fn headers(_: Backend) Map {
        return .{ .number = raw.MAP_BACKEND_HEADERS };
    }
    pub fn body(_: Backend) Body {
        return .{ .number = raw.BODY_BACKEND };
    }
};

// ---- everything else

/// Writes a line to the gateway's log.
pub fn log(level: Level, line: []const u8) void {
    _ = raw.core.log(@intFromEnum(level), line.ptr, line.len);
}

pub fn logEnabled(level: Level) bool {
    return raw.core.log_enabled(@intFromEnum(level)) == 1;
}

/// Nanoseconds since 1970.
pub fn time() i64 {
    return raw.core.time();
}

/// Nanoseconds until the gateway stops the call.
pub fn deadlineLeft() i64 {
    return raw.core.deadline_left();
}

/// Fills a buffer of at most 64 KiB from the system's random numbers.
pub fn random(buffer: []u8) Error!void {
    _ = try check(raw.core.random(buffer.ptr, buffer.len));
}

/// JSON, parsed by the gateway. A path is $, .name, ['name'] and [index].
pub const json = struct {
    pub const Kind = enum(i32) { none = 0, null = raw.KIND_NULL, boolean = raw.KIND_BOOLEAN, number = raw.KIND_NUMBER, string = raw.KIND_STRING, array = raw.KIND_ARRAY, object = raw.KIND_OBJECT };

    pub fn parse(source: []const u8) Error!Document {
        return .{ .number = @intCast(try check(raw.json.parse(source.ptr, source.len))) };
    }
    /// Parses content, which doesn't come into the guest.
    pub fn open(body: Body) Error!Document {
        return .{ .number = @intCast(try check(raw.json.open(body.number))) };
    }
    /// Parses AWS's proxy event.
    pub fn event() Error!Document {
        return .{ .number = @intCast(try check(raw.json.open(raw.DOCUMENT_EVENT))) };
    }
    /// A text as JSON, with its quotes.
    pub fn quote(s: []const u8) []const u8 {
        const hex = "0123456789abcdef";
        const room = Memory.take(s.len * 6 + 2);
        var n: usize = 1;
        room[0] = '"';
        for (s) |c| {
            if (c >= 0x20 and c != '"' and c != '\\') {
                room[n] = c;
                n += 1;
                continue;
            }
            @memcpy(room[n..][0..6], &[_]u8{ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] });
            n += 6;
        }
        room[n] = '"';
        return Memory.untake(room, n + 1);
    }

    pub const Document = struct {
        number: i32,

        pub fn kind(d: Document, path: []const u8) Kind {
            return @enumFromInt(@max(raw.json.kind(d.number, path.ptr, path.len), 0));
        }
        /// How many elements or members stand at a path.
        pub fn count(d: Document, path: []const u8) usize {
            return check(raw.json.count(d.number, path.ptr, path.len)) catch 0;
        }
        /// A string's text, anything else as JSON.
        pub fn get(d: Document, path: []const u8) ?[]const u8 {
            return readOrNull(raw.json.get, .{ d.number, path.ptr, path.len });
        }
        /// The name of an object's member.
        pub fn name(d: Document, path: []const u8, index: usize) ?[]const u8 {
            return readOrNull(raw.json.name, .{ d.number, path.ptr, path.len, @as(i32, @intCast(index)) });
        }
        /// Puts a value, as JSON, at a path.
        pub fn set(d: Document, path: []const u8, value: []const u8) Error!void {
            _ = try check(raw.json.set(d.number, path.ptr, path.len, value.ptr, value.len));
        }
        pub fn delete(d: Document, path: []const u8) Error!void {
            _ = try check(raw.json.delete(d.number, path.ptr, path.len));
        }
        /// The document as JSON.
        pub fn write(d: Document) Error![]const u8 {
            return (try read(raw.json.write, .{d.number})) orelse error.NotFound;
        }
        /// Makes the document the new content of a body.
        pub fn writeTo(d: Document, body: Body) Error!void {
            _ = try check(raw.json.write_body(d.number, body.number));
        }
    };
};

fn readOrNull(comptime f: anytype, arguments: anytype) ?[]const u8 {
    return read(f, arguments) catch null;
}

/// Digests, signatures and tokens at the speed of the gateway's own code.
pub const crypto = struct {
    pub const Algorithm = enum(i32) { md5 = raw.MD5, sha1 = raw.SHA1, sha256 = raw.SHA256, sha384 = raw.SHA384, sha512 = raw.SHA512 };
    pub const Signature = enum(i32) { rs256 = raw.RS256, rs384 = raw.RS384, rs512 = raw.RS512, ps256 = raw.PS256, ps384 = raw.PS384, ps512 = raw.PS512, es256 = raw.ES256, es384 = raw.ES384, es512 = raw.ES512, eddsa = raw.EDDSA };

    pub fn hash(algorithm: Algorithm, data: []const u8) Error![]const u8 {
        return (try read(raw.crypto.hash, .{ @intFromEnum(algorithm), data.ptr, data.len })) orelse error.NotFound;
    }
    pub fn hmac(algorithm: Algorithm, key: []const u8, data: []const u8) Error![]const u8 {
        return (try read(raw.crypto.hmac, .{ @intFromEnum(algorithm), key.ptr, key.len, data.ptr, data.len })) orelse error.NotFound;
    }
    /// Compares in a time that doesn't depend on the content.
    pub fn equal(one: []const u8, other: []const u8) bool {
        return raw.crypto.equal(one.ptr, one.len, other.ptr, other.len) == 1;
    }

    /// Public keys. Those that configure loads last as long as the instance.
    pub const Key = struct {
        number: i32,

        /// Reads a JWK, a JWK set, or PEM.
        pub fn load(source: []const u8) Error!Key {
            return .{ .number = @intCast(try check(raw.crypto.key_load(source.ptr, source.len))) };
        }
        pub fn verify(k: Key, signature: Signature, data: []const u8, mark: []const u8) Error!bool {
            return try check(raw.crypto.verify(k.number, @intFromEnum(signature), data.ptr, data.len, mark.ptr, mark.len)) == 1;
        }
        /// A good token's claims as JSON; error.Denied when it isn't good.
        pub fn verifyJwt(k: Key, token: []const u8) Error![]const u8 {
            return (try read(raw.crypto.jwt_verify, .{ k.number, token.ptr, token.len })) orelse error.NotFound;
        }
    };
};

/// Values and counters that outlive a call and that all instances share. Times
/// are in nanoseconds, 0 for as long as there is room. Grant: kv.
pub const kv = struct {
    pub fn get(key: []const u8) Error!?[]const u8 {
        return read(raw.kv.get, .{ key.ptr, key.len });
    }
    pub fn set(key: []const u8, value: []const u8, ttl: i64) Error!void {
        _ = try check(raw.kv.set(key.ptr, key.len, value.ptr, value.len, ttl));
    }
    pub fn delete(key: []const u8) Error!void {
        _ = try check(raw.kv.delete(key.ptr, key.len));
    }
    /// Adds to a counter, which begins at 0, and returns what it is then.
    pub fn add(key: []const u8, delta: i64, ttl: i64) Error!i64 {
        const n = raw.kv.add(key.ptr, key.len, delta, ttl);
        if (n < 0) _ = try check(@intCast(n));
        return n;
    }
    /// Sets a value if it still is old; an empty old means that there is none.
    pub fn compareAndSet(key: []const u8, old: []const u8, value: []const u8, ttl: i64) Error!bool {
        return try check(raw.kv.cas(key.ptr, key.len, old.ptr, old.len, value.ptr, value.len, ttl)) == 1;
    }
};

/// Figures for the gateway's metrics page. Grant: metric.
pub const metric = struct {
    pub const Kind = enum(i32) { counter = raw.COUNTER, gauge = raw.GAUGE, histogram = raw.HISTOGRAM };

    pub const Metric = struct {
        number: i32,

        /// Names a metric, in configure: letters, digits and _.
        pub fn define(kind: Kind, name: []const u8) Error!Metric {
            return .{ .number = @intCast(try check(raw.metric.define(@intFromEnum(kind), name.ptr, name.len))) };
        }
        pub fn add(m: Metric, delta: i64) Error!void {
            _ = try check(raw.metric.add(m.number, delta));
        }
        pub fn set(m: Metric, value: i64) Error!void {
            _ = try check(raw.metric.set(m.number, value));
        }
        pub fn observe(m: Metric, value: i64) Error!void {
            _ = try check(raw.metric.observe(m.number, value));
        }
    };
};

/// Regular expressions (RE2) and encodings.
pub const text = struct {
    pub const Coding = enum(i32) { base64 = raw.BASE64, base64url = raw.BASE64_URL, hex = raw.HEX, percent = raw.PERCENT, form = raw.FORM };

    pub fn encode(coding: Coding, data: []const u8) Error![]const u8 {
        return (try read(raw.text.encode, .{ @intFromEnum(coding), data.ptr, data.len })) orelse error.NotFound;
    }
    pub fn decode(coding: Coding, encoded: []const u8) Error![]const u8 {
        return (try read(raw.text.decode, .{ @intFromEnum(coding), encoded.ptr, encoded.len })) orelse error.NotFound;
    }

    /// A compiled expression. One of configure lasts as long as the instance.
    pub const Regex = struct {
        number: i32,

        pub fn compile(pattern: []const u8) Error!Regex {
            return .{ .number = @intCast(try check(raw.text.regex(pattern.ptr, pattern.len))) };
        }
        pub fn match(r: Regex, s: []const u8) Error!bool {
            return try check(raw.text.match(r.number, s.ptr, s.len)) == 1;
        }
        /// A group of the first place where it is found; 0 is all of it.
        pub fn find(r: Regex, s: []const u8, group: u31) Error!?[]const u8 {
            return read(raw.text.find, .{ r.number, s.ptr, s.len, @as(i32, group) });
        }
        /// The text with each place replaced; $1 in by is a group.
        pub fn replace(r: Regex, s: []const u8, by: []const u8) Error![]const u8 {
            return (try read(raw.text.replace, .{ r.number, s.ptr, s.len, by.ptr, by.len })) orelse error.NotFound;
        }
    };
};

/// Requests to other servers, to those that the configuration names. Several may
/// be under way at once: send them all, then read. Grant: http.
pub const http = struct {
    pub const Options = struct {
        method: []const u8 = "GET",
        /// Lines, "Name: value\n" each.
        headers: []const u8 = "",
        body: []const u8 = "",
        /// In nanoseconds; 0 is what the configuration says.
        timeout: i64 = 0,
    };

    /// Begins a request and doesn't wait.
    pub fn send(url: []const u8, o: Options) Error!Answer {
        const number = raw.http.send(o.method.ptr, o.method.len, url.ptr, url.len, o.headers.ptr, o.headers.len, o.body.ptr, o.body.len, o.timeout);
        return .{ .number = @intCast(try check(number)) };
    }

    /// An answer that is there or on its way. Its methods wait for what they return.
    pub const Answer = struct {
        number: i32,

        pub fn status(a: Answer) Error!u16 {
            return @intCast(try check(raw.http.status(a.number)));
        }
        pub fn header(a: Answer, name: []const u8) Error!?[]const u8 {
            return readOrNull(raw.http.header, .{ a.number, name.ptr, name.len });
        }
        /// Reads the next bytes of the content; 0 is the end.
        pub fn read(a: Answer, buffer: []u8) Error!usize {
            return try check(raw.http.read(a.number, buffer.ptr, buffer.len));
        }
    };
};
