//! Regions and the values in them.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use offspring::{Counter, ErrorKind, Mutex, Region, Shared, ShmSafe};

use crate::floors::{By, Seats, crew, mappings, page_bytes};
use crate::support::{Ended, Kid};

fn range<T: ShmSafe + ?Sized>(shared: &Shared<T>) -> Range<usize> {
    let start = std::ptr::from_ref::<T>(shared).addr();
    start..start + size_of_val::<T>(shared)
}

pub(crate) fn values_and_slices() {
    let region = Region::new(1000).unwrap();
    assert_eq!((region.capacity_bytes(), region.used_bytes()), (1000, 0));
    let byte = region.place(AtomicU8::new(7)).unwrap();
    assert_eq!((byte.load(Ordering::Relaxed), region.used_bytes()), (7, 1));
    let words = region.place_slice(10, |n| AtomicU64::new(n as u64 * 3)).unwrap();
    assert_eq!(words.len(), 10);
    assert!(words.iter().enumerate().all(|(n, word)| word.load(Ordering::Relaxed) == n as u64 * 3));
    assert_eq!(region.used_bytes(), 88, "a byte, seven to align, ten words");
    // Nothing at all may be placed, too.
    assert!(region.place_slice(0, |_| AtomicU8::new(0)).unwrap().is_empty());
    region.place(()).unwrap();
    assert_eq!(Shared::new(()).unwrap().clone().iter_nothing(), ());
    // Arrays, pairs, nested.
    let nested =
        Shared::new([(AtomicU64::new(1), Mutex::new([2u16; 3])), Default::default()]).unwrap();
    assert_eq!(nested[0].1.lock().unwrap()[2], 2);
    assert_eq!(nested[1].0.load(Ordering::Relaxed), 0);
    // Handles are clones of each other, and say what they hold.
    let other = byte.clone();
    other.store(9, Ordering::Relaxed);
    assert_eq!((byte.load(Ordering::Relaxed), format!("{byte:?}")), (9, "Shared(9)".to_owned()));
    assert_eq!(region.clone().used_bytes(), region.used_bytes());
}

trait Nothing {
    fn iter_nothing(&self);
}

impl Nothing for Shared<()> {
    fn iter_nothing(&self) {
        **self
    }
}

macro_rules! aligned {
    ($($name:ident $align:literal)*) => { $(
        #[repr(align($align))]
        struct $name(#[expect(dead_code, reason = "takes room")] AtomicU8);
        // SAFETY: an atomic with room around it.
        unsafe impl ShmSafe for $name {}
    )* };
}
aligned!(A2 2 A64 64 A1024 1024 A4096 4096 A8192 8192);

pub(crate) fn alignment() {
    fn check<T: ShmSafe>(region: &Region, make: impl Fn() -> T) {
        region.place(AtomicU8::new(1)).unwrap(); // out of step
        for shared in [region.place(make()).unwrap(), Shared::new(make()).unwrap()] {
            assert_eq!(range(&shared).start % align_of::<T>(), 0);
        }
        let slice = region.place_slice(3, |_| make()).unwrap();
        assert_eq!(range(&slice).start % align_of::<T>(), 0);
    }
    let region = Region::new(64 << 10).unwrap();
    check(&region, || A2(AtomicU8::new(0)));
    check(&region, || A64(AtomicU8::new(0)));
    check(&region, || A1024(AtomicU8::new(0)));
    check(&region, || A4096(AtomicU8::new(0)));
    check(&region, || Counter::new(""));
    // A page is the limit, and saying so is better than a wrong address.
    let too_much = || region.place(A8192(AtomicU8::new(0)));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(too_much)).is_err());
}

pub(crate) fn exhaustion_is_an_error_at_the_call() {
    let region = Region::new(64).unwrap();
    let full = region.place_slice(8, |_| AtomicU64::new(5)).unwrap();
    let error = region.place(AtomicU8::new(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("64 of 64 bytes"), "{error}");
    assert_eq!(region.used_bytes(), 64);
    assert!(full.iter().all(|word| word.load(Ordering::Relaxed) == 5));
    region.place(()).unwrap();
    // What does not fit leaves the room to what does.
    let region = Region::new(64).unwrap();
    for len in [9, 1 << 40, usize::MAX / 8, usize::MAX / 4, usize::MAX] {
        let error = region.place_slice(len, |_| -> AtomicU64 { unreachable!("no room") });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::OutOfMemory, "{len}");
    }
    assert_eq!(region.used_bytes(), 0);
    region.place_slice(8, |_| AtomicU64::new(5)).unwrap();
}

