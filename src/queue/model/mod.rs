//! The ring and the work queue under the model checkers, over the model kernel of `sync/model`.

#[cfg(loom)]
mod loom_bytes;
#[cfg(loom)]
mod loom_ring;
#[cfg(shuttle)]
mod records;
#[cfg(shuttle)]
mod shuttle_bytes;
#[cfg(shuttle)]
mod shuttle_ring;
#[cfg(shuttle)]
mod shuttle_work;
#[cfg(shuttle)]
mod watched;

use crate::queue::ring_core::Pacer;
use crate::sync::kernel::Pace;

/// Does not linger.
#[derive(Debug)]
struct Hasty;

impl Pacer for Hasty {
    fn pace(&self) -> Pace {
        Pace::Queue { linger: 0 }
    }

    fn found(&self, _more: bool) {}
}
