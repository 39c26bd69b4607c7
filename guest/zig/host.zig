//! Host calls by number, and the layouts that they take: what kvm_api.h says, in Zig.
//! skerry.zig and its other files wrap these; what they do not offer can be called here.

const std = @import("std");

pub const register_func = 0x10000;
pub const wait_for_requests = 0x10001;
pub const backend_response = 0x10010;
pub const storage_return = 0x10011;
pub const shared_memory_area = 0x10700;
pub const storage_allow = 0x10707;
pub const storage_callv = 0x10708;
pub const storage_task = 0x10709;
pub const stop_storage_task = 0x1070A;
pub const log = 0x7F000;

pub const on_request = 3;
pub const on_error = 5;

pub const max_extra_headers = 64;
pub const max_buffers = 64;

// A host call takes its arguments in the registers that a C function gets them in; only
// the number comes on the stack. The compiler cannot look into this function, so it
// does not conclude that a call leaves all variables alone: the host may run callbacks.
comptime {
    asm (
        \\.pushsection .text.skerry_call, "ax", @progbits
        \\.weak skerry_call
        \\.type skerry_call, @function
        \\skerry_call:
        \\    movl 8(%rsp), %eax
        \\    outl %eax, $0
        \\    ret
        \\.popsection
    );
}

extern fn skerry_call(u64, u64, u64, u64, u64, u64, u64) callconv(.c) i64;

/// Makes host call (nr) with up to six arguments; missing ones are 0. Returns rax:
/// mostly a count, or -errno; -38 (ENOSYS) for a number that the host does not know.
/// The arguments are as kvm_api.h says for this call: the host writes where they say.
pub fn call(nr: u64, arguments: anytype) i64 {
    var a: [6]u64 = @splat(0);
    inline for (arguments, 0..) |argument, at| a[at] = argument;
    return skerry_call(a[0], a[1], a[2], a[3], a[4], a[5], nr);
}

/// struct kvm_request_header.
pub const Header = extern struct {
    field: [*:0]const u8,
    colon: u32,
    len: u32,

    /// What is before the colon.
    pub fn name(self: Header) []const u8 {
        return self.field[0..@min(self.colon, self.len)];
    }

    /// What is behind the colon, without the space around it.
    pub fn value(self: Header) []const u8 {
        return std.mem.trim(u8, self.field[@min(self.colon + 1, self.len)..self.len], " \t");
    }
};

/// struct kvm_request.
pub const Request = extern struct {
    method: [*:0]const u8,
    url: [*:0]const u8,
    arg: [*:0]const u8,
    content_type: [*:0]const u8,
    method_len: u16,
    url_len: u16,
    arg_len: u16,
    content_type_len: u16,
    content: ?[*]const u8,
    content_len: usize,
    headers: [*]const Header,
    num_headers: u16,
    info_flags: u16,
    reserved: u32,
    prng: [2]u64,
    reserved2: [5]u64,
};

/// struct ResponseHeader.
pub const ResponseHeader = extern struct { field: [*]const u8, len: usize };

/// struct BackendResponseExtra.
pub const ResponseExtra = extern struct {
    headers: [*]const ResponseHeader,
    num_headers: u16,
    cached: bool,
    ttl: f32,
    grace: f32,
    keep: f32,
    reserved: [4]u64 = .{ 0, 0, 0, 0 },
};

/// struct kvm_api_exchange: one page, which the program shares with the host.
pub const Exchange = extern struct {
    magic: u32,
    is_storage: u32,
    shm_begin: u64,
    shm_end: u64,
    method: ?[*]const u8,
    method_len: u64,
    headers: ?[*]const Header,
    num_headers: u64,
    request_changed: u32,
    result_ready: u32,
    data_len: u32,
    reserved: [15]u32,
    data: [3968]u8,
};

comptime {
    std.debug.assert(@sizeOf(Exchange) == 4096 and @offsetOf(Exchange, "data") == 128);
    std.debug.assert(@sizeOf(Request) == 128);
}

/// The exchange page. This host always sets it up.
pub fn exchange() *volatile Exchange {
    return @ptrFromInt(0x100000);
}
