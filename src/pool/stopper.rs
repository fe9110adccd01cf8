//! Ending a pool from beside: by a thread that hears of Ctrl-C, say, while others are in the midst of a `map`.

use crate::pool::Pool;
use crate::pool::desk::Desk;
use crate::pool::end;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Ends a [`Pool`] from any thread of the client, while others use it. Made by [`Pool::stopper`].
///
/// The crate sets no signal handler in your process. What is to happen at Ctrl-C is yours to say; this is what to call then, from the thread
/// that hears of it (one that reads a `signalfd`, the callback of the `ctrlc` crate). Not from a signal handler itself.
///
/// - **The others**: each of their tasks is [cancelled](crate::pool::TaskError::Cancelled), so that their `wait` and `map` return, and a submit is an error.
/// - **The pool**: its workers are ended; whoever has it shuts it down or drops it as always, and need not wait for tasks any more.
/// - **Lifetime, fork**: it may outlive the pool, and does nothing then. Neither does a copy in a child.
///
/// Ctrl-C sends SIGINT to every process of the terminal's foreground group. Supervisor and workers ignore it. A client that does nothing about
/// it dies of it, and its pool with it. One that wants an end in order blocks it and reads it (here with `nix`):
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use nix::sys::signal::{SigSet, Signal};
/// use offspring::{Pool, pool::TaskError};
/// use std::time::Duration;
///
/// // Blocked before there are threads, so that none is interrupted; threads come after the pool.
/// let interrupt = SigSet::from_iter([Signal::SIGINT]);
/// interrupt.thread_block()?;
/// let pool = Pool::new(2)?;
/// let stopper = pool.stopper();
/// std::thread::spawn(move || {
///     while interrupt.wait().is_ok() {
///         stopper.stop(Duration::from_secs(2));
///     }
/// });
/// # nix::sys::signal::kill(nix::unistd::getpid(), Signal::SIGINT)?; // somebody presses Ctrl-C
/// match pool.map(|_| -> () { loop { std::thread::park() } }, 0..10) {
///     Ok(_) => println!("done"),
///     Err(TaskError::Cancelled | TaskError::NotSubmitted(_)) => println!("interrupted"),
///     Err(error) => println!("{error}"),
/// }
/// pool.shutdown()?;
/// # Ok(()) }
/// ```
///
/// A client without threads of its own can wait for its pool and a `signalfd` at once with [`wait_any`](crate::wait_any), and call
/// [`Pool::terminate`].
#[derive(Clone)]
pub struct Stopper {
    desk: Arc<Desk>,
}

impl Stopper {
    /// Cancels everything and ends the workers, as [`Pool::terminate`] does, but does not wait: SIGTERM, and SIGKILL for those that live
    /// after `grace`. Another call can make the grace period shorter and nothing else: the second Ctrl-C.
    pub fn stop(&self, grace: Duration) {
        end::stop(&self.desk, grace);
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").finish_non_exhaustive()
    }
}

impl Pool {
    /// What ends this pool from another thread; see [`Stopper`].
    pub fn stopper(&self) -> Stopper {
        Stopper { desk: Arc::clone(&self.desk) }
    }
}

const _: () = {
    const fn works_from_several_threads<T: Send + Sync + Clone + 'static>() {}
    works_from_several_threads::<Stopper>();
};
