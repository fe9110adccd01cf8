//! The news that a lock's last owner died, together with the lock.

use crate::shm::roster;
use crate::sync::mutex::MutexGuard;
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Marks, in `Mutex::died`, an owner that panicked rather than died.
pub(crate) const PANICKED: u32 = 1 << 31;

/// A guard with which the news of a death can come: what it knows of the mark that the dead owner has left.
pub trait Guard: Deref {
    /// How a message about a failure to get it begins.
    const ATTEMPT: &'static str;
    /// The id of the last owner, perhaps with [`PANICKED`].
    fn died(this: &Self) -> u32;
}

/// A guard whose holder may change the data, and so declare it sound.
pub trait Recover: Guard {
    /// Takes the mark away.
    fn recover(this: &mut Self);
}

/// Why a [`Mutex`](crate::Mutex), or another lock with the guard `G`, was not simply locked.
pub enum LockError<'a, T: Pod, G = MutexGuard<'a, T>> {
    /// The lock is held now, but its last owner died or panicked in the middle; the guard is inside.
    OwnerDied(OwnerDied<'a, T, G>),
    /// `try_…`: a living thread holds the lock.
    WouldBlock,
    /// A living thread held the lock until the deadline.
    TimedOut,
}

/// The guard of a lock whose last owner died or panicked while it held it.
///
/// The data is what that owner left, perhaps half-written. Look at it, repair it, and call [`recover`](Self::recover). Dropping
/// this instead unlocks and leaves the news to the next owner; so does dying.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Builder, LockError, Mutex, Shared};
/// let pair = Shared::new(Mutex::new([1, 1]))?;
/// let child = Builder::new().name("careless").spawn(|| {
///     let mut pair = pair.lock().unwrap();
///     pair[0] = 2;
///     if pair[1] == 1 { panic!("in the middle") }
/// })?;
/// assert!(child.join().is_err());
/// let Err(LockError::OwnerDied(mut died)) = pair.lock() else { panic!("expected a dead owner") };
/// assert_eq!((died.owner().name(), died.owner().panicked(), *died.get()), ("careless", true, [2, 1]));
/// died.get_mut()[1] = 2;
/// drop(died.recover());
/// assert_eq!(*pair.lock().unwrap(), [2, 2]);
/// # Ok(()) }
/// ```
#[must_use = "dropping this leaves the mark for the next owner"]
pub struct OwnerDied<'a, T: Pod, G = MutexGuard<'a, T>> {
    guard: G,
    _lock: PhantomData<&'a T>,
}

/// Who died, or panicked, with a lock; from [`OwnerDied`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pid: Option<u32>,
    name: String,
    panicked: bool,
}

impl<T: Pod, G: Guard> OwnerDied<'_, T, G> {
    /// The news is in the mark already.
    pub(crate) fn with(guard: G) -> Self {
        OwnerDied { guard, _lock: PhantomData }
    }

    /// Whose death it was.
    pub fn owner(&self) -> Owner {
        let died = G::died(&self.guard);
        let (pid, name) = roster::describe(died & !PANICKED).unzip();
        Owner { pid, name: name.unwrap_or_default(), panicked: died & PANICKED != 0 }
    }

    /// The data as the dead owner left it.
    pub fn get(&self) -> &G::Target {
        &self.guard
    }

    /// The data, to repair it before [`recover`](Self::recover).
    pub fn get_mut(&mut self) -> &mut G::Target
    where
        G: DerefMut,
    {
        &mut self.guard
    }

    /// Declares the data sound (repair it before or after, while you hold the guard): later locks succeed again.
    pub fn recover(mut self) -> G
    where
        G: Recover,
    {
        G::recover(&mut self.guard);
        self.guard
    }

    pub(crate) fn into_inner(self) -> G {
        self.guard
    }
}

impl Owner {
    /// The process, or `None` if so many threads have come since that the roster has forgotten this one.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The process's name, as given to [`Builder::name`](crate::Builder::name); empty if it had none or is forgotten.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it panicked with the guard held; otherwise it was killed, or ended without dropping the guard.
    pub fn panicked(&self) -> bool {
        self.panicked
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.pid) {
            ("", Some(pid)) => write!(f, "process {pid}"),
            (name, Some(pid)) => write!(f, "process {pid} ({name})"),
            (_, None) => write!(f, "a process that is gone"),
        }
    }
}

impl<T: Pod, G: Guard> fmt::Debug for OwnerDied<'_, T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerDied").field("owner", &self.owner()).finish_non_exhaustive()
    }
}

impl<T: Pod, G: Guard> fmt::Debug for LockError<'_, T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(died) => f.debug_tuple("OwnerDied").field(&died.owner()).finish(),
            LockError::WouldBlock => f.write_str("WouldBlock"),
            LockError::TimedOut => f.write_str("TimedOut"),
        }
    }
}

impl<T: Pod, G: Guard> fmt::Display for LockError<'_, T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempt = G::ATTEMPT;
        match self {
            LockError::OwnerDied(died) => {
                let owner = died.owner();
                let how = if owner.panicked() { "panicked" } else { "died" };
                write!(f, "{attempt}: {owner} {how} while it held it")
            }
            LockError::WouldBlock => write!(f, "{attempt}: another thread holds it"),
            LockError::TimedOut => {
                write!(f, "{attempt}: another thread held it until the deadline")
            }
        }
    }
}

impl<T: Pod, G: Guard> std::error::Error for LockError<'_, T, G> {}
