//! JSON in, JSON out: {"a": {"b": [1, 2]}} becomes {"a.b.0": 1, "a.b.1": 2}.
//!
//!     curl -d '{"a": {"b": [1, 2]}}' .../flatten

const std = @import("std");
const skerry = @import("skerry");
const Value = std.json.Value;
const Allocator = std.mem.Allocator;

/// Puts (value), which is at (path), into (flat); an empty object or array stays one.
fn flatten(allocator: Allocator, path: []const u8, value: Value, flat: *Pairs) !void {
    switch (value) {
        .object => |object| if (object.count() > 0) {
            for (object.keys(), object.values()) |key, each|
                try flatten(allocator, try join(allocator, path, key), each, flat);
            return;
        },
        .array => |array| if (array.items.len > 0) {
            for (array.items, 0..) |each, at| {
                const key = try std.fmt.allocPrint(allocator, "{d}", .{at});
                try flatten(allocator, try join(allocator, path, key), each, flat);
            }
            return;
        },
        else => {},
    }
    try flat.append(allocator, .{ .path = path, .value = value });
}

const Pair = struct { path: []const u8, value: Value };
const Pairs = std.ArrayList(Pair);

fn join(allocator: Allocator, path: []const u8, key: []const u8) ![]const u8 {
    if (path.len == 0) return key;
    return std.fmt.allocPrint(allocator, "{s}.{s}", .{ path, key });
}

/// (flat) as one object, a pair in each line.
fn print(allocator: Allocator, flat: Pairs) ![]const u8 {
    var text: std.Io.Writer.Allocating = .init(allocator);
    const out = &text.writer;
    for (flat.items, 0..) |pair, at| {
        try out.writeAll(if (at == 0) "{\n  " else ",\n  ");
        try std.json.Stringify.value(pair.path, .{}, out);
        try out.writeAll(": ");
        try std.json.Stringify.value(pair.value, .{}, out);
    }
    try out.writeAll("\n}\n");
    return text.written();
}

fn onPost(request: *const skerry.Request) !void {
    // Nothing is freed: the machine is put back after the request.
    var arena: std.heap.ArenaAllocator = .init(std.heap.page_allocator);
    const allocator = arena.allocator();
    const value = std.json.parseFromSliceLeaky(Value, allocator, request.body(), .{}) catch
        skerry.respond(.{ .status = 400, .body = "expected JSON\n" });
    var flat: Pairs = .empty;
    try flatten(allocator, "", value, &flat);
    skerry.respond(.{ .content_type = "application/json", .body = try print(allocator, flat) });
}

fn onGet(_: *const skerry.Request) void {
    skerry.respond(.{ .status = 405, .body = "POST some JSON\n" });
}

pub fn main() void {
    skerry.onGet(onGet);
    skerry.onPost(onPost);
    skerry.wait();
}
