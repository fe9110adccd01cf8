//! Which process a handle belongs to, for the price of a load: how often this process has been forked on the way from the first one.

use crate::error::{Error, Result};
use crate::sys::atfork;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A process, told apart from its descendants and ancestors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner(u32);

impl Owner {
    /// The calling process.
    pub(super) fn this() -> Result<Owner> {
        static WATCHED: OnceLock<()> = OnceLock::new();
        if WATCHED.get().is_none() {
            atfork::on_fork_child(forked)
                .map_err(|errno| Error::os("watch the forks of", "this process", errno))?;
            let _ = WATCHED.set(());
        }
        Ok(Owner(FORKS.load(Ordering::Relaxed)))
    }

    /// Every process: in a scenario of the kill matrix each is the client for what it does.
    #[cfg(feature = "kill-matrix")]
    pub(super) fn anybody() -> Owner {
        Owner(u32::MAX)
    }

    /// Whether it is the calling one.
    #[inline]
    pub(super) fn is_this(self) -> bool {
        FORKS.load(Ordering::Relaxed) == self.0
            || cfg!(feature = "kill-matrix") && self.0 == u32::MAX
    }
}
