//! Programs in Zig that skerry serves.
//!
//!     const skerry = @import("skerry");
//!
//!     fn onGet(_: *const skerry.Request) void {
//!         skerry.respond(.{ .body = "Hello World!" });
//!     }
//!
//!     pub fn main() void {
//!         skerry.onGet(onGet);
//!         skerry.wait();
//!     }
//!
//! main runs once, up to wait(); there the machine is frozen. Every request is answered
//! by a handler in a fresh copy of it, so a request never sees what another one left in
//! memory. What must outlive a request lives in storage or in shared memory.
//!
//! "Fails the request" means: the handler of onError answers if there is one, else the
//! client gets a 500 and the log says why. So does a panic. A handler may also return
//! an error: that is a panic with its name.
//!
//! Nothing here works in an ordinary Linux process: host calls are instructions that
//! Linux does not allow.

const std = @import("std");
pub const host = @import("host.zig");
pub const shared = @import("shared.zig");
pub const storage = @import("storage.zig");

/// A request. It lives in memory of the machine, and is gone after the response.
pub const Request = struct {
    raw: *const host.Request,

    /// The method, such as "GET".
    pub fn method(self: *const Request) []const u8 {
        return self.raw.method[0..self.raw.method_len];
    }

    /// Path and query as the client sent them, with the program's name in it.
    pub fn url(self: *const Request) []const u8 {
        return self.raw.url[0..self.raw.url_len];
    }

    /// What is before the question mark, as the client sent it.
    pub fn path(self: *const Request) []const u8 {
        const mark = std.mem.indexOfScalar(u8, self.url(), '?') orelse return self.url();
        return self.url()[0..mark];
    }

    /// What is behind the question mark, as the client sent it; "" without one.
    pub fn query(self: *const Request) []const u8 {
        const mark = std.mem.indexOfScalar(u8, self.url(), '?') orelse return "";
        return self.url()[mark + 1 ..];
    }

    /// What the configuration says for "arg": a text, or a header of the request.
    pub fn arg(self: *const Request) []const u8 {
        return self.raw.arg[0..self.raw.arg_len];
    }

    /// The body; empty without one.
    pub fn body(self: *const Request) []const u8 {
        const content = self.raw.content orelse return "";
        return content[0..self.raw.content_len];
    }

    /// The type of the body; "" without one.
    pub fn contentType(self: *const Request) []const u8 {
        return self.raw.content_type[0..self.raw.content_type_len];
    }

    /// All headers, as "Name: value".
    pub fn headers(self: *const Request) []const host.Header {
        return self.raw.headers[0..self.raw.num_headers];
    }

    /// The value of the first header (name), in any case; null if there is none.
    pub fn header(self: *const Request, name: []const u8) ?[]const u8 {
        for (self.headers()) |each| {
            if (std.ascii.eqlIgnoreCase(each.name(), name)) return each.value();
        }
        return null;
    }

    /// 128 random bits, fresh in every request. What main has seeded is the same in all.
    pub fn random(self: *const Request) [2]u64 {
        return self.raw.prng;
    }

    /// Whether the host makes this request itself, before the machine is frozen.
    pub fn isWarmup(self: *const Request) bool {
        return self.raw.info_flags & 1 != 0;
    }
};

/// What respond() takes.
pub const Response = struct {
    /// 200 to 599.
    status: u16 = 200,
    /// The body's type, at most 4095 bytes.
    content_type: []const u8 = "text/plain; charset=utf-8",
    body: []const u8 = "",
    /// More headers, each "Name: value" of 4 to 65535 bytes without a line end; at most
    /// 64 of them.
    headers: []const []const u8 = &.{},
    /// For how long it may be cached, in seconds.
    cached: ?Freshness = null,
};

/// Fresh for (ttl) seconds, then given for (grace) more while a new one is fetched, and
/// for (keep) more when fetching one fails.
pub const Freshness = struct { ttl: f32, grace: f32 = 0, keep: f32 = 0 };

