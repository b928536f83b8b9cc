//! An integration: it greets whom the path names.
const postern = @import("postern");

comptime {
    postern.plugin(@This());
}

pub fn integrate(r: postern.Request, to: postern.Response) !void {
    const greeting = r.stageVariables().get("greeting") orelse "Hello";
    const name = r.pathParams().get("name") orelse "";
    const message = postern.json.quote(postern.print("{s}, {s}!", .{ greeting, name }));
    try to.reply(200, "application/json", postern.print("{{\"message\":{s}}}", .{message}));
}
