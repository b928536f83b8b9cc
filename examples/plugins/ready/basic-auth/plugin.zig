//! An authorizer: it asks for name and password, and knows passwords by digests
//! only. As a response filter it also has browsers ask for them.
//!
//!     config = { realm = "pets", users = { anna = "sha256:SALT:DIGEST" } }
const std = @import("std");
const postern = @import("postern");

comptime {
    postern.plugin(@This());
}

const Secret = struct {
    name: []const u8,
    rounds: u32, // of PBKDF2; 0 is one SHA-256
    salt: []const u8,
    digest: [32]u8,
};

/// In the order of the configuration, which is the names'.
var users: []Secret = &.{};
var challenge: []const u8 = "";

const max_rounds = 50_000; // what the gateway lets one call compute

pub fn configure(text: []const u8) !void {
    const config = try postern.json.parse(text);
    const realm = config.get("$.realm") orelse "restricted";
    for (realm) |c| {
        if (c < 0x20 or c > 0x7e or c == '"' or c == '\\') return postern.fail("realm has characters that a header can't quote");
    }
    challenge = postern.print("Basic realm=\"{s}\", charset=\"UTF-8\"", .{realm});
    const count = config.count("$.users");
    if (count == 0) return postern.fail("config needs users = { NAME = \"sha256:SALT:DIGEST\" }");
    const all = try postern.allocator.alloc(Secret, count);
    for (all, 0..) |*user, i| {
        const name = config.name("$.users", i) orelse "";
        if (name.len == 0 or std.mem.indexOfScalar(u8, name, ':') != null or hasControls(name)) {
            return postern.fail(postern.print("users: {s} is no name: it is empty, or has a \":\" or control characters", .{postern.json.quote(name)}));
        }
        const kept = config.get(try member(name)) orelse "";
        user.* = parse(name, kept) orelse
            return postern.fail(postern.print("users.{s}: want sha256:SALT:DIGEST or pbkdf2-sha256:ROUNDS:SALT:DIGEST with 1000 to {d} rounds and 64 hexadecimal digits", .{ name, max_rounds }));
    }
    users = all;
}

/// member is the path of a user whose name may have any characters.
fn member(name: []const u8) ![]const u8 {
    var path: std.ArrayList(u8) = .empty;
    try path.appendSlice(postern.allocator, "$.users['");
    for (name) |c| {
        if (c == '\'' or c == '\\') try path.append(postern.allocator, '\\');
        try path.append(postern.allocator, c);
    }
    try path.appendSlice(postern.allocator, "']");
    return path.items;
}

fn parse(name: []const u8, kept: []const u8) ?Secret {
    var parts = std.mem.splitScalar(u8, kept, ':');
    var user = Secret{ .name = name, .rounds = 0, .salt = "", .digest = undefined };
    const kind = parts.next() orelse return null;
    if (std.mem.eql(u8, kind, "pbkdf2-sha256")) {
        user.rounds = std.fmt.parseInt(u32, parts.next() orelse return null, 10) catch return null;
        if (user.rounds < 1000 or user.rounds > max_rounds) return null;
    } else if (!std.mem.eql(u8, kind, "sha256")) return null;
    user.salt = parts.next() orelse return null;
    const digits = parts.next() orelse return null;
    if (digits.len != 64 or parts.next() != null) return null;
    _ = std.fmt.hexToBytes(&user.digest, digits) catch return null;
    return user;
}

fn hasControls(text: []const u8) bool {
    for (text) |c| if (c < 0x20 or c == 0x7f) return true;
    return false;
}

pub fn authorize(r: postern.Request) !postern.Decision {
    const given = r.header("authorization") orelse return .unauthenticated;
    if (given.len < 6 or !std.ascii.eqlIgnoreCase(given[0..6], "basic ")) return .unauthenticated;
    const pair = postern.text.decode(.base64, std.mem.trim(u8, given[6..], " ")) catch return .unauthenticated;
    const colon = std.mem.indexOfScalar(u8, pair, ':') orelse return .unauthenticated;
    const name = pair[0..colon];
    const password = pair[colon + 1 ..];
    if (hasControls(pair)) return .unauthenticated; // RFC 7617, 2

    // Who isn't known costs as much as the first user, and is refused in the same words.
    var user = users[0];
    var known = false;
    for (users) |u| {
        if (std.mem.eql(u8, u.name, name)) {
            user = u;
            known = true;
        }
    }
    const digest = try digestOf(user, password);
    if (!postern.crypto.equal(&digest, &user.digest) or !known) return .unauthenticated;
    try r.setPrincipal(user.name);
    return .allow;
}

fn digestOf(user: Secret, password: []const u8) ![32]u8 {
    var digest: [32]u8 = undefined;
    if (user.rounds == 0) {
        const salted = try std.mem.concat(postern.allocator, u8, &.{ user.salt, password });
        const made = try postern.crypto.hash(.sha256, salted);
        @memcpy(&digest, made);
        return digest;
    }
    // PBKDF2 with one block of 32 bytes. RFC 8018, 5.2.
    const first = try std.mem.concat(postern.allocator, u8, &.{ user.salt, &.{ 0, 0, 0, 1 } });
    var block: [32]u8 = undefined;
    try authenticate(password, first, &block);
    digest = block;
    for (1..user.rounds) |_| {
        try authenticate(password, &block, &block);
        for (&digest, block) |*d, b| d.* ^= b;
    }
    return digest;
}

/// authenticate is postern.crypto.hmac into memory that is there already.
fn authenticate(key: []const u8, data: []const u8, to: *[32]u8) !void {
    const n = postern.raw.crypto.hmac(postern.raw.SHA256, key.ptr, key.len, data.ptr, data.len, to, to.len);
    if (n != to.len) return postern.fail("the password's digest took more than a call may compute");
}

/// As a filter it says how to authenticate. RFC 9110, 11.6.1: a 401 has to.
pub fn response(_: postern.Request, to: postern.Response) !void {
    if (!std.mem.eql(u8, to.fault(), "UNAUTHORIZED")) return;
    try to.headers().set("www-authenticate", challenge);
}
