//! Shared memory: atomics that all requests and storage see.
//!
//! With `"shared_memory": MB` in the configuration there is one region, at the same
//! address in every machine of the program. It is not put back after a request.

use crate::slot::Slot;
use crate::sys;
use core::mem::{align_of, size_of};
use core::sync::atomic::{
    AtomicBool, AtomicI16, AtomicI32, AtomicI64, AtomicI8, AtomicIsize, AtomicU16, AtomicU32,
    AtomicU64, AtomicU8, AtomicUsize,
};

/// What may live in shared memory: values that others may change at any time, and that
/// are right when all their bytes are zero.
///
/// # Safety
///
/// Implement it only for such types: of atomics, and without pointers or padding that
/// matters.
pub unsafe trait Shared: Sync + 'static {}

macro_rules! shared {
    ($($atomic:ty),*) => { $(
        // SAFETY: an atomic may be changed by others, and zero is one of its values.
        unsafe impl Shared for $atomic {}
    )* };
}
shared!(
    AtomicBool,
    AtomicI8,
    AtomicI16,
    AtomicI32,
    AtomicI64,
    AtomicIsize
);
shared!(AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize);

// SAFETY: as its elements.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

// Where the next piece begins; 0 before the first.
static NEXT: Slot<u64> = Slot::new(0);

/// Takes a `T` out of shared memory: zero when the host starts. None if there is no
/// room, or no shared memory at all.
///
/// In `main` only, and in the same order in both machines of a program with storage, so
/// that they get the same addresses. A request that takes one gets the same as others.
pub fn take<T: Shared>() -> Option<&'static T> {
    let (begin, end) = area();
    // SAFETY: the reference is used in this function only.
    let next = unsafe { NEXT.get() };
    let at = place((*next).max(begin), end, size_of::<T>(), align_of::<T>())?;
    *next = at + size_of::<T>() as u64;
    // SAFETY: it lies in shared memory, and nothing else does there.
    Some(unsafe { &*(at as *const T) })
}

/// Where shared memory is; (0, 0) when there is none.
fn area() -> (u64, u64) {
    match sys::exchange() {
        // SAFETY: the page is mapped, and the host has written these words at start-up.
        Some(page) => unsafe { ((*page).shm_begin, (*page).shm_end) },
        None => {
            // SAFETY: it takes no arguments.
            let found = unsafe { sys::call_pair(sys::SHARED_MEMORY_AREA) };
            (found.first, found.second)
        }
    }
}

/// The first multiple of `align` from `from` on with `size` bytes before `end`.
fn place(from: u64, end: u64, size: usize, align: usize) -> Option<u64> {
    let at = from.checked_next_multiple_of(align as u64)?;
    let fits = from > 0 && at <= end && size as u64 <= end - at;
    fits.then_some(at)
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn pieces_are_aligned_and_end_with_the_memory() {
        assert_eq!(place(4096, 8192, 4, 4), Some(4096));
        assert_eq!(place(4100, 8192, 8, 8), Some(4104));
        assert_eq!(place(8184, 8192, 8, 8), Some(8184));
        assert_eq!(place(8185, 8192, 8, 8), None);
        assert_eq!(place(8192, 8192, 1, 1), None);
    }

    #[test]
    fn without_shared_memory_there_is_no_piece() {
        assert_eq!(place(0, 0, 0, 1), None);
        assert_eq!(place(u64::MAX, u64::MAX, 8, 8), None);
    }
}
