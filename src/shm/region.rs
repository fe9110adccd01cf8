//! A stretch of shared memory into which values are placed.
//!
//! Any process that holds the region may place; what is placed after a fork is seen by the placer and its later children only
//! (nobody else has a handle), but takes room for all. The fill mark lies in the region itself, so that two processes never
//! place at the same address. Memory is carved once and never given back piece by piece; the mapping goes as a whole.
//!
//! A process that dies between moving the mark and returning from `place` leaks that stretch until the region goes.

#![expect(unsafe_code, reason = "writes values into a mapping")]

use crate::error::{Error, ErrorKind, Result};
use crate::shm::catalogue::{self, Thing};
use crate::shm::live::Live;
use crate::shm::roster;
use crate::shm::safe::ShmSafe;
use crate::shm::shared::Shared;
use crate::sys::Errno;
use crate::sys::memory::{self, Mapping};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Shared memory of a fixed capacity, from which values are placed.
///
/// It is a sealed memfd mapped shared: it has no name in the file system, is not bounded by the size of /dev/shm, keeps no
/// file descriptor, and is gone with the last process that maps it. Cloning gives another handle to the same region.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Counter, Mutex, Region};
/// let region = Region::new(64 * 1024)?;
/// let total = region.place(Mutex::new(0u64))?;
/// let per_worker = region.place_slice(4, |_| Counter::new("done"))?;
/// per_worker[2].add(1);
/// *total.lock().unwrap() += 1;
/// assert!(region.used_bytes() <= region.capacity_bytes());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Region {
    map: Arc<RegionMap>,
}

/// The mapping that a region and its values' handles keep alive. The fill mark is its first word, unless it was made for one
/// value (`mark` is false): then there is nothing to share out.
#[derive(Debug)]
pub(crate) struct RegionMap {
    /// Dropped before the mapping.
    _live: Live,
    mapping: Mapping,
    mark: bool,
}

/// Bytes of the fill mark at the start of a region.
const MARK_BYTES: usize = size_of::<AtomicUsize>();

impl Region {
    /// Makes a region in which values of `capacity_bytes` in all can be placed (their alignment included). Nothing is
    /// committed yet, except a page: each placement commits what it needs.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for no bytes, [`OutOfMemory`](ErrorKind::OutOfMemory) for more than the
    /// machine has or the address space holds, [`LimitReached`](ErrorKind::LimitReached) if no file descriptor is free for
    /// the moment of the call.
    pub fn new(capacity_bytes: usize) -> Result<Region> {
        let mapping = check(capacity_bytes)
            .and_then(|()| Mapping::new(capacity_bytes + MARK_BYTES).map_err(os(capacity_bytes)))?;
        Region::marked(mapping)
    }

    /// One that another process may map as well, which is no later fork of this one and may have something else at these addresses: it is
    /// handed the file, and calls [`arrived`](Self::arrived). It must have this process's roster.
    pub(crate) fn portable(capacity_bytes: usize) -> Result<(Region, OwnedFd)> {
        check(capacity_bytes)?;
        let bytes = capacity_bytes + MARK_BYTES;
        let file = memory::sealed_file(bytes).map_err(os(capacity_bytes))?;
        let mapping = Mapping::aligned(&file, bytes, roster::ALARM_STRIDE_BYTES)
            .map_err(os(capacity_bytes))?;
        Ok((Region::marked(mapping)?, file))
    }

    /// The region of another process that has made it [`portable`](Self::portable) with this capacity.
    pub(crate) fn arrived(file: &OwnedFd, capacity_bytes: usize) -> Result<Region> {
        let bytes = capacity_bytes + MARK_BYTES;
        // Addresses differ by a multiple of the stride: whoever sleeps here, and whoever dies there, names the same alarm.
        let mapping = Mapping::aligned(file, bytes, roster::ALARM_STRIDE_BYTES)
            .map_err(os(capacity_bytes))?;
        Ok(Region { map: RegionMap::new(mapping, true) })
    }

