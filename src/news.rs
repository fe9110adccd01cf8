//! What the runtime has to say of its own life, through the `log` facade: children that start and end, workers that are replaced,
//! locks that were taken over from the dead.
//!
//! - N1 Off, it costs a load and a compare; the message is made out of line.
//! - N2 Nothing is said under a lock of this crate: the program's logger may use any of them. A lock's takeover is said when it has
//!   been unlocked.
//! - N3 Nothing is said in a handler of signals or forks, nor, in a child of a process with other threads, to a logger of the
//!   program's: a lock of that logger may have been held at the moment of the fork, and stays held in the child.

use log::{Level, Record};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// The target of all these records.
const TARGET: &str = "offspring";

/// This process was forked beside other threads, or its parent was.
static FORKED_BESIDE_THREADS: AtomicBool = AtomicBool::new(false);
/// The logger has no lock that a fork could copy.
static LOGGER_SURVIVES_FORKS: AtomicBool = AtomicBool::new(false);

/// In a child that was forked although there were other threads.
pub(crate) fn forked_beside_threads() {
    FORKED_BESIDE_THREADS.store(true, Ordering::Relaxed);
}

/// The logger in place is one of ours in every child.
pub(crate) fn logger_survives_forks() {
    LOGGER_SURVIVES_FORKS.store(true, Ordering::Relaxed);
}

/// Whether anybody wants to hear it.
#[inline]
pub(crate) fn is_wanted(level: Level) -> bool {
    level <= log::STATIC_MAX_LEVEL && level <= log::max_level()
}

/// Says it.
#[cold]
pub(crate) fn say(level: Level, text: fmt::Arguments<'_>) {
    let is_safe = !FORKED_BESIDE_THREADS.load(Ordering::Relaxed)
        || LOGGER_SURVIVES_FORKS.load(Ordering::Relaxed);
    if is_safe {
        log::logger().log(&Record::builder().level(level).target(TARGET).args(text).build());
    }
}

/// `news!(Debug, "started {child}")`. The arguments are evaluated only if somebody wants to hear it.
macro_rules! news {
    ($level:ident, $($text:tt)+) => {
        if $crate::news::is_wanted(log::Level::$level) {
            $crate::news::say(log::Level::$level, format_args!($($text)+));
        }
    };
}
