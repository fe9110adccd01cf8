//! The kill harness: proves that a shared structure survives the death of a process at any instruction.
//!
//! It runs an operation in a child under ptrace(2), lets it do k instructions, kills it with SIGKILL, and asks the survivors
//! whether everything still works; for every k from the first instruction to the last. The crate proves its own locks and
//! queues with it (`tests/kill_matrix.rs`), and it is public, under the feature `kill-matrix`, so that you can prove yours.
//!
//! ```text
//!  the harness (one thread)
//!   │ prepare() ─────────────── makes the shared structure
//!   ├─fork─▶ bystanders ─────── sleep on it, or hold what the victim wants
//!   ├─fork─▶ victim ─ begin() ─ k instructions ─╳ SIGKILL
//!   │ settles() ─────────────── sleepers that must wake have woken
//!   ├─fork─▶ check ──────────── nothing hangs, is lost, doubled or torn
//!   └ next k
//! ```
//!
//! What one sweep proves is a single death (or two: [`Scenario::first_victim`]) in one order of events. It does not prove the
//! absence of lost wake-ups between many processes: that is what model checkers are for. [`Scenario::pauses`] reaches a part
//! of them, on the real code.
//!
//! # Example
//!
//! A pair of numbers that must be equal, guarded by a lock. A process that dies between the two writes leaves them unequal;
//! the lock tells its next owner so, who repairs them.
//!
//! ```standalone_crate
//! use offspring::proof::{Fault, Scenario};
//! use offspring::sync::LockError;
//! use offspring::{Mutex, Shared};
//!
//! # fn main() -> offspring::Result<()> {
//! let report = Scenario::new("add to both", || Shared::new(Mutex::new([0u64; 2])).unwrap())
//!     .victim(|pair, scene| {
//!         scene.begin();
//!         let mut both = pair.lock().unwrap();
//!         both[0] += 1;
//!         both[1] += 1;
//!         drop(both);
//!         scene.end();
//!     })
//!     .check(|pair, _| {
//!         let both = match pair.lock() {
//!             Ok(both) => both,
//!             Err(LockError::OwnerDied(died)) => {
//!                 let mut both = died.recover();
//!                 both[1] = both[0];
//!                 both
//!             }
//!             Err(other) => return Err(Fault::broken(other.to_string())),
//!         };
//!         if both[0] != both[1] {
//!             return Err(Fault::torn(format!("{both:?}")));
//!         }
//!         Ok(both[0])
//!     })
//!     .run()?;
//! assert!(report.is_ok(), "{:?}", report.failures());
//! assert!(report.kill_points() > 10);
//! # Ok(()) }
//! ```
//!
//! # Limits
//!
//! - Linux; anywhere that ptrace of a child is allowed. On x86-64 a sweep over n instructions costs about n forks; on other
//!   machines, n²/2 single steps.
//! - The harness runs in a process with one thread and forks from there; under libtest use `harness = false`.
//! - An instruction that is a system call is one step: the kernel does it whole or not at all, except for a sleep, in which
//!   the victim is killed as well.

mod actor;
mod outcome;
mod report;
mod scenario;
mod scene;
mod stage;
mod sweep;
mod victim;

pub use outcome::{Fault, Outcome};
pub use report::{Failure, Report, Table};
pub use scenario::{Scenario, Verdict};
pub use scene::Scene;

/// Makes the crate's sleeps unbounded in this process and its later children.
///
/// Otherwise no sleep is longer than a second: a net under the arguments in the protocols' READMEs, which would hide a lost
/// wake-up from a test. [`Scenario::run`] calls this.
pub fn turn_off_backstops() {
    crate::sync::linux::backstop_off();
}