    fn marked(mapping: Mapping) -> Result<Region> {
        let capacity_bytes = mapping.bytes() - MARK_BYTES;
        mapping.commit(0, MARK_BYTES).map_err(os(capacity_bytes))?;
        Ok(Region { map: RegionMap::new(mapping, true) })
    }

    /// A region for exactly one value, without a fill mark.
    pub(crate) fn single(bytes: usize, align: usize) -> Result<Region> {
        assert!(align <= memory::page_bytes(), "alignment of {align} is more than a page");
        roster::ensure()?;
        let mapping = Mapping::new(bytes.max(1))
            .map_err(|errno| Error::os("create", format!("region of {bytes} bytes"), errno))?;
        Ok(Region { map: RegionMap::new(mapping, false) })
    }

    /// Moves `value` into the region.
    ///
    /// # Errors
    /// [`OutOfMemory`](ErrorKind::OutOfMemory) if the region has no room left or its pages cannot be committed. The value is
    /// dropped then; types that live in shared memory own nothing.
    ///
    /// # Panics
    /// If `T` is aligned to more than a page.
    pub fn place<T: ShmSafe>(&self, value: T) -> Result<Shared<T>> {
        let place = self.reserve(size_of::<T>(), align_of::<T>())?.cast::<T>();
        self.map.enter::<T>(place.as_ptr().addr(), 1, "");
        // SAFETY: `reserve` gave us aligned, committed bytes for one T that no other process will be given.
        unsafe { place.write(value) };
        // SAFETY: just initialised.
        Ok(unsafe { Shared::from_raw(place, Arc::clone(&self.map)) })
    }

    /// Places `len` values, the result of `value(index)` for each, as one slice.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    ///
    /// # Panics
    /// As [`place`](Self::place). If `value` panics, the room is lost to the region and nothing else happens.
    pub fn place_slice<T: ShmSafe>(
        &self,
        len: usize,
        mut value: impl FnMut(usize) -> T,
    ) -> Result<Shared<[T]>> {
        let Some(bytes) = size_of::<T>().checked_mul(len) else {
            return Err(self.no_room(usize::MAX, 0));
        };
        let first = self.reserve(bytes, align_of::<T>())?.cast::<T>();
        for index in 0..len {
            // SAFETY: `reserve` gave us room for `len` values from `first`.
            let place = unsafe { first.add(index) };
            // SAFETY: as in `place`.
            unsafe { place.write(value(index)) };
        }
        self.map.enter::<T>(first.as_ptr().addr(), len, "");
        let slice = NonNull::slice_from_raw_parts(first, len);
        // SAFETY: all elements are initialised.
        Ok(unsafe { Shared::from_raw(slice, Arc::clone(&self.map)) })
    }

    /// Where in the region a value of it lies.
    pub(crate) fn offset_of<T: ?Sized + ShmSafe>(&self, value: &Shared<T>) -> usize {
        let first = std::ptr::from_ref(&**value).cast::<u8>();
        first.addr() - self.map.mapping.base().addr()
    }

    /// What was placed by another process, which says where: `len` values from `offset`.
    ///
    /// # Safety
    /// [`offset_of`](Self::offset_of) said so there of so many values of this type.
    pub(crate) unsafe fn found<T: ShmSafe>(&self, offset: usize, len: usize) -> Shared<[T]> {
        assert!(offset + len * size_of::<T>() <= self.map.mapping.bytes(), "outside of the region");
        let first = self.map.mapping.base().wrapping_add(offset).cast::<T>();
        let first = NonNull::new(first).expect("a mapping is never at address 0");
        let slice = NonNull::slice_from_raw_parts(first, len);
        // SAFETY: initialised by that process (the caller's promise), committed in the file, and ShmSafe: the bytes mean the same here.
        unsafe { Shared::from_raw(slice, Arc::clone(&self.map)) }
    }

    /// How many bytes can be placed in all.
    pub fn capacity_bytes(&self) -> usize {
        self.map.mapping.bytes() - self.map.start()
    }

    /// How many bytes have been placed, by any process, alignment included.
    pub fn used_bytes(&self) -> usize {
        self.map.mark().map_or(self.capacity_bytes(), |mark| mark.load(Ordering::Relaxed))
    }

