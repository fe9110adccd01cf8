//! A memfd that is both mapped (small things, at once) and written like a file (big things, where a lack of memory is an
//! error of the write and never SIGBUS).

#![expect(unsafe_code, reason = "maps a file that another process has written")]

use memmap2::{Mmap, MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc::RLIM_INFINITY;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// Shared memory without a name; the descriptor is close-on-exec and inherited by fork.
#[derive(Debug)]
pub(crate) struct Sheet(File);

/// A part of a sheet, mapped shared; unmapped on drop.
#[derive(Debug)]
pub(crate) struct Window(MmapRaw);

impl Window {
    /// The first byte.
    pub(crate) fn base(&self) -> *mut u8 {
        self.0.as_mut_ptr()
    }
}

impl Sheet {
    /// Makes an empty one.
    pub(crate) fn new() -> Result<Sheet, Errno> {
        let fd = memfd_create(c"offspring", MFdFlags::MFD_CLOEXEC)?;
        Ok(Sheet(File::from(fd)))
    }

    /// One that another process has made, and handed over.
    pub(crate) fn from_fd(fd: OwnedFd) -> Sheet {
        Sheet(File::from(fd))
    }

    /// Commits and maps `bytes` from `offset`, shared.
    pub(crate) fn map_shared(&self, offset: u64, bytes: usize) -> Result<Window, Errno> {
        fallocate(&self.0, FallocateFlags::empty(), offset as i64, bytes as i64)?;
        MmapOptions::new().offset(offset).len(bytes).map_raw(&self.0).map(Window).map_err(errno)
    }

    /// Maps `bytes` from `offset` to be read.
    ///
    /// # Safety
    /// Nobody writes these bytes while the map lives, no other process either.
    pub(crate) unsafe fn map_read(&self, offset: u64, bytes: usize) -> Result<Mmap, Errno> {
        // SAFETY: the caller keeps writers away; nothing ever shrinks the file.
        unsafe { MmapOptions::new().offset(offset).len(bytes).map(&self.0) }.map_err(errno)
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Errno> {
        self.0.write_all_at(bytes, offset).map_err(errno)
    }

    /// Reads so many bytes at `offset`.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Errno> {
        self.0.read_exact_at(buffer, offset).map_err(errno)
    }

    /// Gives the memory of `bytes` from `offset` back to the machine; they read as zeros.
    pub(crate) fn discard(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&self.0, flags, offset as i64, bytes as i64)
    }
}

impl AsFd for Sheet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lifts this process's soft limit on file sizes to its hard one: a memfd counts as a file, and a write beyond the limit is
/// SIGXFSZ. EFBIG if there is a hard limit.
pub(crate) fn lift_file_size_limit() -> Result<(), Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE)?;
    match hard {
        _ if soft == RLIM_INFINITY => Ok(()),
        RLIM_INFINITY => setrlimit(Resource::RLIMIT_FSIZE, hard, hard),
        _ => Err(Errno::EFBIG),
    }
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::ENOMEM, Errno::from_raw)
}
