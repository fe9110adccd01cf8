//! What a child leaves behind for its post-mortem, in its cell: the last lines that it logged, and the fault that it met.
//!
//! Invariants. **W1** Only the process whose cell it is writes (its own forks are told by their pid), one thread at a time (`busy`; a
//! fault is written by its handler, which asks nobody). **W2** The bytes from `begin` to `end` are whole lines. `begin` leaves
//! a line before its first byte is overwritten, `end` comes to one after its last byte was written. So whoever is killed anywhere
//! leaves whole lines; what it was about to add is not there. **W3** The parent reads after the death only.

#![expect(
    unsafe_code,
    reason = "the words of this process are found by a pointer, for a handler of signals"
)]

use crate::process::post_mortem::Fault;
use crate::sys::{fault, signal};
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Size of the words, with all they have.
pub(super) const WORDS_BYTES: usize = 1024;
const RING_BYTES: usize = WORDS_BYTES - 64;
/// A longer line is cut.
const LINE_BYTES: usize = 240;
/// Between lines; in a line it becomes a space.
const END: u8 = 0;
/// How often a thread looks whether another is done, before it gives up its line.
const LOOKS: u32 = 10_000;

/// See the top of the file. Zeroed memory is a value of it.
#[repr(C)]
pub(super) struct LastWords {
    /// The number of a fault's signal, or 0; written last of the three. Writer: the fault's handler.
    signal: AtomicU32,
    code: AtomicU32,
    address: AtomicU64,
    /// Positions, which only grow; a byte's place is its position modulo the ring's size.
    begin: AtomicU64,
    end: AtomicU64,
    /// Not 0 while a thread writes.
    busy: AtomicU32,
    _unused: [u32; 7],
    ring: [AtomicU8; RING_BYTES],
}

const _: () = assert!(size_of::<LastWords>() == WORDS_BYTES);

/// This process's words, and whose they are; in a bare fork's child they are still the parent's.
static WORDS: AtomicPtr<LastWords> = AtomicPtr::new(std::ptr::null_mut());
static OWNER: AtomicU32 = AtomicU32::new(0);

impl LastWords {
    /// Makes them empty, for the next child.
    pub(super) fn clear(&self) {
        for word in [&self.signal, &self.code, &self.busy] {
            word.store(0, Ordering::Relaxed);
        }
        self.begin.store(0, Ordering::Relaxed);
        self.end.store(0, Ordering::Relaxed);
    }

    /// In the child that has this cell: from now on lines and faults are noted here.
    pub(super) fn begin(&'static self, pid: u32) {
        OWNER.store(pid, Ordering::Relaxed);
        WORDS.store(std::ptr::from_ref(self).cast_mut(), Ordering::Release);
        fault::watch(note_fault);
    }

    fn byte(&self, position: u64) -> &AtomicU8 {
        &self.ring[position as usize % RING_BYTES]
    }

    fn note(&self, line: &[u8]) {
        let take = || self.busy.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        if (0..LOOKS).all(|_| take().inspect_err(|_| std::hint::spin_loop()).is_err()) {
            return;
        }
        let (mut begin, end) =
            (self.begin.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        let new_end = end + line.len() as u64 + 1;
        while new_end - begin > RING_BYTES as u64 {
            while self.byte(begin).load(Ordering::Relaxed) != END {
                begin += 1;
            }
            begin += 1;
        }
        // W2. The order is that of one thread's instructions, which the compiler keeps: SeqCst and Release.
        self.begin.swap(begin, Ordering::SeqCst);
        for (position, byte) in (end..).zip(line) {
            self.byte(position).store(*byte, Ordering::Relaxed);
        }
        self.byte(new_end - 1).store(END, Ordering::Relaxed);
        self.end.store(new_end, Ordering::Release);
        self.busy.store(0, Ordering::Release);
    }

    /// The last lines, oldest first (W3).
    pub(super) fn lines(&self) -> Vec<String> {
        let (begin, end) = (self.begin.load(Ordering::Acquire), self.end.load(Ordering::Acquire));
        // Whatever a child with stray writes has left, so many bytes there are.
        let bytes = end.saturating_sub(begin).min(RING_BYTES as u64);
        let bytes: Vec<u8> = (begin..begin.saturating_add(bytes))
            .map(|position| self.byte(position).load(Ordering::Relaxed))
            .collect();
        let lines = bytes.strip_suffix(&[END]).unwrap_or(&bytes);
        match lines.is_empty() {
            true => Vec::new(),
            false => lines
                .split(|&byte| byte == END)
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect(),
        }
    }

    /// The last fault (W3).
    pub(super) fn fault(&self) -> Option<Fault> {
        let signal = self.signal.load(Ordering::Acquire);
        let code = self.code.load(Ordering::Relaxed).cast_signed();
        let address = self.address.load(Ordering::Relaxed);
        (signal != 0).then(|| Fault::new(signal.cast_signed(), code, address))
    }
}

/// In the handler of a fault: nothing but stores, and `getpid`.
fn note_fault(signal: i32, code: i32, address: usize) {
    if let Some(words) = words() {
        words.code.store(code.cast_unsigned(), Ordering::Relaxed);
        words.address.store(address as u64, Ordering::Relaxed);
        words.signal.store(signal.cast_unsigned(), Ordering::Release);
    }
}

/// Keeps a line for the post-mortem, if this process is a child. Cut after 240 bytes.
pub(crate) fn note_line(text: fmt::Arguments<'_>) {
    if let Some(words) = words() {
        let mut line = Line { bytes: [0; LINE_BYTES], length: 0 };
        // It never fails; what does not fit is left out, and so is the rest of a message whose `Display` fails.
        let _ = line.write_fmt(text);
        words.note(&line.bytes[..line.length]);
    }
}

/// The words of this process, if it is a child of ours and no copy of one.
fn words() -> Option<&'static LastWords> {
    let words = WORDS.load(Ordering::Acquire);
    if words.is_null() || OWNER.load(Ordering::Relaxed) != signal::pid() {
        return None;
    }
    // SAFETY: set from a `&'static` in `begin`; all fields are atomics.
    Some(unsafe { &*words })
}

/// A line that is cut where it is full.
struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE_BYTES - self.length;
        let text = &text[..text.floor_char_boundary(room)];
        for byte in text.bytes() {
            self.bytes[self.length] = if byte == END { b' ' } else { byte };
            self.length += 1;
        }
        Ok(())
    }
}
