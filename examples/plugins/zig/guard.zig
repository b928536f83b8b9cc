//! An authorizer: it lets in who knows the token of the plugin's config,
//! config = { token = "…" }.
const std = @import("std");
const postern = @import("postern");

comptime {
    postern.plugin(@This());
}

var token: []const u8 = "";

pub fn configure(config: []const u8) !void {
    const document = try postern.json.parse(config);
    token = document.get("$.token") orelse "";
    if (token.len == 0) return postern.fail("config needs a token: config = { token = \"…\" }");
}

pub fn authorize(r: postern.Request) !postern.Decision {
    const given = r.header("authorization") orelse "";
    if (!std.mem.startsWith(u8, given, "Bearer ")) return .unauthenticated;
    if (!postern.crypto.equal(given["Bearer ".len..], token)) return .deny;
    try r.setPrincipal("bearer");
    try r.setContext("stage", r.stage());
    return .allow;
}
