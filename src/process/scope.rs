//! Children that are all joined when a block ends.

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::process::builder::Builder;
use crate::process::child::Child;
use crate::process::exit::JoinError;
use crate::process::family;
use crate::process::record::Record;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Runs `body` with a scope to spawn children in, and joins those that `body` did not join before it returns.
///
/// As [`std::thread::scope`], with one lifetime less. A thread's scope must keep what its threads borrow alive; a child has a
/// copy of all that, and may borrow anything with [`spawn`](crate::spawn) too. What a scope adds is the promise that no child
/// is left when it returns. `'scope` is the time in which children can be spawned and handles used.
///
/// It waits for its children however `body` ends. So if they wait for a signal from `body`, give it also where a later `spawn` fails: a `?`
/// before it would leave them waiting, and the scope for them.
///
/// # Panics
/// If a child that was not joined by hand panicked, was ended by a signal, or ended with a code that is not 0; as threads do.
/// If `body` panics, its panic goes on after the children have ended.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let numbers = [3, 1, 4, 1, 5];
/// let (low, high) = offspring::scope(|s| {
///     let low = s.spawn(|| *numbers.iter().min().unwrap())?;
///     let high = s.spawn(|| *numbers.iter().max().unwrap())?;
///     offspring::Result::Ok((low.join().unwrap(), high.join().unwrap()))
/// })?;
/// assert_eq!((low, high), (1, 5));
/// # Ok(()) }
/// ```
pub fn scope<F, T>(body: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope>) -> T,
{
    let scope = Scope { owner: std::process::id(), records: Mutex::default(), lives: PhantomData };
    let result = catch_unwind(AssertUnwindSafe(|| body(&scope)));
    let failure = scope.join_all();
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(_) if failure.is_some() => {
            panic!("a scoped child failed: {}", failure.unwrap_or_default())
        }
        Ok(value) => value,
    }
}

/// Where scoped children are spawned; see [`scope`].
pub struct Scope<'scope> {
    owner: u32,
    records: Mutex<Vec<Arc<Record>>>,
    /// Invariant in `'scope`, as std's.
    lives: PhantomData<&'scope mut &'scope ()>,
}

impl<'scope> Scope<'scope> {
    /// Forks a child as [`spawn`](crate::spawn) does; the scope joins it at its end.
    ///
    /// # Errors
    /// As [`spawn`](crate::spawn), and [`InvalidInput`](ErrorKind::InvalidInput) in a child of the process whose scope this is:
    /// its own copy of the scope never ends.
    pub fn spawn<F, R>(&'scope self, body: F) -> Result<ScopedChild<'scope, R>>
    where
        F: FnOnce() -> R,
        R: Serialize + DeserializeOwned,
    {
        self.spawn_with(Builder::new(), body)
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub fn spawn_with<F, R>(
        &'scope self,
        builder: Builder,
        body: F,
    ) -> Result<ScopedChild<'scope, R>>
    where
        F: FnOnce() -> R,
        R: Serialize + DeserializeOwned,
    {
        if std::process::id() != self.owner {
            let detail = "the scope belongs to the parent process; open one in the child";
            return Err(Error::new(ErrorKind::InvalidInput, "spawn", "a scoped child", detail));
        }
        let mut child = builder.spawn(body)?;
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(child.leave_to_scope());
        Ok(ScopedChild { child, lives: PhantomData })
    }

    /// Joins all that were not joined; what went wrong with the first of those that failed.
    fn join_all(&self) -> Option<String> {
        let records =
            std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failure = None;
        for record in records.iter().filter(|record| !record.is_taken()) {
            let ended = record.wait_until(Deadline::NEVER);
            family::lock().remove(record);
            record.say_end();
            if !record.went_well() {
                let how = ended
                    .and_then(|_| record.exit())
                    .map_or_else(|e| e.to_string(), |e| e.to_string());
                failure.get_or_insert(format!("{} {how}", record.process()));
            }
        }
        failure
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// A child that its [`scope`] joins at the end, unless it was joined before. Everything that [`Child`] can do with `&self` it
/// can do too; dropping it does not detach the child.
#[derive(Debug)]
pub struct ScopedChild<'scope, R> {
    child: Child<R>,
    lives: PhantomData<&'scope ()>,
}

impl<R: DeserializeOwned> ScopedChild<'_, R> {
    /// Waits until the child has ended, and gives what its closure returned.
    ///
    /// # Errors
    /// As [`Child::join`]. The scope does not panic for a child whose end was learned here.
    pub fn join(self) -> std::result::Result<R, JoinError> {
        self.child.join()
    }
}

impl<R> Deref for ScopedChild<'_, R> {
    type Target = Child<R>;

    fn deref(&self) -> &Child<R> {
        &self.child
    }
}
