//! Who is alive: a shared table with an entry for every thread that ever took part.
//!
//! The root of a process tree maps the table before it makes its first region or child; all descendants inherit it. A thread
//! takes an entry the first time that it locks something. The entry's *life word* is linked into the thread's robust list, once,
//! and stays there, so the kernel itself marks the word when the thread ends in any way:
//!
//! | life word | meaning | who stores it |
//! |---|---|---|
//! | `0` | never used | the kernel (zeroed memory) |
//! | `OWNER_DIED \| tid` | being taken; counts as dead | the taker, by compare-exchange |
//! | `tid \| WAITERS` | alive | the taker |
//! | `OWNER_DIED` (with or without `WAITERS`) | dead, free to be taken | the kernel |
//!
//! - I1 A life word without OWNER_DIED (and not 0) belongs to a living thread whose robust list, or pending pointer, names it.
//! - I2 The generation changes only while the life word says dead. An id (index and generation) names one thread for ever,
//!   until 2^15 later tenants of the entry have come and gone.
//! - I3 The thread-local id is 0 in a child of fork until that child takes an entry of its own.
//!
//! A death between taking and linking is covered by `list_op_pending`, set before the compare-exchange: the kernel turns
//! `OWNER_DIED | tid` back into `OWNER_DIED`. Readers of an id load the life word first (Acquire) and the generation after it;
//! the taker stores the generation before the life word (Release): the other order would let an old id look alive.
//!
//! Entries are taken in rotation, so what is known of a dead thread (pid, name) stays readable for thousands of deaths.

#![expect(unsafe_code, reason = "a table of atomics in a mapping, linked into the robust list")]

use crate::error::{Error, ErrorKind, Result};
use crate::shm::catalogue::CATALOGUE_BYTES;
use crate::shm::held::Takeovers;
use crate::shm::live::{self, Places};
use crate::shm::waits::{Note, Wait};
use crate::sys::futex::Watch;
use crate::sys::memory::Mapping;
use crate::sys::robust::{self, Head, OWNER_DIED, RawHead, TID_MASK, WAITERS};
use crate::sys::{atfork, membarrier};
use std::cell::{Cell, UnsafeCell};
use std::ffi::CStr;
use std::mem::{MaybeUninit, offset_of};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

pub(super) const INDEX_BITS: u32 = 14;
const GENERATION_BITS: u32 = 15;
pub(super) const ENTRY_COUNT: usize = 1 << INDEX_BITS;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// Set in all ids of a tree whose root was refused `membarrier`: wakers must run a full fence themselves. It travels in the id
/// because that is in a register when it is needed; a load between the unlocking store and the look at the event count costs
/// 2 ns. The two bits above are free for whoever stores ids.
pub(crate) const NEEDS_FENCE: u32 = 1 << (INDEX_BITS + GENERATION_BITS);
/// The id of nobody.
pub(crate) const NOBODY: u32 = 0;

/// Longest name kept, in bytes.
pub(super) const NAME_BYTES: usize = 32;

/// One thread's place in the roster. Written by its tenant, read by all; the life word also by the kernel.
#[repr(C, align(128))]
pub(super) struct Entry {
    pub(super) life: AtomicU32,
    pub(super) generation: AtomicU32,
    /// The tenant's process, for reports.
    pub(super) pid: AtomicU32,
    /// See `waits.rs`, with the fields below.
    pub(super) wait_sequence: AtomicU32,
    pub(super) wait_since: AtomicU64,
    /// `prev` and `next` of the robust list, at the offset that glibc uses.
    links: UnsafeCell<[MaybeUninit<u64>; 2]>,
    /// A list head, where libc has none for the thread.
    spare_head: UnsafeCell<MaybeUninit<RawHead>>,
    /// The tenant's name, zero-padded; atomics, because it may be renamed while others read.
    pub(super) name: Name,
    pub(super) wait: Wait,
}

const _: () = assert!(ENTRIES_OFFSET.is_multiple_of(size_of::<Entry>()));
const _: () = assert!(size_of::<Entry>() == 128);
const _: () = assert!(offset_of!(Entry, life) == 0);
const _: () = assert!(offset_of!(Entry, links) + 8 == robust::NODE_OFFSET);

type Name = [AtomicU64; NAME_BYTES / 8];

pub(super) struct Roster {
    pub(super) mapping: Mapping,
    pub(super) header: NonNull<Header>,
    pub(super) places: Places,
}

