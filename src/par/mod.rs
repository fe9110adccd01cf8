#![doc = include_str!("README.md")]

mod chunks;
mod crew;
mod error;
mod huge;
mod map;
mod options;
mod outbox;
mod plan;
mod reduce;
#[cfg(feature = "kill-matrix")]
mod rehearsal;
mod shared_vec;
mod slots;
mod table;
mod veil;
mod worker;

pub use chunks::par_for_each_chunk_mut;
pub use error::{Failure, ParError, Reason};
pub use huge::vec_in_huge_pages;
pub use map::{par_map, par_map_plain};
pub use options::Par;
pub use reduce::par_reduce;
pub use shared_vec::SharedVec;

#[cfg(feature = "kill-matrix")]
#[doc(hidden)]
pub use rehearsal::Rehearsal;
