//! Short waits awake, in time rather than in instructions: a `pause` is 3 ns on one CPU and 40 ns on the next.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Pauses in 64 units, measured once; 0 before. Fork children inherit it.
static PAUSES_IN_64_UNITS: AtomicU32 = AtomicU32::new(0);

const UNIT_NS: u128 = 16;
const SAMPLE_PAUSES: u32 = 64;

/// Spins for about `count` units of 16 ns; at least one pause.
#[inline]
pub(crate) fn units(count: u32) {
    let mut scale = PAUSES_IN_64_UNITS.load(Ordering::Relaxed);
    if scale == 0 {
        scale = measure();
    }
    for _ in 0..(count * scale / 64).max(1) {
        spin_loop();
    }
}

/// The shortest of a few samples: the longer ones were interrupted.
#[cold]
fn measure() -> u32 {
    let sample = || {
        let start = Instant::now();
        for _ in 0..SAMPLE_PAUSES {
            spin_loop();
        }
        start.elapsed().as_nanos()
    };
    let shortest_ns = (0..5).map(|_| sample()).min().unwrap_or(0).max(1);
    let pauses = 64 * UNIT_NS * u128::from(SAMPLE_PAUSES) / shortest_ns;
    let scale = u32::try_from(pauses).unwrap_or(u32::MAX).clamp(1, 1 << 12);
    PAUSES_IN_64_UNITS.store(scale, Ordering::Relaxed);
    scale
}
