//! State that outlives requests: functions of the program that run in storage.
//!
//! With "storage": true in the configuration, main runs in two machines, first in
//! storage, which remembers. A request calls a function there; one call at a time runs,
//! so the program's variables are the state. A call that fails leaves them as they were.
//!
//! A storage function is fn ([]const Buffer) []const u8: it gets copies of what the
//! request passes, and what it returns is copied to the caller.

const host = @import("host.zig");

/// Bytes that a request has passed to a storage function.
pub const Buffer = extern struct {
    data: ?[*]const u8,
    len: usize,

    pub fn bytes(self: Buffer) []const u8 {
        const data = self.data orelse return "";
        return data[0..self.len];
    }
};

const Function = fn ([]const Buffer) []const u8;

/// The function crashed, ran out of time or is called from storage, or there were more
/// than 64 buffers. Storage is as before.
pub const Error = error{StorageCallFailed};

/// Whether this is the storage machine.
pub fn isStorage() bool {
    return host.exchange().is_storage != 0;
}

/// Puts (function) on the list of those that requests may call; with an empty list all
/// may be called. In main only; nothing happens outside of storage.
pub fn allow(comptime function: Function) void {
    _ = host.call(host.storage_allow, .{address(function)});
}

/// Calls (function) in storage with copies of at most 64 (buffers), and waits for it.
/// Its result is copied to (result), as much as has room there; returns that part.
/// Storage that is not configured, and a function that is not allowed, fail the request.
pub fn call(comptime function: Function, buffers: []const []const u8, result: []u8) Error![]u8 {
    var copies: [host.max_buffers]Buffer = undefined;
    if (buffers.len > copies.len) return error.StorageCallFailed;
    for (copies[0..buffers.len], buffers) |*copy, buffer| {
        copy.* = .{ .data = buffer.ptr, .len = buffer.len };
    }
    const len = host.call(host.storage_callv, .{
        address(function),       buffers.len, @intFromPtr(&copies),
        @intFromPtr(result.ptr), result.len,
    });
    return if (len < 0) error.StorageCallFailed else result[0..@intCast(len)];
}

/// Runs (function) in storage in (start_ms), and every (period_ms) after it if that is
/// not 0, without waiting for it. It gets a copy of (data), at most 2 MB, as its one
/// buffer. Returns the timer's number for stop() if it is periodic, else 0.
pub fn schedule(comptime function: Function, data: []const u8, start_ms: u64, period_ms: u64) Error!u64 {
    const id = host.call(host.storage_task, .{
        address(function), @intFromPtr(data.ptr), data.len, start_ms, period_ms,
    });
    return if (id < 0) error.StorageCallFailed else @intCast(id);
}

/// Stops the timer (id). Fails if there is none.
pub fn stop(id: u64) Error!void {
    if (host.call(host.stop_storage_task, .{id}) < 0) return error.StorageCallFailed;
}

/// The address under which the host calls (function): one for each of them.
fn address(comptime function: Function) u64 {
    const wrapped = struct {
        fn call(count: usize, buffers: [*]const Buffer, _: usize) callconv(.c) void {
            const result = function(if (count == 0) &.{} else buffers[0..count]);
            _ = host.call(host.storage_return, .{ @intFromPtr(result.ptr), result.len });
        }
    };
    return @intFromPtr(&wrapped.call);
}
