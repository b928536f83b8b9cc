//! Uses the groups that have to be granted, as header x-do says; x-in is an address.
const std = @import("std");
const postern = @import("postern");
const kv = postern.kv;

comptime {
    postern.plugin(@This());
}

var counter: postern.metric.Metric = undefined;
var gauge: postern.metric.Metric = undefined;
var histogram: postern.metric.Metric = undefined;

pub fn configure(_: []const u8) !void {
    counter = try postern.metric.Metric.define(.counter, "calls");
    gauge = try postern.metric.Metric.define(.gauge, "level");
    histogram = try postern.metric.Metric.define(.histogram, "size");
}

fn value() ![]const u8 {
    return try kv.get("a") orelse "none";
}

fn values() ![]const u8 {
    const before = try value();
    try kv.set("a", "one", 0);
    const set = try value();
    const wrong = try kv.compareAndSet("a", "two", "three", 0);
    const right = try kv.compareAndSet("a", "one", "three", 0);
    const swapped = try value();
    const two = try kv.add("n", 2, 0);
    const five = try kv.add("n", 3, 0);
    try kv.delete("a");
    try kv.delete("n");
    return postern.print("{s} 0 {s} {d} {d} {s} {d} {d} {s}", .{ before, set, @intFromBool(wrong), @intFromBool(right), swapped, two, five, try value() });
}

fn fetch(url: []const u8) ![]const u8 {
    const one = postern.http.send(url, .{ .method = "POST", .headers = "X-Ask: c\n", .body = "ping" }) catch |e| {
        return if (e == error.Denied) "-2" else e;
    };
    const other = try postern.http.send(url, .{ .timeout = 1_000_000_000 });
    var part: [16]u8 = undefined;
    const said = try one.header("x-say") orelse "none";
    const n = try one.read(&part);
    return postern.print("{d} {s} {s} {d}", .{ try one.status(), said, part[0..n], try other.status() });
}

pub fn request(r: postern.Request, to: postern.Response) !postern.Verdict {
    const what = r.header("x-do") orelse "";
    if (std.mem.eql(u8, what, "kv")) return to.answer(200, "text/plain", try values());
    if (std.mem.eql(u8, what, "metric")) {
        try counter.add(2);
        try gauge.set(-7);
        try histogram.observe(100);
        return to.answer(200, "text/plain", "0");
    }
    return to.answer(200, "text/plain", try fetch(r.header("x-in") orelse ""));
}
