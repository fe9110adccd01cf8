//! Bytes that travel as a file descriptor: a memfd that is written once and sealed, so that it can never change or shrink.

use super::memory::anonymous_file;
use super::sheet::lift_file_size_limit;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

/// A file of these bytes. What cannot be backed is an error here (ENOMEM, ENOSPC), and nobody's SIGBUS.
pub(crate) fn pack(bytes: &[u8]) -> Result<OwnedFd, Errno> {
    lift_file_size_limit()?;
    let mut file = File::from(anonymous_file()?);
    file.write_all(bytes).map_err(errno)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals | SealFlag::F_SEAL_SEAL))?;
    Ok(file.into())
}

/// A parcel that has arrived.
#[derive(Debug)]
pub(crate) struct Parcel(File);

impl Parcel {
    /// What [`pack`] has made, by whichever process.
    pub(crate) fn new(fd: OwnedFd) -> Parcel {
        Parcel(File::from(fd))
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> Result<usize, Errno> {
        let length = self.0.metadata().map_err(errno)?.len();
        usize::try_from(length).map_err(|_| Errno::ENOMEM)
    }

    /// Copies it to the beginning of `bytes`, which has room for it.
    pub(crate) fn read_into(&self, bytes: &mut [u8]) -> Result<(), Errno> {
        self.0.read_exact_at(bytes, 0).map_err(errno)
    }

    /// All of it. ENOMEM if there is no room for it.
    pub(crate) fn unpack(&mut self) -> Result<Vec<u8>, Errno> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.bytes()?).map_err(|_| Errno::ENOMEM)?;
        // The writer's position was at the end, and the description is the writer's.
        std::io::Seek::rewind(&mut self.0).map_err(errno)?;
        self.0.read_to_end(&mut bytes).map_err(errno)?;
        Ok(bytes)
    }
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
