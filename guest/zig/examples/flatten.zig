//! JSON in, JSON out: {"a": {"b": [1, 2]}} becomes {"a.b.0": 1, "a.b.1": 2}.
//!
//!     curl -d '{"a": {"b": [1, 2]}}' .../flatten
//!
//! It reads the text once (RFC 8259) and writes while it reads. What stands in strings
//! and numbers stays as it is written; an empty object or array stays one. The same
//! program is there in C, Rust and Go.

const std = @import("std");
const skerry = @import("skerry");

/// Objects and arrays around a value.
const depth_max = 100;
/// Bytes: long names, once for each value, are long.
const result_max = 4 << 20;

const Error = error{ Malformed, TooLarge };

// Of these, a request has the pages that it writes to: the rest costs nothing.
var memory: [2][result_max]u8 = undefined;

/// Bytes that may not grow without end.
const Buffer = struct {
    memory: *[result_max]u8,
    len: usize = 0,

    fn bytes(self: *const Buffer) []const u8 {
        return self.memory[0..self.len];
    }

    fn add(self: *Buffer, data: []const u8) Error!void {
        if (data.len > result_max - self.len) return error.TooLarge;
        @memcpy(self.memory[self.len..][0..data.len], data);
        self.len += data.len;
    }
};

/// A text that is being read, the path of names to where it is read, and the result.
const Flattening = struct {
    text: []const u8,
    at: usize = 0,
    path: Buffer = .{ .memory = &memory[0] },
    out: Buffer = .{ .memory = &memory[1] },

    /// The byte that comes next; 0, which is no part of JSON, at the end.
    fn peek(self: *const Flattening) u8 {
        return if (self.at < self.text.len) self.text[self.at] else 0;
    }

    fn take(self: *Flattening, byte: u8) bool {
        const found = self.peek() == byte;
        if (found) self.at += 1;
        return found;
    }

    fn expect(self: *Flattening, expected: []const u8) Error!void {
        for (expected) |byte| if (!self.take(byte)) return error.Malformed;
    }

    fn skipSpace(self: *Flattening) void {
        while (std.mem.indexOfScalar(u8, " \t\n\r", self.peek()) != null) self.at += 1;
    }

    fn digits(self: *Flattening) Error!void {
        if (!std.ascii.isDigit(self.peek())) return error.Malformed;
        while (std.ascii.isDigit(self.peek())) self.at += 1;
    }

    fn number(self: *Flattening) Error!void {
        _ = self.take('-');
        if (!self.take('0')) try self.digits();
        if (self.take('.')) try self.digits();
        if (self.take('e') or self.take('E')) {
            _ = self.take('+') or self.take('-');
            try self.digits();
        }
    }

    fn escape(self: *Flattening) Error!void {
        const kind = self.peek();
        if (std.mem.indexOfScalar(u8, "\"\\/bfnrtu", kind) == null) return error.Malformed;
        self.at += 1;
        for (0..if (kind == 'u') 4 else 0) |_| {
            if (!std.ascii.isHex(self.peek())) return error.Malformed;
            self.at += 1;
        }
    }

    /// Reads a string, and returns what stands between its quotes.
    fn string(self: *Flattening) Error![]const u8 {
        try self.expect("\"");
        const begin = self.at;
        while (!self.take('"')) {
            if (self.peek() < ' ') return error.Malformed;
            if (self.take('\\')) try self.escape() else self.at += 1;
        }
        return self.text[begin .. self.at - 1];
    }

    fn scalar(self: *Flattening) Error!void {
        switch (self.peek()) {
            '"' => _ = try self.string(),
            't' => try self.expect("true"),
            'f' => try self.expect("false"),
            'n' => try self.expect("null"),
            else => try self.number(),
        }
    }

    /// Writes the member (data), whose name is the path.
    fn emit(self: *Flattening, data: []const u8) Error!void {
        const first = self.out.len == 0;
        try self.out.add(if (first) "{\n  \"" else ",\n  \"");
        try self.out.add(self.path.bytes());
        try self.out.add("\": ");
        try self.out.add(data);
    }

    /// A value inside of another, where its name is (name).
    fn child(self: *Flattening, name: []const u8, depth: usize) Error!void {
        const before = self.path.len;
        if (before > 0) try self.path.add(".");
        try self.path.add(name);
        try self.value(depth + 1);
        self.path.len = before;
        self.skipSpace();
    }

    fn object(self: *Flattening, depth: usize) Error!void {
        while (true) {
            self.skipSpace();
            const name = try self.string();
            self.skipSpace();
            try self.expect(":");
            try self.child(name, depth);
            if (!self.take(',')) return self.expect("}");
        }
    }

    fn array(self: *Flattening, depth: usize) Error!void {
        var name: [20]u8 = undefined;
        var index: usize = 0;
        while (true) : (index += 1) {
            try self.child(std.fmt.bufPrint(&name, "{d}", .{index}) catch unreachable, depth);
            if (!self.take(',')) return self.expect("]");
        }
    }

    /// The value that begins here or behind spaces, in so many others.
    fn value(self: *Flattening, depth: usize) Error!void {
        self.skipSpace();
        const begin = self.at;
        if (depth > depth_max) return error.Malformed;
        if (self.take('{')) {
            self.skipSpace();
            return if (self.take('}')) self.emit("{}") else self.object(depth);
        }
        if (self.take('[')) {
            self.skipSpace();
            return if (self.take(']')) self.emit("[]") else self.array(depth);
        }
        try self.scalar();
        try self.emit(self.text[begin..self.at]);
    }
};

fn flatten(text: []const u8) Error![]const u8 {
    if (!std.unicode.utf8ValidateSlice(text)) return error.Malformed;
    var flattening: Flattening = .{ .text = text };
    try flattening.value(0);
    flattening.skipSpace();
    if (flattening.at != text.len) return error.Malformed;
    try flattening.out.add("\n}\n");
    return flattening.out.bytes();
}

fn onPost(request: *const skerry.Request) void {
    const flat = flatten(request.body()) catch |failure| switch (failure) {
        error.Malformed => skerry.respond(.{ .status = 400, .body = "expected JSON\n" }),
        error.TooLarge => skerry.respond(.{ .status = 413, .body = "the result is too large\n" }),
    };
    skerry.respond(.{ .content_type = "application/json", .body = flat });
}

fn onGet(_: *const skerry.Request) void {
    skerry.respond(.{ .status = 405, .body = "POST some JSON\n" });
}

pub fn main() void {
    skerry.onGet(onGet);
    skerry.onPost(onPost);
    skerry.wait();
}
