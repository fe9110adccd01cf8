//! Which shared files this process maps, and where. Private to the process; its forks have a copy, as they have the mappings.
//!
//! No lock, which a fork could copy in a locked state: a place is taken by a compare-exchange. It is there for post-mortems alone, which
//! find by it where something lies that another process has placed.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What is mapped beyond so many files is not known here.
const MAPPINGS_MAX: usize = 4096;
/// In `file`, while the rest is written.
const BUSY: u64 = u64::MAX;

/// One mapping. `file` is written last, and first when it goes.
struct Place {
    /// The inode; 0 if the place is free.
    file: AtomicU64,
    base: AtomicUsize,
    bytes: AtomicUsize,
}

static PLACES: [Place; MAPPINGS_MAX] = [const {
    Place { file: AtomicU64::new(0), base: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
}; MAPPINGS_MAX];
/// Where a free place is likely.
static HINT: AtomicUsize = AtomicUsize::new(0);
/// No place from here on was ever taken.
static USED: AtomicUsize = AtomicUsize::new(0);

/// That a file is mapped, for as long as this lives. To be dropped before it is unmapped.
#[derive(Debug)]
pub(super) struct Live(Option<usize>);

impl Live {
    pub(super) fn new(file: u64, base: usize, bytes: usize) -> Live {
        let hint = HINT.load(Ordering::Relaxed);
        let mut places = (hint..MAPPINGS_MAX).chain(0..hint.min(MAPPINGS_MAX));
        let take = |index: &usize| {
            let file = &PLACES[*index].file;
            file.load(Ordering::Relaxed) == 0
                && file.compare_exchange(0, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let Some(index) = places.find(take).filter(|_| file != 0) else { return Live(None) };
        PLACES[index].base.store(base, Ordering::Relaxed);
        PLACES[index].bytes.store(bytes, Ordering::Relaxed);
        PLACES[index].file.store(file, Ordering::Release);
        HINT.store(index + 1, Ordering::Relaxed);
        USED.fetch_max(index + 1, Ordering::Release);
        Live(Some(index))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(index) = self.0 {
            PLACES[index].file.store(0, Ordering::Release);
            HINT.store(index, Ordering::Relaxed);
        }
    }
}

/// All mappings: inode, address, bytes. Any may be gone by now.
pub(super) fn all() -> impl Iterator<Item = (u64, usize, usize)> {
    let used = USED.load(Ordering::Acquire).min(MAPPINGS_MAX);
    PLACES[..used].iter().filter_map(|place| {
        let file = place.file.load(Ordering::Acquire);
        let (base, bytes) =
            (place.base.load(Ordering::Relaxed), place.bytes.load(Ordering::Relaxed));
        (file != 0 && file != BUSY).then_some((file, base, bytes))
    })
}

/// Whether it is mapped still.
pub(super) fn has(file: u64, base: usize) -> bool {
    all().any(|(other, at, _)| (other, at) == (file, base))
}
