//! Memory that stops or ends whoever touches it: so a copy is caught in its middle.
#![expect(unsafe_code, reason = "it maps pages and handles their faults")]

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

const PAGE: usize = 4096;

/// The bytes of a good page and of one that faults.
pub(crate) const BYTES: usize = 2 * PAGE;

static BAD: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());

/// Two pages, the second of which nobody may touch yet.
fn pages() -> &'static mut [u8] {
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping.
    let base = unsafe { libc::mmap(null_mut(), BYTES, access, flags, -1, 0) };
    assert_ne!(base, libc::MAP_FAILED);
    // SAFETY: so many zeroed bytes, for ever and for nobody else.
    let pages = unsafe { std::slice::from_raw_parts_mut(base.cast::<u8>(), BYTES) };
    pages.fill(5);
    // SAFETY: inside the mapping.
    let bad = unsafe { base.add(PAGE) };
    // SAFETY: the second page; whoever touches it faults.
    assert_eq!(unsafe { libc::mprotect(bad, PAGE, libc::PROT_NONE) }, 0);
    BAD.store(bad, Ordering::SeqCst);
    pages
}

/// Whoever copies these bytes, or into them, is killed by SIGSEGV in the middle.
pub(crate) fn deadly() -> &'static mut [u8] {
    handle(SigHandler::SigDfl);
    pages()
}

/// Whoever copies these bytes, or into them, stops itself (SIGSTOP) in the middle, and goes on when it is continued.
pub(crate) fn stopping() -> &'static mut [u8] {
    extern "C" fn stop(_: libc::c_int) {
        // SAFETY: async-signal-safe.
        unsafe { libc::raise(libc::SIGSTOP) };
        // SAFETY: async-signal-safe enough on Linux; the page of this process.
        unsafe {
            libc::mprotect(BAD.load(Ordering::SeqCst), PAGE, libc::PROT_READ | libc::PROT_WRITE)
        };
    }
    handle(SigHandler::Handler(stop));
    pages()
}

fn handle(handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does what a handler may.
    unsafe { sigaction(Signal::SIGSEGV, &action) }.expect("handle SIGSEGV");
}
