//! How long a handle stays awake at first when it waits: learnt from its last waits.

use crate::queue::gate;
use crate::queue::ring_core::Pacer;
use crate::sync::kernel::Pace;
use crate::sys::eventfd::Bell;
use std::sync::atomic::{AtomicU32, Ordering};

/// What one handle has learnt about one side: the length of its first pause, in units of 16 ns, and a count of its waits.
///
/// A pause that ends with more than one message to take doubles the next; one that ends with a single one halves it. So a
/// stream goes in batches of a hundred, and an answer in a conversation is seen at once.
#[derive(Debug, Default)]
pub(crate) struct HandlePacer {
    linger: AtomicU32,
    waits: AtomicU32,
}

const LINGER_MIN: u32 = 16;
const LINGER_MAX: u32 = 160;
/// A handle that does not linger tries it again once in so many waits.
const TRY_EVERY: u32 = 16;

impl Pacer for HandlePacer {
    fn pace(&self) -> Pace {
        let linger = self.linger.load(Ordering::Relaxed);
        let waits = self.waits.load(Ordering::Relaxed).wrapping_add(1);
        self.waits.store(waits, Ordering::Relaxed);
        let linger =
            if linger == 0 && waits.is_multiple_of(TRY_EVERY) { LINGER_MIN * 2 } else { linger };
        Pace::Queue { linger }
    }

    fn found(&self, more: bool) {
        let linger = self.linger.load(Ordering::Relaxed);
        let next =
            if more { (linger * 2).clamp(LINGER_MIN, LINGER_MAX) } else { (linger / 2) & !7 };
        self.linger.store(next, Ordering::Relaxed);
    }
}

/// What a handle of a pollable ring sends with.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) pacer: &'a HandlePacer,
    pub(crate) bell: &'a Bell,
}

impl Pacer for Sending<'_> {
    fn pace(&self) -> Pace {
        self.pacer.pace()
    }

    fn found(&self, more: bool) {
        self.pacer.found(more);
    }

    #[inline(always)]
    fn bell(&self) -> Option<&dyn gate::Bell> {
        Some(self.bell)
    }
}

impl gate::Bell for Bell {
    fn ring(&self) {
        self.ring();
    }

    fn silence(&self) {
        self.silence();
    }
}
