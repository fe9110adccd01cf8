//! Futex calls: sleep until a word changes, wake who sleeps on it.
//!
//! All calls are on *shared* futexes (the key is the page of the memfd and the offset), never on private ones, because the
//! sleepers are other processes. Deadlines are absolute, on CLOCK_MONOTONIC. See futex(2), futex_waitv(2).

#![expect(unsafe_code, reason = "futex calls have no wrapper that takes shared words")]

use crate::deadline::Deadline;
use nix::errno::Errno;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// A wake-up arrived on the word with this index (the last one, if on several).
    Woken(usize),
    /// A word no longer held the expected value, or a signal handler ran: look again.
    Look,
    /// The deadline has passed.
    TimedOut,
    /// The kernel or a seccomp filter has no such call.
    Refused,
}

/// A word to sleep on and the value that it must still have when sleep begins.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    pub(crate) word: &'a AtomicU32,
    pub(crate) expected: u32,
}

/// `struct futex_waitv` of linux/futex.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RawWatch {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

const FUTEX2_SIZE_U32: u32 = 2;
/// `FUTEX_WAITV_MAX`.
pub(crate) const WATCH_COUNT_MAX: usize = 128;
/// Enough for most sleeps, and much less to write.
const WATCH_COUNT_USUAL: usize = 8;

/// Sleeps until a wake-up on any of the words; `futex_waitv(2)`, Linux 5.16.
///
/// The kernel compares and enqueues the words one by one in the order given, so a wake-up on an earlier word is not lost
/// while a later one is being compared.
pub(crate) fn wait_any(watches: &[Watch<'_>], deadline: Deadline) -> Wakeup {
    match watches.len() {
        0..=WATCH_COUNT_USUAL => wait_any_of::<WATCH_COUNT_USUAL>(watches, deadline),
        _ => wait_any_of::<WATCH_COUNT_MAX>(watches, deadline),
    }
}

fn wait_any_of<const MAX: usize>(watches: &[Watch<'_>], deadline: Deadline) -> Wakeup {
    assert!(watches.len() <= MAX, "at most {MAX} words");
    let mut raw = [RawWatch::default(); MAX];
    for (raw, watch) in raw.iter_mut().zip(watches) {
        raw.expected = u64::from(watch.expected);
        raw.address = std::ptr::from_ref(watch.word) as u64;
        raw.flags = FUTEX2_SIZE_U32;
    }
    let until = absolute(deadline);
    let until = until.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let count = watches.len();
    // SAFETY: `raw` holds `count` initialised entries whose addresses are borrowed words of live mappings, and `until` is
    // null or points to a timespec on this stack. The kernel only reads the words, whoever else writes them.
    let result = unsafe {
        libc::syscall(libc::SYS_futex_waitv, raw.as_ptr(), count, 0, until, libc::CLOCK_MONOTONIC)
    };
    outcome(result)
}

/// Sleeps until a wake-up on the one word; `FUTEX_WAIT_BITSET`, whose timeout is absolute.
pub(crate) fn wait(watch: Watch<'_>, deadline: Deadline) -> Wakeup {
    let until = absolute(deadline);
    let until = until.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word is borrowed from a live mapping and the kernel only reads it; `until` is null or points to a timespec
    // on this stack.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            watch.word,
            libc::FUTEX_WAIT_BITSET,
            watch.expected,
            until,
            0usize,
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    outcome(result)
}

/// The low 32 bits of a 64-bit atomic, as a word to sleep on.
pub(crate) fn low_half(word: &AtomicU64) -> &AtomicU32 {
    let halves: *const [AtomicU32; 2] = std::ptr::from_ref(word).cast();
    // SAFETY: an AtomicU64 has the size of two AtomicU32 and more than their alignment; only the kernel's comparison reads
    // through the result, and the borrow keeps it mapped.
    let halves = unsafe { &*halves };
    &halves[usize::from(cfg!(target_endian = "big"))]
}

/// Wakes at most `count` sleepers on `word`, oldest first, and returns how many there were.
pub(crate) fn wake(word: &AtomicU32, count: u32) -> u32 {
    let count = count.min(i32::MAX as u32);
    // SAFETY: FUTEX_WAKE does not access the word, it only needs an address of a live mapping, which `word` borrows.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, count) };
    debug_assert!(woken >= 0, "FUTEX_WAKE on a live word cannot fail: {}", Errno::last());
    u32::try_from(woken).unwrap_or(0)
}

/// As [`wake`], for a word of which only the address is known: if nothing is mapped there any more, nobody sleeps there.
pub(crate) fn wake_at(word: std::ptr::NonNull<AtomicU32>, count: u32) -> u32 {
    let count = count.min(i32::MAX as u32);
    // SAFETY: FUTEX_WAKE does not access the word; an address without a mapping gives EFAULT.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
    u32::try_from(woken).unwrap_or(0)
}

fn outcome(result: libc::c_long) -> Wakeup {
    if result >= 0 {
        return Wakeup::Woken(result as usize);
    }
    match Errno::last() {
        Errno::EAGAIN | Errno::EINTR => Wakeup::Look,
        Errno::ETIMEDOUT => Wakeup::TimedOut,
        Errno::ENOSYS | Errno::EPERM | Errno::EACCES => Wakeup::Refused,
        errno => panic!("a futex wait on live words gave {errno}"),
    }
}

/// The time of the clock that is cheap to read and a few milliseconds behind, in ns. Like the clock of deadlines it is the same in all
/// processes.
pub(crate) fn coarse_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as below.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The deadline as CLOCK_MONOTONIC time; `None` for ever.
fn absolute(deadline: Deadline) -> Option<libc::timespec> {
    let remaining = deadline.remaining()?;
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec on this stack; CLOCK_MONOTONIC exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let now = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
    let until = now.saturating_add(remaining);
    let tv_sec = libc::time_t::try_from(until.as_secs()).unwrap_or(libc::time_t::MAX);
    Some(libc::timespec { tv_sec, tv_nsec: libc::c_long::from(until.subsec_nanos()) })
}
