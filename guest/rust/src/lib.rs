//! Programs that answer HTTP requests inside of skerry.
//!
//! ```no_run
//! skerry::on_get(|request| format!("Hello from {}!\n", request.path()));
//! skerry::wait()
//! ```
//!
//! `main` runs once, up to [`wait`]; there the machine is frozen. Every request is
//! answered by a handler in a fresh copy of it, so a request never sees what another
//! one left in memory. What must outlive a request lives in [`storage`] or in
//! [`shared`] memory.
//!
//! "Fails the request" means: the handler of [`on_error`] answers if there is one, else
//! the client gets a 500 and the log says why. So does a panic.
//!
//! The crate needs no std, only an allocator; programs may use std. Nothing in it works
//! in an ordinary Linux process: host calls are instructions that Linux does not allow.
#![no_std]
#![warn(missing_docs)]

extern crate alloc;

mod handler;
mod log;
mod request;
mod response;
pub mod shared;
mod slot;
pub mod storage;
pub mod sys;
mod text;

pub use handler::{on_error, on_get, on_post, on_request, wait};
pub use log::log;
pub use request::{Headers, Request};
pub use response::{Answer, Response};
