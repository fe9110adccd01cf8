//! Faults (SIGSEGV and its kin) in this process: somebody is told signal, code and address before whatever happened before happens.
//!
//! The handler runs on the thread's alternate stack, which Rust gives to each thread; one without is given one here. It tells, and
//! then does what was to be done before: calls the handler that was there (Rust's, which has the message about stack overflows; the program's), or
//! puts the default action back and returns, so that the instruction faults again and the kernel ends the process.
//!
//! It touches nothing but statics that were written before it was installed, and calls what may be called in a handler.

#![expect(unsafe_code, reason = "handlers of signals")]

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// Told of a fault: signal, `si_code`, address. Runs in the handler.
pub(crate) type Tell = fn(i32, i32, usize);

/// The `si_code` of a fault whose address the CPU has not told.
pub(crate) const ADDRESS_UNKNOWN: i32 = libc::SI_KERNEL;

const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// How a handler is called that has no flags or mask of its own, as Rust's.
const FLAGS: c_int = libc::SA_SIGINFO | libc::SA_ONSTACK;

/// A flag that libc sets, on some machines.
const RESTORER: c_int = 0x0400_0000;

/// Room for a handler, on all machines: AVX-512 and AMX state takes 11 KiB. Costs nothing until it is used.
const STACK_BYTES: usize = 64 << 10;

/// What was there before, for each signal: handler and flags. Zeroes are the default action. No more than that, and no `OnceLock`: a
/// child's start pays for what it calls, and for each page.
static BEFORE: [Before; 4] =
    [const { Before { handler: AtomicUsize::new(0), flags: AtomicI32::new(0) } }; 4];

struct Before {
    handler: AtomicUsize,
    flags: AtomicI32,
}

const _: () = assert!(libc::SIG_DFL == 0);

static TELL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
/// Whether the handlers are in place here, or were when this process was forked.
static IS_WATCHING: AtomicBool = AtomicBool::new(false);

/// Lets `tell` know of faults, in this process and in its forks. The caller has one thread; a second call does nothing.
/// Where the kernel refuses, faults are not told.
pub(crate) fn watch(tell: Tell) {
    if IS_WATCHING.load(Ordering::Relaxed) {
        return;
    }
    TELL.store(tell as *mut c_void, Ordering::Release);
    IS_WATCHING.store(true, Ordering::Relaxed);
    give_stack();
    for (index, signal) in SIGNALS.into_iter().enumerate() {
        let (mut ours, mut old) = (default_action(), default_action());
        ours.sa_flags = FLAGS;
        ours.sa_sigaction = on_fault as *const () as usize;
        // SAFETY: the handler is a function of this kind, and stays.
        if unsafe { libc::sigaction(signal, &raw const ours, &raw mut old) } != 0 {
            continue;
        }
        BEFORE[index].flags.store(old.sa_flags, Ordering::Relaxed);
        BEFORE[index].handler.store(old.sa_sigaction, Ordering::Release);
        // SAFETY: a set begins with a word for the signals 1 to 64, all there are. (What is behind it libc leaves as it was.)
        let masked = unsafe { (&raw const old.sa_mask).cast::<u64>().read() };
        let again = match old.sa_sigaction {
            libc::SIG_DFL => continue,
            libc::SIG_IGN => old,
            // Rust's: nothing is to be kept.
            _ if old.sa_flags & !RESTORER == FLAGS && masked == 0 => continue,
            _ => {
                // Its mask and its flags are kept, for it runs inside of ours.
                ours.sa_mask = old.sa_mask;
                ours.sa_flags = (old.sa_flags | FLAGS) & !libc::SA_RESETHAND;
                ours
            }
        };
        // SAFETY: as above.
        unsafe { libc::sigaction(signal, &raw const again, std::ptr::null_mut()) };
    }
}

/// Without flags, with an empty mask.
fn default_action() -> libc::sigaction {
    // SAFETY: plain data, of which zeroes are a value; SIG_DFL is 0.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Gives this thread an alternate stack, if it has none.
fn give_stack() {
    let mut stack = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: asks only, and fills a local.
    if unsafe { libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY: the call has succeeded.
    let mut stack = unsafe { stack.assume_init() };
    if stack.ss_flags & libc::SS_DISABLE == 0 {
        return;
    }
    let (bytes, access) = (NonZero::new(STACK_BYTES), ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
    let bytes = bytes.expect("it is not 0");
    // SAFETY: a new mapping, which nobody else has and nobody unmaps.
    let Ok(base) = (unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_PRIVATE) }) else {
        return;
    };
    stack.ss_sp = base.as_ptr();
    stack.ss_flags = 0;
    stack.ss_size = STACK_BYTES;
    // SAFETY: the memory is used by nothing else; a fork has a copy.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

/// What a code says, where that helps.
pub(crate) fn meaning(signal: i32, code: i32) -> Option<&'static str> {
    // The codes are the kernel's (asm-generic/siginfo.h), the same on all architectures.
    Some(match (signal, code) {
        (libc::SIGSEGV, 1) => "nothing is mapped there",
        (libc::SIGSEGV, 2) => "an access that is not allowed there",
        (libc::SIGBUS, 1) => "not aligned",
        (libc::SIGBUS, 2) => "beyond the end of a mapped file",
        (libc::SIGFPE, 1) => "a division by zero",
        (libc::SIGILL, 1 | 2) => "no instruction of this CPU",
        _ => return None,
    })
}

unsafe extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid one.
    let told = unsafe { &*info };
    let code = told.si_code;
    // One that `kill` has sent has no address, and is no fault.
    if code > 0 {
        // SAFETY: a fault's has an address.
        let address = unsafe { told.si_addr() }.addr();
        let tell = TELL.load(Ordering::Acquire);
        // SAFETY: `watch` has stored a Tell before this handler was there.
        let tell = unsafe { std::mem::transmute::<*mut c_void, Tell>(tell) };
        tell(signal, code, address);
    }
    let Some(index) = SIGNALS.iter().position(|&other| other == signal) else { return };
    let (handler, flags) = (
        BEFORE[index].handler.load(Ordering::Acquire),
        BEFORE[index].flags.load(Ordering::Relaxed),
    );
    if handler == libc::SIG_DFL {
        let action = default_action();
        // SAFETY: the default action, which runs no code.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        if code <= 0 {
            // It will not come again by itself. It is blocked until this handler returns.
            // SAFETY: takes an integer.
            unsafe { libc::raise(signal) };
        }
    } else if flags & libc::SA_SIGINFO != 0 {
        type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
        // SAFETY: by its flag it is a function of this kind; whoever installed it did so for this signal.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
        // SAFETY: as the kernel would have called it.
        unsafe { handler(signal, info, context) };
    } else {
        // SAFETY: without the flag it is a function of this kind.
        let handler = unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(handler) };
        // SAFETY: as above.
        unsafe { handler(signal) };
    }
}
