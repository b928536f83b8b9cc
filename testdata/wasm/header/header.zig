//! The smallest useful filter, for measuring: it reads one header and sets one.
const postern = @import("postern");

comptime {
    postern.plugin(@This());
}

pub fn request(r: postern.Request, _: postern.Response) !postern.Verdict {
    if (r.header("user-agent")) |agent| try r.headers().set("x-agent", agent);
    return .proceed;
}
