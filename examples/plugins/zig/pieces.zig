//! Content in pieces: a word that no request may have and that no response shows, of
//! any length and without storing it; and an integration that answers while it reads.
const std = @import("std");
const postern = @import("postern");

comptime {
    postern.plugin(@This());
}

const word = "sesame";

pub fn request_body(r: postern.Request, p: postern.Piece) !postern.Verdict {
    const piece = try p.bytes();
    if (std.mem.indexOf(u8, piece, word) != null) {
        try r.setMessage("a word is missing its door");
        return .refuse;
    }
    if (!p.last()) try p.keep(@min(piece.len, word.len - 1)); // it could be the word's beginning
    return .proceed;
}

pub fn response_body(_: postern.Request, _: postern.Response, p: postern.Piece) !void {
    var rest = try p.bytes();
    while (std.mem.indexOf(u8, rest, word)) |at| {
        try p.write(rest[0..at]);
        try p.write("******");
        rest = rest[at + word.len ..];
    }
    const kept = if (p.last()) 0 else @min(rest.len, word.len - 1);
    try p.write(rest[0 .. rest.len - kept]);
    try p.keep(kept);
}

pub fn integrate(r: postern.Request, to: postern.Response) !void {
    try to.headers().set("content-type", "text/plain");
    var buffer: [8192]u8 = undefined;
    while (true) {
        const some = try r.incoming(&buffer);
        for (some) |*c| c.* = std.ascii.toUpper(c.*);
        try to.send(some); // a head also for an answer without content
        if (some.len == 0) return;
    }
}
