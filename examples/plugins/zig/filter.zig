//! A filter: every request and its answer carry a trace id, and what lies below
//! /internal is hidden.
const std = @import("std");
const postern = @import("postern");

comptime {
    postern.plugin(@This());
}

pub fn request(r: postern.Request, to: postern.Response) !postern.Verdict {
    if (std.mem.startsWith(u8, r.path(), "/internal")) {
        return to.answer(404, "application/json", "{\"message\":\"not here\"}");
    }
    const trace = r.header("x-trace") orelse r.id();
    try r.headers().set("x-trace", trace);
    try r.bag().set("trace", trace);
    return .proceed;
}

pub fn response(r: postern.Request, to: postern.Response) !void {
    if (r.bag().get("trace")) |trace| try to.headers().set("x-trace", trace);
    _ = try to.headers().remove("x-powered-by");
}