/// What lies before the entries.
#[repr(C, align(128))]
pub(super) struct Header {
    /// For those who look from outside; see `observe/README.md`.
    pub(super) magic: AtomicU64,
    pub(super) layout: AtomicU64,
    /// Where each process of the tree keeps its own name.
    pub(super) name_at: AtomicU64,
    /// How many objects were ever entered in the catalogue, without and with a name.
    pub(super) entered: [AtomicU64; 2],
    /// Where the next search for a free entry starts.
    pub(super) cursor: AtomicU32,
    pub(super) alarms: [Alarm; ALARM_COUNT],
    pub(super) takeovers: Takeovers,
}

/// A pair of words that are always 0. Locks and queues share the pairs, by a hash of their addresses.
///
/// A thread in the middle of an operation names `named` in its pending pointer, so that the kernel wakes one sleeper on it when
/// the thread dies; that one wakes all who sleep on `echo`, where everybody sleeps too. The words lie here, and not in the
/// lock, because safe code can forget a guard and unmap the lock: the pending pointer must never dangle.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Alarm {
    pub(crate) named: AtomicU32,
    pub(crate) echo: AtomicU32,
}

const ALARM_COUNT: usize = 512;
pub(super) const ENTRIES_OFFSET: usize = size_of::<Header>();

// SAFETY: the mapping lives for ever and holds atomics; `links` and `spare_head` are touched by an entry's tenant alone.
unsafe impl Send for Roster {}
// SAFETY: as above.
unsafe impl Sync for Roster {}

impl Roster {
    pub(super) fn header(&self) -> &Header {
        // SAFETY: the header lies at the start of the mapping, was committed by `ensure`, and is used atomically by all processes.
        unsafe { self.header.as_ref() }
    }
}

/// What a roster begins with.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"offsprng");
/// Says how all that is shared is laid out, for those who look from outside: raise the number with every change of that.
pub(crate) const LAYOUT: u64 = layout_of(env!("CARGO_PKG_VERSION"), 2);
/// What /proc/PID/maps calls the roster.
pub(crate) const FILE_NAME: &CStr = c"offspring-roster";
/// The catalogue of objects lies behind the entries.
pub(super) const CATALOGUE_OFFSET: usize =
    (ENTRIES_OFFSET + ENTRY_COUNT * size_of::<Entry>()).next_multiple_of(4096);

/// FNV-1a of the version, with the number in the low byte.
const fn layout_of(version: &str, number: u8) -> u64 {
    let (bytes, mut hash, mut at) = (version.as_bytes(), 0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x100_0000_01b3);
        at += 1;
    }
    hash << 8 | number as u64
}

static ROSTER: OnceLock<Roster> = OnceLock::new();
/// The name that this process gives to entries it takes from now on.
static PROCESS_NAME: Name = [const { AtomicU64::new(0) }; NAME_BYTES / 8];
/// Whether `membarrier` works, so that wakers need no fence. Decided once by the root and inherited.
static ASYMMETRIC: AtomicBool = AtomicBool::new(false);

/// The header of the roster, for [`alarm`], which is called too often for a look into `ROSTER`.
static ALARMS: AtomicPtr<Header> = AtomicPtr::new(std::ptr::null_mut());

/// What a thread knows of itself.
struct Me {
    id: Cell<u32>,
    head: Cell<Option<Head>>,
    /// The pending pointer names the alarm of a lock that this thread holds; see `Linux::name_alarm`.
    owes: Cell<bool>,
}

thread_local! {
    static ME: Me = const { Me { id: Cell::new(NOBODY), head: Cell::new(None), owes: Cell::new(false) } };
}

/// Maps the roster if this process has none, and makes fork children start without an id.
pub(crate) fn ensure() -> Result<()> {
    static FIRST: Mutex<()> = Mutex::new(());
    if ROSTER.get().is_some() {
        return Ok(());
    }
    let _first = FIRST.lock();
    if ROSTER.get().is_some() {
        return Ok(());
    }
    let os = |errno| Error::os("map", "the roster", errno);
    let mapping = Mapping::named(CATALOGUE_OFFSET + CATALOGUE_BYTES, FILE_NAME).map_err(os)?;
    mapping.commit(0, ENTRIES_OFFSET).map_err(os)?;
    let header = NonNull::new(mapping.base().cast()).expect("a mapping is never at address 0");
    ASYMMETRIC.store(membarrier::register().is_ok(), Ordering::Relaxed);
    atfork::on_fork_child(forget_me).map_err(os)?;
    ALARMS.store(header.as_ptr(), Ordering::Release);
    // SAFETY: committed above, and nobody else has it yet; zeroed memory is a header.
    unsafe { header.as_ref() }.begin();
    let places = Places::new().map_err(os)?;
    let roster = Roster { mapping, header, places };
    ROSTER.set(roster).unwrap_or_else(|_| unreachable!("set under the lock"));
    Ok(())
}

