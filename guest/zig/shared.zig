//! Shared memory: atomics that all requests and storage see.
//!
//! With "shared_memory": MB in the configuration there is one region, at the same
//! address in every machine of the program. It is not put back after a request.

const std = @import("std");
const host = @import("host.zig");

// Where the next piece begins; 0 before the first.
var next: u64 = 0;

/// Takes an atomic (T) out of shared memory: zero when the host starts. Null if there is
/// no room, or no shared memory at all.
///
/// In main only, and in the same order in both machines of a program with storage, so
/// that they get the same addresses. A request that takes one gets the same as others.
pub fn take(comptime T: type) ?*std.atomic.Value(T) {
    const page = host.exchange();
    const Piece = std.atomic.Value(T);
    const at = place(@max(next, page.shm_begin), page.shm_end, @sizeOf(Piece), @alignOf(Piece)) orelse return null;
    next = at + @sizeOf(Piece);
    return @ptrFromInt(at);
}

/// The first multiple of (alignment) from (from) on with (size) bytes before (end).
fn place(from: u64, end: u64, size: u64, alignment: u64) ?u64 {
    if (from == 0 or from > end) return null;
    const at = std.mem.alignForward(u64, from, alignment);
    return if (at <= end and size <= end - at) at else null;
}

test "pieces are aligned and end with the memory" {
    try std.testing.expectEqual(4104, place(4100, 8192, 8, 8));
    try std.testing.expectEqual(8184, place(8184, 8192, 8, 8));
    try std.testing.expectEqual(null, place(8185, 8192, 8, 8));
    try std.testing.expectEqual(null, place(0, 0, 0, 1));
}
