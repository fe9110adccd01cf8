//! What a pool's supervisor and workers were told at the fork. It does not change after that.

use crate::pool::job;
use crate::pool::worker::encode_panic;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::mem::needs_drop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// See the top of the file.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) name: String,
    /// It travels as an address, by other ways.
    #[serde(skip)]
    pub(super) initializer: Option<Initializer>,
    pub(super) max_tasks: Option<u64>,
    pub(super) idle_timeout: Option<Duration>,
    /// Workers are forked when there is something to do.
    pub(super) on_demand: bool,
    pub(super) restarts: Restarts,
    /// How much memory each worker may map beyond what it inherits, in bytes.
    pub(super) memory_bytes: Option<u64>,
}

/// What each worker runs first.
#[derive(Clone)]
pub(super) enum Initializer {
    /// A closure with what it captures: it is inherited by fork.
    Captures(Arc<dyn Fn() + Send + Sync>),
    /// A function of the program.
    Plain(fn()),
}

impl Initializer {
    pub(super) fn new<F: Fn() + Send + Sync + 'static>(f: F) -> Initializer {
        if size_of::<F>() != 0 || needs_drop::<F>() {
            return Initializer::Captures(Arc::new(f));
        }
        // Nothing to forget; but it goes on existing: the function below calls it.
        std::mem::forget(f);
        Initializer::Plain(job::call_existing::<F>)
    }

    fn call(&self) {
        match self {
            Initializer::Captures(f) => f(),
            Initializer::Plain(f) => f(),
        }
    }
}

/// How many workers that died without a task are replaced.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Restarts {
    pub(super) intensity: u32,
    pub(super) period: Duration,
}

impl Plan {
    /// A worker's first steps that may fail; the report of the panic if they do.
    pub(super) fn begin(&self) -> Result<(), Vec<u8>> {
        if let Some(initializer) = &self.initializer {
            catch_unwind(AssertUnwindSafe(|| initializer.call())).map_err(encode_panic)?;
        }
        if let Some(bytes) = self.memory_bytes {
            let limit =
                || crate::sys::memory::limit_growth(bytes).expect("limit the worker's memory");
            catch_unwind(AssertUnwindSafe(limit)).map_err(encode_panic)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("name", &self.name).finish_non_exhaustive()
    }
}
