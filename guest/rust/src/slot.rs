//! A static variable without a lock.

use core::cell::UnsafeCell;

/// A value that only the one thread of a program touches.
pub(crate) struct Slot<T>(UnsafeCell<T>);

// SAFETY: the crate calls get() from main before the wait and from the host's
// callbacks, and the host runs one of these at a time.
unsafe impl<T> Sync for Slot<T> {}

impl<T> Slot<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value.
    ///
    /// # Safety
    ///
    /// No other reference to it may be in use.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn get(&self) -> &mut T {
        &mut *self.0.get()
    }
}
