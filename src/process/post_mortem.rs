//! What is known of a child after its death, besides how it ended.

use crate::process::exit::{Exit, Signal};
use crate::shm::held::held_by;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a child that has ended leaves behind: what it ran, what it logged last, which fault it met, which locks it held.
///
/// It is kept in memory that child and parent share, as it happens, so it is there whatever the child died of. It is a part of
/// [`JoinError::Exited`](crate::JoinError::Exited) and of a pool's [`WorkerDeath`](crate::pool::WorkerDeath), and of their `Display`.
///
/// - **Log lines**: the last ones, whole, about a kilobyte of them, each cut after 240 bytes, if the program logs by
///   [`log_to_stderr`](crate::log_to_stderr), [`log_to`](crate::log_to) or a [`log_through`](crate::log_through) above those. One that the child was
///   about to log when it was killed is not there.
/// - **Fault**: SIGSEGV, SIGBUS, SIGILL and SIGFPE, with the address, from a handler that children have in place of the default action. It
///   goes on to what was there before (Rust's message about a stack overflow; a handler of the program's), and the child ends as it would have
///   ended. A child that sets a handler of its own for these signals has its own only.
/// - **Locks**: those that its threads held when it died: every [`Mutex`](crate::Mutex), [`ReentrantMutex`](crate::ReentrantMutex) and
///   [`RawMutex`](crate::RawMutex), and every [`RwLock`](crate::RwLock) that one of them wrote under, by the name that
///   [`Shared::named`](crate::Shared::named) gave, or by type and address. See [`locks`](PostMortem::locks) for what that means if another
///   process has it by now, and for the limits.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use offspring::JoinError;
/// offspring::log_to_stderr(log::LevelFilter::Info)?;
/// let child = offspring::spawn(|| -> () {
///     log::info!("so far all is well");
///     std::process::abort()
/// })?;
/// let error = child.join().unwrap_err();
/// println!("{error}"); // join: the child was ended by SIGABRT in … Its last log lines: …
/// assert_eq!(error.post_mortem().unwrap().log_lines(), ["INFO so far all is well"]);
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostMortem(Box<Known>);

/// In a box, for it is a part of errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    task: String,
    log_lines: Vec<String>,
    fault: Option<Fault>,
    locks: Vec<HeldLock>,
}

/// A lock that a process held when it died, of [`PostMortem::locks`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLock {
    name: String,
    type_name: String,
    address: u64,
}

/// An instruction that the CPU could not carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    signal: i32,
    code: i32,
    address: u64,
}

impl PostMortem {
    pub(crate) fn new(
        task: &str,
        log_lines: Vec<String>,
        fault: Option<Fault>,
        locks: Vec<HeldLock>,
    ) -> PostMortem {
        PostMortem(Box::new(Known { task: task.to_owned(), log_lines, fault, locks }))
    }

    /// The same of another task: a worker of a pool runs many.
    pub(crate) fn of_task(mut self, task: &str) -> PostMortem {
        task.clone_into(&mut self.0.task);
        self
    }

    /// The type of the function or closure that it ran, as the compiler names it: `my_crate::crunch`, `my_crate::main::{{closure}}`.
    pub fn task(&self) -> &str {
        &self.0.task
    }

    /// Its last log records, oldest first: level and message.
    pub fn log_lines(&self) -> &[String] {
        &self.0.log_lines
    }

    /// The last fault that it met. It need not have died of it: a handler of its own may have mended things.
    pub fn fault(&self) -> Option<Fault> {
        self.0.fault
    }

