//! {{name}}: answers every GET with a line of text.

use skerry::Request;

fn on_get(_: &Request) -> &'static str {
    "Hello from {{name}}!\n"
}

fn main() {
    // This runs once, and then the machine is frozen; every request gets a copy.
    skerry::on_get(on_get);
    skerry::wait()
}