/// Memory that lies at different addresses in two processes has the same alarms in both if these differ by a multiple of this.
pub(crate) const ALARM_STRIDE_BYTES: usize = ALARM_COUNT << 12;

/// The page, and the place in the page: cheap, and neighbours differ.
#[inline(always)]
const fn alarm_index(address: usize) -> usize {
    (address >> 12 ^ address >> 4) % ALARM_COUNT
}

/// The alarm of whatever lies at this address, in all processes. The caller has an entry, so the roster is mapped.
#[inline(always)]
pub(crate) fn alarm(address: *const AtomicU32) -> &'static Alarm {
    let index = alarm_index(address.addr());
    let header = ALARMS.load(Ordering::Relaxed);
    debug_assert!(!header.is_null(), "a thread that names an alarm has an entry");
    // SAFETY: set by `ensure` before any thread of this process has an id, inherited by fork children, and never unmapped;
    // the header is atomics, valid when zeroed.
    let header = unsafe { &*header };
    &header.alarms[index]
}

/// The id of the calling thread, which takes an entry if it has none.
///
/// # Panics
/// If the roster cannot be mapped, or 16,384 threads are alive in it.
#[inline(always)]
pub(crate) fn me() -> u32 {
    match my_id() {
        NOBODY => take_entry(),
        id => id,
    }
}

/// The id of the calling thread, or [`NOBODY`] if it never took an entry.
#[inline(always)]
pub(crate) fn my_id() -> u32 {
    ME.with(|me| me.id.get())
}

/// The robust list head of the calling thread, which must have an entry.
#[inline(always)]
pub(crate) fn my_head() -> Head {
    ME.with(|me| me.head.get()).expect("a thread that names an alarm has an entry")
}

/// Reads or changes the mark that says that this thread's pending pointer belongs to a lock it holds.
#[inline(always)]
pub(crate) fn owes() -> bool {
    ME.with(|me| me.owes.get())
}

/// See [`owes`].
#[inline(always)]
pub(crate) fn set_owes(owes: bool) {
    ME.with(|me| me.owes.set(owes));
}

/// Whether sleepers run `membarrier`, so that wakers need no fence.
pub(crate) fn is_asymmetric() -> bool {
    ASYMMETRIC.load(Ordering::Relaxed)
}

/// Whether the thread with this id has ended.
pub(crate) fn is_dead(id: u32) -> bool {
    watch(id).is_none()
}

/// The life word of a living thread and the value that says so; `None` if it has ended.
pub(crate) fn watch(id: u32) -> Option<Watch<'static>> {
    let entry = entry_of(id)?;
    let life = entry.life.load(Ordering::Acquire);
    let same = entry.generation.load(Ordering::Relaxed) == generation_of(id);
    (same && life & OWNER_DIED == 0).then_some(Watch { word: &entry.life, expected: life })
}

/// The process and the name of the thread with this id, dead or alive; `None` once its entry has a later tenant.
pub(crate) fn describe(id: u32) -> Option<(u32, String)> {
    let entry = entry_of(id)?;
    let (pid, name) = (entry.pid.load(Ordering::Relaxed), read_name(&entry.name));
    (entry.generation.load(Ordering::Acquire) == generation_of(id)).then_some((pid, name))
}

/// The process of the thread with this id, as [`describe`].
pub(super) fn pid_of(id: u32) -> Option<u32> {
    let entry = entry_of(id)?;
    let pid = entry.pid.load(Ordering::Relaxed);
    (entry.generation.load(Ordering::Acquire) == generation_of(id)).then_some(pid)
}

/// Names this process: its entry, if it has one, and those that its threads will take. At most 32 bytes are kept.
pub(crate) fn set_name(name: &str) {
    write_name(&PROCESS_NAME, name);
    if let Some(entry) = entry_of(my_id()) {
        write_name(&entry.name, name);
    }
}

/// The name of this process, of which at most 32 bytes are kept; empty in the first one. Takes no lock.
pub(crate) fn process_name() -> String {
    read_name(&PROCESS_NAME)
}

