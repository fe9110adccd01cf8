#![doc = include_str!("README.md")]

mod bequest;
mod board;
mod builder;
mod child;
mod exit;
mod family;
mod fork_server;
mod hooks;
mod join_all;
mod last_words;
mod lifeline;
mod outcome;
pub(crate) mod panic;
mod post_mortem;
mod record;
mod scope;
mod seat;
mod workers;

pub use builder::{Builder, spawn};
pub use child::Child;
pub use exit::{Exit, JoinError, Signal};
pub use family::{Current, children, current};
pub use fork_server::{ForkServer, SpawnError};
pub use hooks::at_fork_child;
pub use join_all::join_all;
pub(crate) use last_words::note_line;
pub(crate) use panic::report_caught;
pub use panic::{PanicLocation, PanicReport, ProcessInfo};
pub use post_mortem::{Fault, HeldLock, PostMortem};
pub use scope::{Scope, ScopedChild, scope};
pub use workers::available_workers;
