//! State that outlives requests: functions of the program that run in storage.
//!
//! With `"storage": true` in the configuration, `main` runs in two machines, first in
//! storage, which remembers. A request calls a function there; one call at a time runs,
//! so what is static in the program is the state. A call that fails leaves the state as
//! it was.
//!
//! ```no_run
//! use skerry::storage;
//! use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
//!
//! static COUNT: AtomicU32 = AtomicU32::new(0);
//!
//! fn increment(_: &[storage::Buffer]) -> [u8; 4] {
//!     (COUNT.fetch_add(1, Relaxed) + 1).to_le_bytes()
//! }
//!
//! fn main() {
//!     storage::allow(increment);
//!     skerry::on_get(|_| match storage::call(increment, b"") {
//!         Ok(count) => Ok(format!("{}\n", u32::from_le_bytes(count))),
//!         Err(_) => Err((503, "try again\n")),
//!     });
//!     skerry::wait()
//! }
//! ```

use crate::sys;
use core::ffi::c_void;
use core::mem::{size_of, size_of_val};
use core::ops::Deref;
use core::ptr::NonNull;
use core::time::Duration;

/// What a request has passed to a storage function: bytes, which live as long as the
/// function runs.
#[repr(C)]
pub struct Buffer {
    data: *const u8,
    len: usize,
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.data.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: the host has copied these bytes into the storage machine.
        unsafe { core::slice::from_raw_parts(self.data, self.len) }
    }
}

/// A function, or a closure that captures nothing, that can run in storage. What it
/// returns is copied to the caller.
pub trait Function<R>: Fn(&[Buffer]) -> R + Copy + 'static {}
impl<R, F: Fn(&[Buffer]) -> R + Copy + 'static> Function<R> for F {}

/// A storage call that gave no result: the function crashed, ran out of time or is
/// called from storage, or there were more than 64 buffers. Storage is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Whether this is the storage machine.
pub fn is_storage() -> bool {
    match sys::exchange() {
        // SAFETY: the page is mapped, and the host has written this word at start-up.
        Some(page) => unsafe { (*page).is_storage != 0 },
        // SAFETY: it takes no arguments.
        None => unsafe { sys::call(sys::IS_STORAGE, []) != 0 },
    }
}

/// Puts `function` on the list of those that requests may call; with an empty list all
/// may be called. In `main` only; nothing happens outside of storage.
pub fn allow<R: AsRef<[u8]>>(function: impl Function<R>) {
    // SAFETY: the function has the type that the host calls.
    unsafe { sys::call(sys::STORAGE_ALLOW, [address(function)]) };
}

/// Calls `function` in storage with `input` as its one buffer. Its result must have
/// exactly `N` bytes, else this panics, as the two sides of the program do not fit.
///
/// Storage that is not configured, and a function that is not allowed, fail the request.
pub fn call<R: AsRef<[u8]>, const N: usize>(
    function: impl Function<R>,
    input: &[u8],
) -> Result<[u8; N], Failed> {
    let mut result = [0; N];
    let len = call_into(function, &[input], &mut result)?;
    assert_eq!(
        len, N,
        "a storage function returned another number of bytes"
    );
    Ok(result)
}

/// Calls `function` in storage with copies of at most 64 `buffers`, and waits for it.
/// Its result is copied to `result`, as much as has room there; returns how much that is.
pub fn call_into<R: AsRef<[u8]>>(
    function: impl Function<R>,
    buffers: &[&[u8]],
    result: &mut [u8],
) -> Result<usize, Failed> {
    const NOTHING: Buffer = Buffer {
        data: core::ptr::null(),
        len: 0,
    };
    let mut copies = [NOTHING; sys::MAX_BUFFERS];
    if buffers.len() > copies.len() {
        return Err(Failed);
    }
    for (copy, buffer) in copies.iter_mut().zip(buffers) {
        copy.data = buffer.as_ptr();
        copy.len = buffer.len();
    }
    let arguments = [
        address(function),
        buffers.len() as u64,
        sys::address(copies.as_ptr()),
        sys::address(result.as_mut_ptr()),
        result.len() as u64,
    ];
    // SAFETY: the host reads the buffers and writes at most the result's length.
    let len = unsafe { sys::call(sys::STORAGE_CALLV, arguments) };
    usize::try_from(len).map_err(|_| Failed)
}

/// Runs `function` in storage as soon as it is free, without waiting for it. It gets a
/// copy of `data`, at most 2 MB, as its one buffer; nobody gets its result.
pub fn task<R: AsRef<[u8]>>(function: impl Function<R>, data: &[u8]) -> Result<(), Failed> {
    schedule(function, data, Duration::ZERO, Duration::ZERO).map(drop)
}

/// Runs `function` in storage after `start`, and every `period` after that if it is not
/// zero. See [`task`].
pub fn schedule<R: AsRef<[u8]>>(
    function: impl Function<R>,
    data: &[u8],
    start: Duration,
    period: Duration,
) -> Result<Timer, Failed> {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let arguments = [
        address(function),
        sys::address(data.as_ptr()),
        data.len() as u64,
        milliseconds(start),
        milliseconds(period),
    ];
    // SAFETY: the host copies the data.
    let id = unsafe { sys::call(sys::STORAGE_TASK, arguments) };
    u64::try_from(id).map(Timer).map_err(|_| Failed)
}

/// A function that runs in storage again and again. It goes on when this is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer(u64);

impl Timer {
    /// Stops it. Fails if it has been stopped, or had no period.
    pub fn stop(self) -> Result<(), Failed> {
        // SAFETY: it takes a number.
        let result = unsafe { sys::call(sys::STOP_STORAGE_TASK, [self.0]) };
        if result < 0 {
            return Err(Failed);
        }
        Ok(())
    }
}

/// The address under which the host calls a function: one for each of them.
fn address<F: Function<R>, R: AsRef<[u8]>>(_: F) -> u64 {
    const { assert!(size_of::<F>() == 0, "a storage function captures nothing") };
    enter::<F, R> as sys::InStorage as usize as u64
}

/// Runs F in storage. F is of no size, as address() sees to, so its type says all of it.
unsafe extern "C" fn enter<F: Function<R>, R: AsRef<[u8]>>(
    count: usize,
    buffers: *const c_void,
    _room: usize,
) {
    let function: F = *NonNull::dangling().as_ref();
    let buffers = match count {
        0 => &[],
        _ => core::slice::from_raw_parts(buffers.cast::<Buffer>(), count),
    };
    give(function(buffers).as_ref());
}

/// Gives `result` to the caller: by the exchange page if it fits, which costs no exit.
fn give(result: &[u8]) {
    // SAFETY: the page is the program's to write, and the host copies what is said.
    unsafe {
        match sys::exchange() {
            Some(page) if result.len() <= size_of_val(&(*page).data) => {
                (&mut (*page).data)[..result.len()].copy_from_slice(result);
                (*page).data_len = result.len() as u32;
                (*page).result_ready = 1;
            }
            _ => {
                let arguments = [sys::address(result.as_ptr()), result.len() as u64];
                sys::call(sys::STORAGE_RETURN, arguments);
            }
        }
    }
}