/// Responds, and ends the request here. What is out of range fails the request.
pub fn respond(response: Response) noreturn {
    var fields: [host.max_extra_headers]host.ResponseHeader = undefined;
    const count = @min(fields.len, response.headers.len);
    for (fields[0..count], response.headers[0..count]) |*field, text| {
        field.* = .{ .field = text.ptr, .len = text.len };
    }
    const fresh = response.cached orelse Freshness{ .ttl = 0 };
    const extra = host.ResponseExtra{
        .headers = &fields,
        // With too many of them, the host reads none: it refuses the number.
        .num_headers = std.math.lossyCast(u16, response.headers.len),
        .cached = response.cached != null,
        .ttl = fresh.ttl,
        .grace = fresh.grace,
        .keep = fresh.keep,
    };
    _ = host.call(host.backend_response, .{
        response.status,               @intFromPtr(response.content_type.ptr),
        response.content_type.len,     @intFromPtr(response.body.ptr),
        response.body.len,             @intFromPtr(&extra),
    });
    unreachable;
}

/// Has (handler) answer requests without a body. A handler is a function
/// fn (*const Request) void, or one that returns an error union of void.
pub fn onGet(comptime handler: anytype) void {
    handlers.get = wrap(handler);
}

/// Has (handler) answer requests that have a body, whatever their method; without a
/// handler for those that have none, all.
pub fn onPost(comptime handler: anytype) void {
    handlers.post = wrap(handler);
}

/// Has (handler) answer all requests; it wins over the other two.
pub fn onRequest(comptime handler: anytype) void {
    handlers.request = wrap(handler);
}

/// Has (handler) answer, within a second, requests that failed: it gets the URL and
/// why, as the log says it.
pub fn onError(comptime handler: fn ([]const u8, []const u8) void) void {
    const wrapped = struct {
        fn call(url: [*:0]const u8, _: [*:0]const u8, why: [*:0]const u8) callconv(.c) void {
            handler(std.mem.span(url), std.mem.span(why));
        }
    };
    _ = host.call(host.register_func, .{ host.on_error, @intFromPtr(&wrapped.call) });
}

/// Ends start-up: the machine is frozen here and answers requests from now on. Must
/// come within the boot time (16 s). Without a handler the program does not start.
pub fn wait() noreturn {
    if (choose(handlers, false) != null) {
        _ = host.call(host.register_func, .{ host.on_request, @intFromPtr(&answer) });
    }
    while (true) _ = host.call(host.wait_for_requests, .{});
}

/// Writes (text) to the host's log, behind the program's name.
pub fn log(text: []const u8) void {
    _ = host.call(host.log, .{ @intFromPtr(text.ptr), text.len });
}

const Handler = *const fn (*const Request) void;
const Handlers = struct { get: ?Handler = null, post: ?Handler = null, request: ?Handler = null };
var handlers = Handlers{};

/// (handler) as one that returns nothing.
fn wrap(comptime handler: anytype) Handler {
    const wrapped = struct {
        fn call(request: *const Request) void {
            const result = handler(request);
            if (@typeInfo(@TypeOf(result)) == .error_union) {
                result catch |err| @panic(@errorName(err));
            }
        }
    };
    return &wrapped.call;
}

/// The handler for a request: as the host chooses a callback of a program in C.
fn choose(all: Handlers, has_body: bool) ?Handler {
    const preferred = if (has_body) all.post else all.get;
    return all.request orelse preferred orelse all.get orelse all.post;
}

fn answer(raw: *const host.Request) callconv(.c) void {
    const request = Request{ .raw = raw };
    if (choose(handlers, request.body().len > 0)) |handler| handler(&request);
}

test "a body decides who answers" {
    const Answers = struct {
        fn one(_: *const Request) void {}
        fn two(_: *const Request) void {
            log("");
        }
    };
    const all = Handlers{ .get = &Answers.one, .post = &Answers.two };
    try std.testing.expectEqual(all.get, choose(all, false));
    try std.testing.expectEqual(all.post, choose(all, true));
    try std.testing.expectEqual(all.get, choose(.{ .get = all.get }, true));
    try std.testing.expectEqual(all.post, choose(.{ .post = all.post }, false));
    try std.testing.expectEqual(null, choose(.{}, true));
}
