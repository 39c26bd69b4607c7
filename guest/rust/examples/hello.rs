//! The smallest program: every GET is answered with the same line.

fn main() {
    skerry::on_get(|_| "Hello World!");
    skerry::wait()
}
