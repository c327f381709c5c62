//! What keeps a writer's panic from ending the program.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Whether this thread is inside a writer.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls a writer; `None` where it panicked.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(before);
    done.ok()
}

/// Whether this thread is inside a writer whose panics become errors.
pub(super) fn is_guarded() -> bool {
    GUARDED.try_with(Cell::get).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_known_to_be() {
        assert!(!is_guarded());
        assert_eq!(guarded(|| (is_guarded(), 7)), Some((true, 7)));
        assert_eq!(guarded(|| guarded(|| ()).is_some() && is_guarded()), Some(true), "one inside the other");
        assert_eq!(guarded(|| std::thread::spawn(is_guarded).join().unwrap()), Some(false), "other threads are not");
        assert_eq!(guarded(|| -> u32 { panic!("as the writers may") }), None);
        assert!(!is_guarded());
    }
}
