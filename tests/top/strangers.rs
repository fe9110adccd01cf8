//! Who is not of a tree of ours is refused, by an error that says whom and why.

use crate::support::Kid;
use nix::sys::memfd::{MFdFlags, memfd_create};
use offspring::{Counter, ErrorKind, Shared, snapshot};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::Command;

pub(crate) fn are_refused_by_name() {
    let kid = Kid::fork(|| ());
    let pid = kid.pid() as u32;
    kid.join();
    let error = snapshot(pid).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), format!("look at process {pid}: there is no such process"));

    // No shared memory yet.
    let me = std::process::id();
    let error = snapshot(me).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with(&format!("look at process {me}: it has no shared")));
    let mine = Shared::new(Counter::new("n")).unwrap();
    assert_eq!(snapshot(me).unwrap().processes.len(), 1);

    // A child that runs another program is of the tree, but is nobody to ask.
    let mut other = Command::new("sleep").arg("3600").spawn().unwrap();
    let error = snapshot(other.id()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let seen = snapshot(me).unwrap();
    let shown = seen.processes.iter().find(|process| process.pid == other.id()).unwrap();
    assert_eq!((shown.name.as_str(), shown.is_member), ("sleep", false));
    other.kill().unwrap();
    // A zombie has no memory to be read.
    let is_zombie = || {
        let seen = snapshot(me).unwrap();
        seen.processes.iter().any(|process| process.pid == other.id() && process.state == 'Z')
    };
    assert!(crate::until(is_zombie, std::time::Duration::from_secs(10)));
    assert!(snapshot(other.id()).is_err());
    other.wait().unwrap();
    assert_eq!(mine.get(), 0);
}

/// What looks like a roster, with another layout word, or without the magic one.
pub(crate) fn another_version_is_refused() {
    for (magic, kind, words) in [
        (b"offsprng", ErrorKind::Unsupported, "another version"),
        (b"elephant", ErrorKind::InvalidInput, "no roster"),
    ] {
        let file = memfd_create(c"offspring-roster", MFdFlags::MFD_CLOEXEC).unwrap();
        let mut file = std::fs::File::from(file);
        file.write_all(magic).unwrap();
        file.write_all(&7u64.to_ne_bytes()).unwrap();
        file.set_len(1 << 20).unwrap();
        let map = |_| {
            let bytes = 1 << 20;
            let flags = libc::MAP_SHARED;
            // SAFETY: a new mapping; it stays until the case ends.
            let at = unsafe {
                libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, flags, file.as_raw_fd(), 0)
            };
            assert_ne!(at, libc::MAP_FAILED);
            at
        };
        let at = map(());
        let error = snapshot(std::process::id()).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(words), "{error}");
        // SAFETY: mapped above, and nobody has it.
        unsafe { libc::munmap(at, 1 << 20) };
    }
}
