//! Shared memory: a sealed memfd, mapped shared, without a name in the file system.

#![expect(unsafe_code, reason = "maps, unmaps, and commits pages")]

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;
use std::ffi::{CStr, c_int};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

/// From this length on, ask whether the memory is there before committing it (reading /proc costs some 50 µs).
const WORTH_ASKING_BYTES: usize = 4 << 20;

/// What /proc/PID/maps calls our memory.
const NAME: &CStr = c"offspring";

/// How shared memory is mapped.
const ACCESS: c_int = libc::PROT_READ | libc::PROT_WRITE;

/// A shared mapping; unmapped on drop. Inherited by fork children at the same address.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
    /// The inode of the memfd, by which others find it in /proc; 0 if there is none.
    file: u64,
}

// SAFETY: the mapping belongs to this value; its bytes are reached through raw pointers only, by whoever may.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `bytes` of new, zeroed shared memory. No page is committed yet, no file descriptor is kept.
    pub(crate) fn new(bytes: usize) -> Result<Mapping, Errno> {
        Mapping::named(bytes, NAME)
    }

    /// The same, by a name of its own in /proc/PID/maps.
    pub(crate) fn named(bytes: usize, name: &CStr) -> Result<Mapping, Errno> {
        let file = sealed(bytes, name)?;
        let mut mapping = Mapping::anywhere(bytes, ACCESS, libc::MAP_SHARED, file.as_raw_fd())?;
        mapping.file = inode(&file)?;
        Ok(mapping)
    }

    /// Maps `bytes` of a file that [`sealed_file`] has made so long, at an address that is a multiple of `align` (a power of two, of
    /// whole pages).
    pub(crate) fn aligned(file: &OwnedFd, bytes: usize, align: usize) -> Result<Mapping, Errno> {
        let whole = bytes.checked_next_multiple_of(page_bytes()).ok_or(Errno::ENOMEM)?;
        let reserve = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let bytes_both = whole.checked_add(align).ok_or(Errno::ENOMEM)?;
        let room = Mapping::anywhere(bytes_both, libc::PROT_NONE, reserve, -1)?;
        let before = room.base.align_offset(align);
        let base = room.base().wrapping_add(before);
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // SAFETY: replaces a part of our own reservation, which nobody has used.
        let mapped = unsafe { libc::mmap(base.cast(), bytes, ACCESS, flags, file.as_raw_fd(), 0) };
        if mapped == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // The reservation is now three mappings; the outer two are dropped.
        let part = |start: usize, bytes, file| {
            let base = room.base().wrapping_add(start);
            Mapping { base: NonNull::new(base).expect("inside of the room"), bytes, file }
        };
        let mapping = part(before, bytes, inode(file).unwrap_or(0));
        drop((part(0, before, 0), part(before + whole, align - before, 0)));
        std::mem::forget(room);
        Ok(mapping)
    }

    /// A new mapping where the kernel likes.
    fn anywhere(bytes: usize, access: c_int, flags: c_int, file: RawFd) -> Result<Mapping, Errno> {
        // SAFETY: without MAP_FIXED it replaces nothing.
        let base = unsafe { libc::mmap(null_mut(), bytes, access, flags, file, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let base = NonNull::new(base.cast()).expect("a mapping is never at address 0");
        Ok(Mapping { base, bytes, file: 0 })
    }

    /// The inode of the memfd, 0 if unknown.
    pub(crate) fn file(&self) -> u64 {
        self.file
    }

    /// The first byte.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// The length in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Commits the pages that hold `offset..offset + bytes`, so that no later access can fail; MADV_POPULATE_WRITE,
    /// Linux 5.14. What cannot be backed is ENOMEM here and not SIGBUS later.
    pub(crate) fn commit(&self, offset: usize, bytes: usize) -> Result<(), Errno> {
        let end =
            offset.checked_add(bytes).filter(|&end| end <= self.bytes()).ok_or(Errno::ENOMEM)?;
        let page = page_bytes();
        let start = offset & !(page - 1);
        let length = (end - start).next_multiple_of(page).min(self.bytes() - start);
        if length == 0 {
            return Ok(());
        }
        // SAFETY: `start` is inside the mapping (checked above).
        let address = unsafe { self.base().add(start) };
        // SAFETY: the range lies in this mapping.
        unsafe { populate(address, length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody can use it any more. For no bytes it is an error without an effect.
        unsafe { libc::munmap(self.base().cast(), self.bytes) };
    }
}

/// Commits whole pages of a shared mapping, or says that there is no memory for them.
///
/// # Safety
/// The range lies in a mapping that the caller owns.
pub(super) unsafe fn populate(address: *mut u8, bytes: usize) -> Result<(), Errno> {
    if bytes >= WORTH_ASKING_BYTES && bytes as u64 > available_bytes() {
        return Err(Errno::ENOMEM);
    }
    loop {
        // SAFETY: the caller's promise; populating changes no byte, in whatever process it is used.
        let done = unsafe { libc::madvise(address.cast(), bytes, libc::MADV_POPULATE_WRITE) };
        match Errno::result(done) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::EFAULT | Errno::EHWPOISON) => return Err(Errno::ENOMEM),
            Err(errno) => return Err(errno),
        }
    }
}

/// Makes whole pages untouchable in this process: whoever touches them dies by SIGSEGV. The addresses stay taken.
///
/// # Safety
/// The range is one mapping of the caller's, page-aligned, and no code of this process relies on it.
pub(crate) unsafe fn veil(address: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    Errno::result(unsafe { libc::mprotect(address.cast(), bytes, libc::PROT_NONE) }).map(drop)
}

/// Asks for huge pages for the whole ones in this stretch, before it is touched. A wish: the machine may have none, or not give any.
pub(crate) fn wish_huge_pages(address: *mut u8, bytes: usize) {
    /// The size of a huge page, on all machines that this crate builds for.
    const HUGE: usize = 2 << 20;
    let start = address.addr().next_multiple_of(HUGE);
    let end = (address.addr() + bytes) & !(HUGE - 1);
    if start < end {
        // SAFETY: the advice changes no byte and no right, whatever lies there; a stretch that is not mapped is an error.
        let _ = unsafe {
            libc::madvise(address.with_addr(start).cast(), end - start, libc::MADV_HUGEPAGE)
        };
    }
}

/// A memfd of so many zeroed bytes, which will never be more or fewer.
pub(crate) fn sealed_file(bytes: usize) -> Result<OwnedFd, Errno> {
    sealed(bytes, NAME)
}

fn inode(file: &OwnedFd) -> Result<u64, Errno> {
    Ok(fstat(file)?.st_ino)
}

fn sealed(bytes: usize, name: &CStr) -> Result<OwnedFd, Errno> {
    let size = libc::off_t::try_from(bytes).map_err(|_| Errno::ENOMEM)?;
    // Beyond this limit ftruncate would not fail but kill, by SIGXFSZ.
    let (file_bytes_max, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
    if bytes as u64 > file_bytes_max {
        return Err(Errno::ENOMEM);
    }
    let file = anonymous(name)?;
    ftruncate(&file, size).map_err(|e| if e == Errno::EFBIG { Errno::ENOMEM } else { e })?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

/// A memfd that will never be executed, which some machines insist on (Linux 6.3 knows the flag; vm.memfd_noexec).
pub(crate) fn anonymous_file() -> Result<OwnedFd, Errno> {
    anonymous(NAME)
}

fn anonymous(name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let noexec = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    match memfd_create(name, flags | noexec) {
        Err(Errno::EINVAL) => memfd_create(name, flags),
        made => made,
    }
}

/// So many zeroed words of this process's own, for ever. What is not used costs nothing.
pub(crate) fn private_words(count: usize) -> Result<&'static [AtomicU64], Errno> {
    let words = Mapping::anywhere(
        count * size_of::<AtomicU64>(),
        ACCESS,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        -1,
    )?;
    let first = words.base().cast::<AtomicU64>();
    std::mem::forget(words);
    // SAFETY: mapped a line above, so long, zeroed, aligned to a page, and never unmapped.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// The size of a page in bytes.
pub(crate) fn page_bytes() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        // SAFETY: sysconf takes a number and returns one.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(bytes).unwrap_or(4096)
    })
}

