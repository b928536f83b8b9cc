//! Answers what each of the pure capability groups says; header x-do names it, and
//! x-in is its input.
const std = @import("std");
const postern = @import("postern");

comptime {
    postern.plugin(@This());
}

var key: postern.crypto.Key = undefined;
var regex: postern.text.Regex = undefined;

pub fn configure(config: []const u8) !void {
    const keys = (try postern.json.parse(config)).get("$.keys") orelse "";
    key = try postern.crypto.Key.load(keys);
    regex = try postern.text.Regex.compile("([a-z]+)-([0-9]+)");
}

fn hex(b: []const u8) ![]const u8 {
    return postern.text.encode(.hex, b);
}

fn yes(b: bool) []const u8 {
    return if (b) "true" else "false";
}

fn entries(map: postern.Map) []const u8 {
    var all = postern.print("{d}", .{map.count()});
    var i: usize = 0;
    while (map.entry(i)) |e| : (i += 1) all = postern.print("{s};{s}={s}", .{ all, e.name, e.value });
    return all;
}

fn document(in: []const u8) ![]const u8 {
    const d = postern.json.parse(in) catch return "none";
    const before = postern.print("{d}{s}{s}", .{ d.count("$.a"), d.name("$", 0) orelse "", d.get("$.a[1].b") orelse "none" });
    try d.set("$.n", postern.json.quote("\"\n"));
    try d.delete("$.a");
    return postern.print("{s}{s}", .{ before, try d.write() });
}

const Operation = enum { hash, hmac, equal, jwt, find, match, replace, encode, decode, json, entries };

pub fn request(r: postern.Request, to: postern.Response) !postern.Verdict {
    const in = r.header("x-in") orelse "";
    const what = std.meta.stringToEnum(Operation, r.header("x-do") orelse "") orelse return to.answer(200, "text/plain", "unknown");
    const result = switch (what) {
        .hash => try hex(try postern.crypto.hash(.sha256, in)),
        .hmac => try hex(try postern.crypto.hmac(.sha256, "key", in)),
        .equal => yes(postern.crypto.equal(in, "same")),
        .jwt => if (key.verifyJwt(in)) |claims| (try postern.json.parse(claims)).get("$.sub") orelse "" else |_| "none",
        .find => try regex.find(in, 2) orelse "none",
        .match => yes(try regex.match(in)),
        .replace => try regex.replace(in, "$2 $1"),
        .encode => try postern.text.encode(.base64url, in),
        .decode => postern.text.decode(.base64, in) catch "none",
        .json => try document(in),
        .entries => entries(r.query()),
    };
    return to.answer(200, "text/plain", result);
}
