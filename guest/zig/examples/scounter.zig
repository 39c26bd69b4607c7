//! Counts in shared memory: "Hello 0 World!", "Hello 1 World!" ... No request waits for
//! another.

const std = @import("std");
const skerry = @import("skerry");

var count: *std.atomic.Value(u32) = undefined;

fn onGet(_: *const skerry.Request) !void {
    var text: [64]u8 = undefined;
    const before = count.fetchAdd(1, .monotonic);
    skerry.respond(.{ .body = try std.fmt.bufPrint(&text, "Hello {d} World!", .{before}) });
}

pub fn main() void {
    count = skerry.shared.take(u32) orelse @panic("shared_memory in the configuration");
    skerry.onGet(onGet);
    skerry.wait();
}