pub(crate) fn impossible_regions_are_errors() {
    let kind = |bytes| Region::new(bytes).unwrap_err().kind();
    assert_eq!(kind(0), ErrorKind::InvalidInput);
    for bytes in [1 << 50, usize::MAX, usize::MAX - 7, usize::MAX - 4096, isize::MAX as usize] {
        assert_eq!(kind(bytes), ErrorKind::OutOfMemory, "{bytes}");
    }
    let machine = nix::sys::sysinfo::sysinfo().unwrap();
    let machine_bytes = (machine.ram_total() + machine.swap_total()) as usize;
    assert_eq!(kind(machine_bytes + page_bytes()), ErrorKind::OutOfMemory);
    assert!(mappings().is_empty(), "not even the roster");
    // As much as there is may be reserved, but not committed: an error then, and not a dead process.
    let region = Region::new(machine_bytes - page_bytes()).unwrap();
    let all = region.capacity_bytes() / 8;
    let error =
        region.place_slice(all, |_| -> AtomicU64 { unreachable!("no memory") }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
}

pub(crate) fn children_see_values_and_write_them() {
    By::each(|by| {
        let region = Region::new(4096).unwrap();
        let words = region.place_slice(4, |n| AtomicU64::new(n as u64 + 1)).unwrap();
        let work = |seat: usize, _: &Seats| {
            assert_eq!(words[seat].fetch_add(10, Ordering::Relaxed), seat as u64 + 1);
        };
        crew(by, 4, work, |_| ());
        let sum: u64 = words.iter().map(|word| word.load(Ordering::Relaxed)).sum();
        assert_eq!(sum, 50);
    });
    // Whatever generation.
    let word = Shared::new(AtomicU64::new(1)).unwrap();
    let kid = Kid::fork(|| {
        let grandkid =
            Kid::fork(|| word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed));
        assert_eq!(grandkid.join(), Ended::Exited(0));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(word.load(Ordering::Relaxed), 2);
}

/// Each placer fills what it got with its own number, and looks at it again when all are done.
pub(crate) fn processes_place_at_once_without_overlap() {
    By::each(|by| {
        let region = Region::new(256 << 10).unwrap();
        let placed = Shared::new(AtomicU64::new(0)).unwrap();
        let arrived = Shared::new(Counter::new("arrived")).unwrap();
        let work = |seat: usize, _: &Seats| {
            let meet = |count| {
                assert!(crate::support::until(|| arrived.get() >= count, crate::floors::LONG))
            };
            arrived.add(1);
            meet(4);
            let mut mine = Vec::new();
            for len in (1..40).cycle() {
                match region.place_slice(len, |_| AtomicU8::new(seat as u8)) {
                    Ok(bytes) => mine.push(bytes),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
                        break;
                    }
                }
            }
            let bytes: usize = mine.iter().map(|bytes| bytes.len()).sum();
            placed.fetch_add(bytes as u64, Ordering::Relaxed);
            arrived.add(1);
            meet(8);
            let intact = |byte: &AtomicU8| byte.load(Ordering::Relaxed) == seat as u8;
            assert!(mine.iter().all(|bytes| bytes.iter().all(intact)));
        };
        crew(by, 4, work, |_| ());
        assert_eq!(placed.load(Ordering::Relaxed), region.used_bytes() as u64);
        assert!(region.capacity_bytes() - region.used_bytes() < 40);
    });
}

pub(crate) fn panic_while_placing_costs_room_alone() {
    let region = Region::new(1000).unwrap();
    let place = || {
        region.place_slice(10, |n| {
            assert!(n < 5, "half way");
            AtomicU8::new(1)
        })
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(place)).is_err());
    assert_eq!(region.used_bytes(), 10);
    region.place_slice(990, |_| AtomicU8::new(1)).unwrap();
}

pub(crate) fn last_handle_unmaps() {
    drop(Region::new(1).unwrap()); // the roster comes with the first one, and stays
    // Not how much of the roster was touched: what is placed is noted there.
    let places = || mappings().into_iter().map(|mapping| (mapping.range, mapping.name));
    let before: Vec<_> = places().collect();
    assert_eq!(before.len(), 1);
    let region = Region::new(100_000).unwrap();
    let first = region.place(AtomicU64::new(1)).unwrap();
    let slice = region.place_slice(3, |_| AtomicU8::new(0)).unwrap();
    let again = first.clone();
    assert_eq!(mappings().len(), 2);
    drop(region);
    drop(first);
    drop(again);
    assert_eq!(mappings().len(), 2, "the slice holds it");
    drop(slice);
    assert!(places().eq(before.iter().cloned()));
    // Each process for itself.
    let shared = Shared::new(Mutex::new(1u64)).unwrap();
    let mut handle = Some(shared.clone());
    let kid = Kid::fork(|| {
        drop(handle.take());
        assert_eq!(mappings().len(), 2);
        let kid = Kid::fork(|| *shared.lock().unwrap() += 1);
        assert_eq!(kid.join(), Ended::Exited(0));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!((*shared.lock().unwrap(), mappings().len()), (2, 2));
    drop((shared, handle));
    assert!(places().eq(before.iter().cloned()));
    for _ in 0..2_000 {
        drop(Shared::new(AtomicU64::new(0)).unwrap());
        drop(offspring::RingQueue::<u64>::new(10).unwrap());
    }
    assert!(places().eq(before.iter().cloned()));
}

pub(crate) fn death_leaves_the_others_handles() {
    let word = Shared::new(AtomicU64::new(1)).unwrap();
    let kid = Kid::fork(|| {
        word.store(2, Ordering::Relaxed);
        std::process::abort();
    });
    assert!(matches!(kid.join(), Ended::Killed(_)));
    assert_eq!(word.load(Ordering::Relaxed), 2);
}
