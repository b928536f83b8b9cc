//! Mappings for a backend that speaks another JSON, and a check of what it is sent.
const std = @import("std");
const postern = @import("postern");

comptime {
    postern.plugin(@This());
}

/// The content has to be an object with a name.
pub fn validate(r: postern.Request) !postern.Judgement {
    for (r.query().get("limit") orelse "") |c| {
        if (!std.ascii.isDigit(c)) return .invalid_parameters;
    }
    const document = postern.json.open(r.body()) catch return .invalid_body;
    return if (document.kind("$.name") == .string) .valid else .invalid_body;
}

/// {"name":N} becomes {"name":N,"from":ADDRESS}.
pub fn map_request(r: postern.Request, to: postern.Backend) !void {
    const document = try postern.json.open(r.body());
    try document.set("$.from", postern.json.quote(r.sourceIp()));
    try to.headers().set("x-api", r.apiId());
    try document.writeTo(to.body());
}

/// {"pet":P} becomes {"data":{"pet":P}}; the backend's 404 becomes 410.
pub fn map_response(_: postern.Request, to: postern.Response) !void {
    if (std.mem.eql(u8, to.backendStatus(), "404")) try to.setStatus(410);
    try to.headers().set("content-type", "application/json");
    try to.body().set(postern.print("{{\"data\":{s}}}", .{try to.body().all()}));
}