    /// The locks that it held when it died, 32 at most, in no particular order.
    ///
    /// *Held* is meant as of the death. Whoever waits for such a lock gets it at once, usually before this process has learnt of the death,
    /// and may have recovered and unlocked it by now: it is named all the same, because whoever takes a lock over from the dead notes that
    /// first. (Looking does not disturb them: no lock is taken.) What a process of the tree held that died of itself *while* it recovered
    /// is named for both.
    ///
    /// Not named are:
    /// - locks that this process does not map: placed by the child itself, or after the pool or the fork server was started;
    /// - locks inside of structs of the program's own that nobody has taken over yet: of memory that was placed as such a struct it is
    ///   not known where in it the locks are. Place locks, arrays or [slices](crate::Region::place_slice) of them, and give names to them;
    /// - locks that were forgotten: the tree remembers the last 2048 things that were placed, the last 1024 that were named (of these, the
    ///   first 4096 locks are looked at, named ones first), and the last 64 takeovers.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use offspring::{Mutex, Shared};
    /// let table = Shared::new(Mutex::new(0u64))?.named("table");
    /// let child = offspring::spawn(|| -> () {
    ///     let _guard = table.lock();
    ///     std::process::abort()
    /// })?;
    /// let error = child.join().unwrap_err();
    /// assert_eq!(error.post_mortem().unwrap().locks()[0].name(), Some("table"));
    /// assert!(error.to_string().ends_with("; it held Mutex<u64> table"));
    /// # Ok(()) }
    /// ```
    pub fn locks(&self) -> &[HeldLock] {
        &self.0.locks
    }

    /// Writes what there is to be said of a process that ended so, beyond that.
    pub(crate) fn describe(&self, exit: Option<&Exit>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (exit, self.0.fault) {
            (Some(Exit::Signal(signal)), Some(fault)) if *signal == fault.signal() => {
                fault.place(f)?;
            }
            // What Rust does about a stack overflow, after its message.
            (Some(Exit::Signal(Signal::ABRT)), Some(fault)) => write!(f, " after {fault}")?,
            _ => {}
        }
        if !self.0.task.is_empty() {
            write!(f, " in {}", self.0.task)?;
        }
        for (index, lock) in self.0.locks.iter().enumerate() {
            write!(f, "{}{lock}", if index == 0 { "; it held " } else { ", " })?;
        }
        if let [first, rest @ ..] = &self.0.log_lines[..] {
            write!(f, "; its last log lines:\n    {first}")?;
            rest.iter().try_for_each(|line| write!(f, "\n    {line}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for PostMortem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostMortem")
            .field("task", &self.0.task)
            .field("log_lines", &self.0.log_lines)
            .field("fault", &self.0.fault)
            .field("locks", &self.0.locks)
            .finish()
    }
}

impl HeldLock {
    /// What the process with this pid held, which is dead.
    pub(super) fn all_of(pid: u32) -> Vec<HeldLock> {
        let lock = |held: crate::shm::held::Held| HeldLock {
            name: held.name,
            type_name: held.type_name,
            address: held.address as u64,
        };
        held_by(pid).into_iter().map(lock).collect()
    }

    /// The name that [`Shared::named`](crate::Shared::named) gave it, `name[3]` for one of a slice; `None` if nobody named it.
    pub fn name(&self) -> Option<&str> {
        (!self.name.is_empty()).then_some(&self.name)
    }

    /// What was placed, without paths: `Mutex<u64>`, `[Mutex<u64>; 4]`.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Where it lies, in the process that learnt of the death first: the parent, or a pool's supervisor. With few exceptions (payloads of
    /// the crate's own) that is the same in all processes of a tree.
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl fmt::Display for HeldLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name}", self.type_name),
            None => write!(f, "{} at {:#x}", self.type_name, self.address),
        }
    }
}

impl Fault {
    pub(super) fn new(signal: i32, code: i32, address: u64) -> Fault {
        Fault { signal, code, address }
    }

    /// SIGSEGV, SIGBUS, SIGILL or SIGFPE.
    pub fn signal(&self) -> Signal {
        Signal::from_kernel(self.signal)
    }

    /// The signal's `si_code`, which tells kinds of it apart; see sigaction(2).
    pub fn code(&self) -> i32 {
        self.code
    }

    /// The address: of the memory (SIGSEGV, SIGBUS) or of the instruction (SIGILL, SIGFPE). `None` where the CPU does not tell it, as for
    /// addresses that cannot exist.
    pub fn address(&self) -> Option<u64> {
        (self.code != crate::sys::fault::ADDRESS_UNKNOWN).then_some(self.address)
    }
}

impl Fault {
    fn place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Some(address) => write!(f, " at address {address:#x}")?,
            None => write!(f, " at an unknown address")?,
        }
        match crate::sys::fault::meaning(self.signal, self.code) {
            Some(meaning) => write!(f, " ({meaning})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.signal())?;
        self.place(f)
    }
}
