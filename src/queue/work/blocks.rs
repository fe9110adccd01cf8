//! Payloads, in chains of blocks of equal size.
//!
//! A block's link is the index of the next one; which blocks are free follows from the slots. A payload is copied in under the
//! table's lock, before the store that makes it an item, and copied out by its holder, whose lease keeps it as it is.

use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::queue::work::slot::{NONE, get, set};

/// Marks a link while free blocks are told from used ones; an index is below that.
const USED: u32 = 1 << 31;
/// Blocks are counted in 31 bits, and the last number is no block.
pub(super) const BLOCKS_MAX: usize = USED as usize - 1;
const WORD_BYTES: usize = size_of::<u64>();

/// The free blocks. Follows from the slots.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Free {
    first: AtomicU32,
    count: AtomicU32,
}

/// The memory of all payloads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks<'a> {
    pub(super) free: &'a Free,
    /// One for each block.
    pub(super) links: &'a [AtomicU32],
    /// The blocks themselves, equally many words for each.
    pub(super) words: &'a [AtomicU64],
}

impl Free {
    pub(super) fn new() -> Free {
        Free { first: AtomicU32::new(NONE), count: AtomicU32::new(0) }
    }
}

impl Blocks<'_> {
    fn block_words(&self) -> usize {
        self.words.len() / self.links.len()
    }

    /// How many blocks a payload of so many bytes takes.
    pub(super) fn needed(&self, bytes: usize) -> u32 {
        bytes.div_ceil(self.block_words() * WORD_BYTES) as u32
    }

    pub(super) fn free_count(&self) -> u32 {
        get(&self.free.count)
    }

    /// Takes blocks from the free ones and fills them; the first block. There are enough.
    pub(super) fn fill(&self, payload: &[u8]) -> u32 {
        let needed = self.needed(payload.len());
        if needed == 0 {
            return NONE;
        }
        let first = get(&self.free.first);
        let (mut block, mut last) = (first, NONE);
        for chunk in payload.chunks(self.block_words() * WORD_BYTES) {
            for (word, bytes) in self.words_of(block).iter().zip(chunk.chunks(WORD_BYTES)) {
                let mut padded = [0; WORD_BYTES];
                padded[..bytes.len()].copy_from_slice(bytes);
                word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
            }
            (last, block) = (block, get(&self.links[block as usize]));
        }
        set(&self.links[last as usize], NONE);
        set(&self.free.first, block);
        set(&self.free.count, self.free_count() - needed);
        first
    }

    /// Copies a payload out. The caller holds the item, or the lock.
    pub(super) fn read(&self, first: u32, bytes: usize) -> Vec<u8> {
        let mut payload = Vec::with_capacity(bytes);
        let mut block = first;
        while payload.len() < bytes {
            for word in self.words_of(block) {
                let left = bytes - payload.len();
                let word = word.load(Ordering::Relaxed).to_ne_bytes();
                payload.extend_from_slice(&word[..left.min(WORD_BYTES)]);
                if left <= WORD_BYTES {
                    break;
                }
            }
            // Somebody may be recomputing what is free.
            block = get(&self.links[block as usize]) & !USED;
        }
        payload
    }

    /// Gives a payload's blocks back.
    pub(super) fn release(&self, first: u32, bytes: usize) {
        let needed = self.needed(bytes);
        if needed == 0 {
            return;
        }
        let last = (1..needed).fold(first, |block, _| get(&self.links[block as usize]));
        set(&self.links[last as usize], get(&self.free.first));
        set(&self.free.first, first);
        set(&self.free.count, self.free_count() + needed);
    }

    /// Recomputes what is free: whatever is not in the chains, each given by its first block and its length in bytes.
    pub(super) fn rebuild(&self, chains: impl Iterator<Item = (u32, usize)>) {
        for link in self.links {
            // NONE has all bits, the mark's too; without it, it is still no block.
            set(link, get(link) & !USED);
        }
        for (first, bytes) in chains {
            let mut block = first;
            for left in (0..self.needed(bytes)).rev() {
                let link = &self.links[block as usize];
                block = get(link);
                set(link, if left == 0 { NONE } else { block | USED });
            }
        }
        let (mut first, mut count) = (NONE, 0);
        for (block, link) in self.links.iter().enumerate() {
            match get(link) {
                NONE => {}
                used if used & USED != 0 => set(link, used & !USED),
                _ => {
                    set(link, first);
                    (first, count) = (block as u32, count + 1);
                }
            }
        }
        set(&self.free.first, first);
        set(&self.free.count, count);
    }

    fn words_of(&self, block: u32) -> &[AtomicU64] {
        let size = self.block_words();
        &self.words[block as usize * size..][..size]
    }
}