/// Lets this process map so many bytes more than it has mapped now (RLIMIT_AS): an allocation beyond that fails.
pub(crate) fn limit_growth(bytes: u64) -> Result<(), Errno> {
    let mapped = mapped_bytes()?;
    let (_, hard) = getrlimit(Resource::RLIMIT_AS)?;
    setrlimit(Resource::RLIMIT_AS, mapped.saturating_add(bytes).min(hard), hard)
}

/// Runs what needs memory in which no allocation may fail, up to so many bytes: a soft limit (RLIMIT_AS) does not hold meanwhile, and is
/// higher afterwards by what stays mapped. `None` if there is less room below the hard limit: then nothing was run.
pub(crate) fn with_room<T>(bytes: u64, work: impl FnOnce() -> T) -> Option<T> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_AS) else { return Some(work()) };
    if soft == RLIM_INFINITY {
        return Some(work());
    }
    setrlimit(Resource::RLIMIT_AS, hard, hard).ok()?;
    let before = mapped_bytes();
    let has_room = before.is_ok_and(|mapped| hard.saturating_sub(mapped) >= bytes);
    let result = has_room.then(work);
    let grown = mapped_bytes().unwrap_or(0).saturating_sub(before.unwrap_or(0));
    // The same call has succeeded above.
    let _ = setrlimit(Resource::RLIMIT_AS, soft.saturating_add(grown).min(hard), hard);
    result
}

