//! The smallest program: every GET is answered with the same line.

const skerry = @import("skerry");

fn onGet(_: *const skerry.Request) void {
    skerry.respond(.{ .body = "Hello World!" });
}

pub fn main() void {
    skerry.onGet(onGet);
    skerry.wait();
}
