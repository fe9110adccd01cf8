//! What shared memory costs, and where it works.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use offspring::{ErrorKind, Mutex, Region, RingQueue, Shared};

use crate::floors::{By, Mapping, Seats, crew, mappings, open_files, page_bytes};

/// Everything that the lower floors do, once.
fn use_it_all() {
    let lock = Shared::new(Mutex::new(0u64)).unwrap();
    let queue = RingQueue::<u64>::new(3).unwrap();
    let work = |_, _: &Seats| {
        for n in 0..100 {
            *lock.lock().unwrap() += 1;
            queue.send(n).unwrap();
        }
    };
    crew(By::Processes, 2, work, |_| (0..200).for_each(|_| assert!(queue.recv().unwrap() < 100)));
    assert_eq!(*lock.lock().unwrap(), 200);
}

pub(crate) fn nothing_is_left_in_the_file_system() {
    let names = || -> Vec<_> {
        let entries = fs::read_dir("/dev/shm").into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let (before, files) = (names(), open_files());
    let lock = Shared::new(Mutex::new(0u64)).unwrap();
    let queue = RingQueue::<u64>::new(1000).unwrap();
    let region = Region::new(1 << 20).unwrap();
    let placed = region.place(AtomicU64::new(1)).unwrap();
    use_it_all();
    assert_eq!(names(), before);
    assert_eq!(open_files(), files, "no file descriptor is kept");
    assert!(mappings().iter().all(|mapping| mapping.name.ends_with("(deleted)")));
    drop((lock, queue, region, placed));
}

/// A mount namespace with an empty, read-only /dev/shm, and then with none at all.
pub(crate) fn works_without_dev_shm() {
    if unshare(CloneFlags::CLONE_NEWNS).is_err() {
        println!("no mount namespace to be had: /proc/self/maps must do");
        use_it_all();
        return;
    }
    let mount = |what: &std::ffi::CStr, kind: &std::ffi::CStr, flags| {
        // SAFETY: all strings end in 0; only this case's mount namespace changes.
        let done = unsafe {
            libc::mount(kind.as_ptr(), what.as_ptr(), kind.as_ptr(), flags, std::ptr::null())
        };
        nix::errno::Errno::result(done).map(drop)
    };
    mount(c"/", c"none", libc::MS_REC | libc::MS_PRIVATE).unwrap();
    mount(c"/dev/shm", c"tmpfs", libc::MS_RDONLY).unwrap();
    assert!(fs::write("/dev/shm/file", "").is_err());
    use_it_all();
    mount(c"/dev", c"tmpfs", 0).unwrap();
    assert!(!fs::exists("/dev/shm").unwrap());
    use_it_all();
}

pub(crate) fn works_with_64_file_descriptors() {
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let regions: Vec<Region> = (0..200).map(|_| Region::new(100).unwrap()).collect();
    let words: Vec<_> =
        regions.iter().map(|region| region.place(AtomicU64::new(1)).unwrap()).collect();
    let work = |_, _: &Seats| {
        words.iter().for_each(|word| {
            word.fetch_add(1, Ordering::Relaxed);
        })
    };
    crew(By::Processes, 2, work, |_| ());
    assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 3));
    use_it_all();
}

pub(crate) fn no_descriptor_left_is_an_error() {
    use_it_all();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
    let error = Region::new(100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
    assert_eq!(
        Shared::new(AtomicU64::new(0)).map(drop).unwrap_err().kind(),
        ErrorKind::LimitReached
    );
    assert_eq!(RingQueue::<u8>::new(1).unwrap_err().kind(), ErrorKind::LimitReached);
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    Region::new(100).unwrap();
}

/// The mapping that `make` adds.
fn new_mapping<T>(make: impl FnOnce() -> T) -> (T, Mapping) {
    drop(Region::new(1).unwrap());
    let before = mappings();
    let made = make();
    let mut added = mappings();
    added.retain(|mapping| before.iter().all(|old| old.range != mapping.range));
    assert_eq!(added.len(), 1, "{added:?}");
    (made, added.remove(0))
}

pub(crate) fn a_mutex_costs_a_page() {
    let page = page_bytes();
    let (lock, mapping) = new_mapping(|| Shared::new(Mutex::new(0u64)).unwrap());
    assert_eq!((mapping.bytes(), mapping.resident_bytes), (page, page));
    drop(lock.lock().unwrap());
    let (_, mapping) = new_mapping(|| Shared::new(Mutex::new([0u8; 4000])).unwrap());
    assert_eq!(mapping.bytes(), page);
}

pub(crate) fn a_ring_costs_its_slots_and_a_kilobyte() {
    fn check<T: offspring::queue::Plain>(capacity: usize) {
        let (queue, mapping) = new_mapping(|| RingQueue::<T>::new(capacity).unwrap());
        let most = (capacity * size_of::<T>() + 1024).next_multiple_of(page_bytes());
        assert!(mapping.bytes() <= most, "{} bytes for {capacity} slots", mapping.bytes());
        assert_eq!(mapping.resident_bytes, mapping.bytes(), "committed when made");
        assert_eq!(queue.capacity(), capacity);
    }
    for capacity in [1, 7, 1000, 1024, 100_000] {
        check::<u8>(capacity);
        check::<u64>(capacity);
        check::<[u64; 8]>(capacity);
        check::<[u8; 1024]>(capacity);
    }
    // Where a page more or less shows: slots and 1 KiB fill whole pages.
    check::<u8>(page_bytes() - 1024);
    check::<u64>((2 * page_bytes() - 1024) / 8);
    check::<()>(100_000);
}

/// What could not be backed is refused when it is placed: so what was placed is there.
pub(crate) fn memory_is_committed_when_placed() {
    let page = page_bytes();
    let (region, mapping) = new_mapping(|| Region::new(100 * page).unwrap());
    assert!(mapping.resident_bytes <= page, "nothing is committed in advance");
    let resident = || mappings().into_iter().find(|other| other.range == mapping.range).unwrap();
    let slice = region.place_slice(50 * page, |_| std::sync::atomic::AtomicU8::new(0)).unwrap();
    assert!((50 * page..=52 * page).contains(&resident().resident_bytes));
    drop(slice);
}
