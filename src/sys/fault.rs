//! Faults (SIGSEGV and its kin) in this process: somebody is told signal, code and address before whatever happened before happens.
//!
//! The handler runs on the thread's alternate stack, which Rust gives to each thread; one without is given one here. It tells, and
//! then does what was to be done before: calls the handler that was there (Rust's, which has the message about stack overflows; the program's), or
//! puts the default action back and returns, so that the instruction faults again and the kernel ends the process.
//!
//! It touches nothing but statics that were written before it was installed, and calls what may be called in a handler.

#![expect(unsafe_code, reason = "handlers of signals")]

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// Told of a fault: signal, `si_code`, address. Runs in the handler.
pub(crate) type Tell = fn(i32, i32, usize);

/// The `si_code` of a fault whose address the CPU has not told.
pub(crate) const ADDRESS_UNKNOWN: i32 = libc::SI_KERNEL;

const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// Room for a handler, on all machines: AVX-512 and AMX state takes 11 KiB. Costs nothing until it is used.
const STACK_BYTES: usize = 64 << 10;

/// Memory that only the kernel and the handler use.
#[repr(C, align(64))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: nobody makes references to it.
unsafe impl Sync for Stack {}

/// What was there before, each set before the handler is there that reads it.
static BEFORE: [OnceLock<libc::sigaction>; 4] = [const { OnceLock::new() }; 4];
static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));
static TELL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
/// Whether the handlers are in place here, or were when this process was forked.
static IS_WATCHING: AtomicBool = AtomicBool::new(false);

/// Lets `tell` know of faults, in this process and in its forks. The caller has one thread; a second call does nothing.
/// Where the kernel refuses, faults are not told.
pub(crate) fn watch(tell: Tell) {
    TELL.store(tell as *mut c_void, Ordering::Release);
    if IS_WATCHING.swap(true, Ordering::Relaxed) {
        return;
    }
    give_stack();
    for (index, signal) in SIGNALS.into_iter().enumerate() {
        let mut before = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: asks only, and fills a local.
        if unsafe { libc::sigaction(signal, std::ptr::null(), before.as_mut_ptr()) } != 0 {
            continue;
        }
        // SAFETY: the call has succeeded.
        let mut action = unsafe { before.assume_init() };
        if action.sa_sigaction == libc::SIG_IGN {
            continue;
        }
        let _ = BEFORE[index].set(action);
        // Its mask and its flags are kept, for it runs inside of ours.
        action.sa_flags =
            (action.sa_flags | libc::SA_SIGINFO | libc::SA_ONSTACK) & !libc::SA_RESETHAND;
        action.sa_sigaction = on_fault as *const () as usize;
        // SAFETY: the handler is a function of this kind, and stays.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    }
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
    if stack.ss_flags & libc::SS_DISABLE != 0 {
        stack.ss_sp = STACK.0.get().cast();
        stack.ss_flags = 0;
        stack.ss_size = STACK_BYTES;
        // SAFETY: the memory is a static that nothing else uses, one thread's of a process; a fork has a copy.
        unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
    }
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
    let index = SIGNALS.iter().position(|&other| other == signal);
    let Some(before) = index.and_then(|index| BEFORE[index].get()) else { return };
    if before.sa_sigaction == libc::SIG_DFL {
        // SAFETY: the default action, which runs no code.
        unsafe { libc::sigaction(signal, std::ptr::from_ref(before), std::ptr::null_mut()) };
        if code <= 0 {
            // It will not come again by itself. It is blocked until this handler returns.
            // SAFETY: takes an integer.
            unsafe { libc::raise(signal) };
        }
    } else if before.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
        // SAFETY: by its flag it is a function of this kind; whoever installed it did so for this signal.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(before.sa_sigaction) };
        // SAFETY: as the kernel would have called it.
        unsafe { handler(signal, info, context) };
    } else {
        // SAFETY: without the flag it is a function of this kind.
        let handler = unsafe {
            std::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(before.sa_sigaction)
        };
        // SAFETY: as above.
        unsafe { handler(signal) };
    }
}
