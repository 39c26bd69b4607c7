//! Counts in storage: X-Counter is 1, 2, 3 ...

use skerry::storage::{self, Buffer};
use skerry::{Request, Response};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Runs in storage, where COUNT stays; one call at a time.
fn increment(_: &[Buffer]) -> [u8; 4] {
    (COUNT.fetch_add(1, Relaxed) + 1).to_le_bytes()
}

fn on_get(_: &Request) -> Response {
    match storage::call(increment, b"") {
        Ok(count) => Response::new(200)
            .header("X-Counter", u32::from_le_bytes(count))
            .text("Hello Compute World!"),
        Err(storage::Failed) => Response::new(503).text("try again\n"),
    }
}

fn main() {
    if storage::is_storage() {
        println!("Hello Storage World!");
    }
    storage::allow(increment);
    skerry::on_get(on_get);
    skerry::wait()
}