#[cold]
fn take_entry() -> u32 {
    if let Err(error) = ensure() {
        panic!("{error}");
    }
    let roster = ROSTER.get().expect("`ensure` has mapped it");
    let tid = robust::tid();
    let start = roster.header().cursor.fetch_add(1, Ordering::Relaxed) as usize;
    for step in 0..ENTRY_COUNT {
        let index = (start + step) % ENTRY_COUNT;
        let offset = ENTRIES_OFFSET + index * size_of::<Entry>();
        if let Err(errno) = roster.mapping.commit(offset, size_of::<Entry>()) {
            panic!("{}", Error::os("commit", "an entry of the roster", errno));
        }
        let entry = entry_at(roster, index);
        let seen = entry.life.load(Ordering::Relaxed);
        if seen & TID_MASK != 0 {
            continue;
        }
        let spare = NonNull::new(entry.spare_head.get().cast()).expect("inside a mapping");
        // SAFETY: used by the kernel only if this thread registers it, and the roster is never unmapped. Should the
        // compare-exchange below fail, the head stays empty, and a later tenant writes the same bytes.
        let head = match unsafe { Head::of_this_thread(spare) } {
            Ok(head) => head,
            Err(errno) => panic!("{}", Error::os("register", "a robust list", errno)),
        };
        head.set_pending(&entry.life);
        let taken = OWNER_DIED | tid;
        if entry.life.compare_exchange(seen, taken, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            head.clear_pending();
            continue;
        }
        let generation = entry.generation.load(Ordering::Relaxed);
        let generation = if generation >= GENERATION_MASK { 1 } else { generation + 1 };
        entry.generation.store(generation, Ordering::Relaxed);
        entry.wait_sequence.fetch_and(!1, Ordering::Relaxed);
        entry.pid.store(std::process::id(), Ordering::Relaxed);
        for (ours, process) in entry.name.iter().zip(&PROCESS_NAME) {
            ours.store(process.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        // SAFETY: `links` lies where the node of `life` belongs (asserted above), the roster is never unmapped, and the entry
        // became ours by the compare-exchange.
        unsafe { head.link(NonNull::from(&entry.life)) };
        entry.life.store(tid | WAITERS, Ordering::Release);
        head.clear_pending();
        let fence = if is_asymmetric() { 0 } else { NEEDS_FENCE };
        let id = fence | generation << INDEX_BITS | index as u32;
        ME.with(|me| {
            me.head.set(Some(head));
            me.id.set(id);
        });
        return id;
    }
    let detail = format!("{ENTRY_COUNT} threads are alive in this process tree");
    panic!("{}", Error::new(ErrorKind::LimitReached, "take", "an entry of the roster", detail));
}

/// In the child of a fork: the entry belongs to the parent's thread (I3).
extern "C" fn forget_me() {
    ME.with(|me| {
        if let Some(head) = me.head.take() {
            // The child inherits the pending pointer with the rest of the memory.
            head.clear_pending();
        }
        me.id.set(NOBODY);
        me.owes.set(false);
    });
    live::forget_looks();
}

fn entry_of(id: u32) -> Option<&'static Entry> {
    let roster = ROSTER.get()?;
    (id != NOBODY).then(|| entry_at(roster, (id & INDEX_MASK) as usize))
}

fn entry_at(roster: &'static Roster, index: usize) -> &'static Entry {
    // SAFETY: the mapping has the entries behind its header.
    let entries = unsafe { roster.mapping.base().add(ENTRIES_OFFSET) }.cast::<Entry>();
    // SAFETY: there are ENTRY_COUNT of them, and the index is below that (masked, or reduced).
    let entry = unsafe { entries.add(index) };
    // SAFETY: aligned, mapped for ever, and zeroed memory is a valid entry; all fields that others touch are atomics.
    unsafe { &*entry }
}

// Every bit of the address that counts lies below the stride, and above what each word has for itself.
const _: () = {
    let mut bit = 4;
    while bit < 47 {
        let differs = alarm_index(1 << bit) != alarm_index(0);
        assert!(differs == ((1 << bit) < ALARM_STRIDE_BYTES));
        bit += 1;
    }
};

impl Header {
    fn begin(&self) {
        self.name_at.store((&raw const PROCESS_NAME).addr() as u64, Ordering::Relaxed);
        self.layout.store(LAYOUT, Ordering::Relaxed);
        self.magic.store(MAGIC, Ordering::Release);
    }
}

/// The roster, if it is mapped.
pub(super) fn mapped() -> Option<&'static Roster> {
    ROSTER.get()
}

/// Where the calling thread notes what it waits for, if it has an entry.
pub(super) fn my_note() -> Option<Note<'static>> {
    let entry = entry_of(my_id())?;
    Some(Note { sequence: &entry.wait_sequence, since: &entry.wait_since, wait: &entry.wait })
}

pub(super) fn generation_of(id: u32) -> u32 {
    (id >> INDEX_BITS) & GENERATION_MASK
}

fn write_name(name: &Name, text: &str) {
    let mut bytes = [0u8; NAME_BYTES];
    let length = text.floor_char_boundary(NAME_BYTES);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    for (word, bytes) in name.iter().zip(bytes.chunks_exact(8)) {
        word.store(u64::from_ne_bytes(bytes.try_into().expect("eight bytes")), Ordering::Relaxed);
    }
}

fn read_name(name: &Name) -> String {
    let bytes: Vec<u8> =
        name.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}
