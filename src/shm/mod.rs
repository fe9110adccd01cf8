#![doc = include_str!("README.md")]

mod catalogue;
pub(crate) mod held;
mod live;
pub(crate) mod outside;
mod region;
pub(crate) mod roster;
mod safe;
mod shared;
pub(crate) mod waits;

pub use region::Region;
pub(crate) use safe::ShmCell;
pub use safe::ShmSafe;
pub use shared::Shared;
