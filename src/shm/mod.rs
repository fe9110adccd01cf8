#![doc = include_str!("README.md")]

mod region;
pub(crate) mod roster;
mod safe;
mod shared;

pub use region::Region;
pub(crate) use safe::ShmCell;
pub use safe::ShmSafe;
pub use shared::Shared;