    /// Takes `bytes` at `align` from the region for the caller alone, and commits their pages.
    pub(crate) fn reserve(&self, bytes: usize, align: usize) -> Result<NonNull<u8>> {
        assert!(align <= memory::page_bytes(), "alignment of {align} is more than a page");
        let start = self.map.start();
        let offset = match self.map.mark() {
            None => 0,
            Some(mark) => {
                let mut used = mark.load(Ordering::Relaxed);
                loop {
                    let offset = (start + used).next_multiple_of(align);
                    let end =
                        offset.checked_add(bytes).filter(|&end| end <= self.map.mapping.bytes());
                    let Some(end) = end else { return Err(self.no_room(bytes, used)) };
                    // Relaxed is enough: the mark orders nothing but itself; the value reaches others through a fork.
                    match mark.compare_exchange_weak(
                        used,
                        end - start,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    ) {
                        Ok(_) => break offset,
                        Err(now) => used = now,
                    }
                }
            }
        };
        self.map.mapping.commit(offset, bytes).map_err(|errno| {
            if let Some(mark) = self.map.mark() {
                // Give the room back, if nobody has placed anything behind it since.
                let (end, start) = (offset + bytes - start, offset - start);
                let _ = mark.compare_exchange(end, start, Ordering::Relaxed, Ordering::Relaxed);
            }
            let object = format!("{bytes} bytes in a region of {} bytes", self.capacity_bytes());
            Error::os("place", object, errno)
        })?;
        // SAFETY: `offset + bytes` is at most the length of the mapping (checked above, or made to measure by `single`).
        let place = unsafe { self.map.mapping.base().add(offset) };
        Ok(NonNull::new(place).expect("a mapping is never at address 0"))
    }

    fn no_room(&self, bytes: usize, used: usize) -> Error {
        let detail = format!("{used} of {} bytes are used", self.capacity_bytes());
        Error::new(ErrorKind::OutOfMemory, "place", format!("{bytes} bytes in a region"), detail)
    }
}

fn os(capacity_bytes: usize) -> impl Fn(Errno) -> Error {
    move |errno| Error::os("create", format!("region of {capacity_bytes} bytes"), errno)
}

/// Whether there can be a region of so many bytes; makes sure of the roster.
fn check(capacity_bytes: usize) -> Result<()> {
    let refuse = |kind, detail: String| {
        Err(Error::new(kind, "create", format!("region of {capacity_bytes} bytes"), detail))
    };
    if capacity_bytes == 0 {
        return refuse(ErrorKind::InvalidInput, "it must hold at least a byte".to_owned());
    }
    let machine_bytes = memory::machine_bytes();
    if capacity_bytes as u64 > machine_bytes {
        let detail = format!("the machine has {machine_bytes} bytes of memory and swap");
        return refuse(ErrorKind::OutOfMemory, detail);
    }
    roster::ensure()
}

impl RegionMap {
    fn new(mapping: Mapping, mark: bool) -> Arc<RegionMap> {
        let live = Live::new(mapping.file(), mapping.base().expose_provenance(), mapping.bytes());
        Arc::new(RegionMap { _live: live, mapping, mark })
    }

    /// Tells those who look from outside what lies at an address of this mapping.
    pub(crate) fn enter<T>(&self, address: usize, count: usize, name: &str) {
        catalogue::enter(Thing {
            file: self.mapping.file(),
            offset: address - self.mapping.base().addr(),
            bytes: count * size_of::<T>(),
            count,
            type_name: std::any::type_name::<T>(),
            name,
        });
    }

    fn start(&self) -> usize {
        if self.mark { MARK_BYTES } else { 0 }
    }

    fn mark(&self) -> Option<&AtomicUsize> {
        // SAFETY: the mapping is page-aligned, its first word was committed by `Region::new` and is used as the mark alone, by
        // atomic operations, in every process; zeroed memory is a mark of 0.
        self.mark.then(|| unsafe { AtomicUsize::from_ptr(self.mapping.base().cast()) })
    }
}
