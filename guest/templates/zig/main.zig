//! {{name}}: answers every GET with a line of text.

const skerry = @import("skerry");

fn onGet(_: *const skerry.Request) void {
    skerry.respond(.{ .body = "Hello from {{name}}!\n" });
}

pub fn main() void {
    // This runs once, and then the machine is frozen; every request gets a copy.
    skerry.onGet(onGet);
    skerry.wait();
}