fn mapped_bytes() -> Result<u64, Errno> {
    let text = std::fs::read_to_string("/proc/thread-self/statm").map_err(|_| Errno::ENOENT)?;
    let pages = text.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    Ok(pages.ok_or(Errno::EINVAL)?.saturating_mul(page_bytes() as u64))
}

/// The machine's memory and swap in bytes; `u64::MAX` if sysinfo(2) fails.
pub(crate) fn machine_bytes() -> u64 {
    nix::sys::sysinfo::sysinfo()
        .map_or(u64::MAX, |info| info.ram_total().saturating_add(info.swap_total()))
}

/// How much memory can be committed now, in bytes: what the machine has available, or less under a control group's limit.
///
/// The kernel would rather kill a process than refuse a page of shared memory; so ask first. Where /proc or the control
/// groups cannot be read, there is no such limit.
fn available_bytes() -> u64 {
    let machine = read_kib("/proc/meminfo", "MemAvailable:");
    let group = group_room_bytes();
    machine.unwrap_or(u64::MAX).min(group.unwrap_or(u64::MAX))
}

fn read_kib(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Limit less use of the control group that this process is in (v2, or v1's memory controller); cached files can be
/// dropped, so they do not count as used.
fn group_room_bytes() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let number = |path: String| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let room = |folder: String, limit: &str, used: &str| {
        let limit = number(format!("{folder}/{limit}"))?;
        let used = number(format!("{folder}/{used}"))?;
        let stat = std::fs::read_to_string(format!("{folder}/memory.stat")).ok()?;
        let cached = stat.lines().filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            matches!(key, "inactive_file" | "active_file").then(|| value.parse::<u64>().ok())?
        });
        Some(limit.saturating_sub(used.saturating_sub(cached.sum())))
    };
    let rooms = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        if controllers.is_empty() {
            room(format!("/sys/fs/cgroup{path}"), "memory.max", "memory.current")
        } else if controllers.split(',').any(|name| name == "memory") {
            let folder = format!("/sys/fs/cgroup/memory{path}");
            room(folder, "memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            None
        }
    });
    rooms.min()
}
