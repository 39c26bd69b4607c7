//! Counts in storage: X-Counter is 1, 2, 3 ...

const std = @import("std");
const skerry = @import("skerry");
const storage = skerry.storage;

var count: u32 = 0;

/// Runs in storage, where count stays; one call at a time.
fn increment(_: []const storage.Buffer) []const u8 {
    count += 1;
    return std.mem.asBytes(&count);
}

fn onGet(_: *const skerry.Request) !void {
    var counted: u32 = 0;
    _ = try storage.call(increment, &.{}, std.mem.asBytes(&counted));
    var text: [32]u8 = undefined;
    const header = try std.fmt.bufPrint(&text, "X-Counter: {d}", .{counted});
    skerry.respond(.{ .headers = &.{header}, .body = "Hello Compute World!" });
}

pub fn main() void {
    if (storage.isStorage()) skerry.log("Hello Storage World!");
    storage.allow(increment);
    skerry.onGet(onGet);
    skerry.wait();
}
