//! Counts in shared memory: "Hello 0 World!", "Hello 1 World!" ... No request waits for
//! another.

use skerry::shared;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

fn main() {
    let count: &AtomicU32 = shared::take().expect("shared_memory in the configuration");
    skerry::on_get(move |_| format!("Hello {} World!", count.fetch_add(1, Relaxed)));
    skerry::wait()
}
