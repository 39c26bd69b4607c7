//! Lines for the log of the host.

use crate::sys;
use alloc::string::ToString;
use core::fmt::Display;

/// Writes `text` to the host's log, behind the program's name.
///
/// What a program prints appears there as well; this is for programs without std.
pub fn log(text: impl Display) {
    let text = text.to_string();
    // SAFETY: the host reads these bytes.
    unsafe { sys::call(sys::LOG, [sys::address(text.as_ptr()), text.len() as u64]) };
}
