//! Single steps: a child that lets its parent run it instruction by instruction, and kill it between any two.
//!
//! For the kill harness (`proof/`) alone. The tracee asks to be traced ([`trace_me`]) and stops at each [`trap`] that it
//! runs; the tracer moves it by [`step`] or [`resume`] and learns of stops by [`wait`]. See ptrace(2).

#![expect(unsafe_code, reason = "waitid on a tracee, and the breakpoint instruction")]

use nix::sched::{sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::sync::OnceLock;

pub(crate) use nix::errno::Errno;
pub(crate) use nix::sched::CpuSet;

/// The system calls in which a thread sleeps: on a futex, on a socket.
pub(crate) const SLEEPING_CALLS: [i64; 6] = [
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_ppoll,
];

/// The signal that cannot be caught.
pub(crate) const KILL: i32 = libc::SIGKILL;

/// What became of a tracee that was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It has stopped after a step or at a trap.
    Trapped,
    /// It has stopped because of this other signal, which is not delivered yet.
    Signal(i32),
    /// It has ended with this exit status, and is reaped.
    Exited(i32),
    /// It was killed by this signal, and is reaped.
    Killed(i32),
}

/// Lets the parent trace this process from its next stop on.
pub(crate) fn trace_me() -> Result<(), Errno> {
    ptrace::traceme()
}

/// Stops a traced process here. In one that is not traced this is SIGTRAP, which kills.
#[inline(always)]
pub(crate) fn trap() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: int3 only raises SIGTRAP; it changes no register and no memory.
    unsafe {
        std::arch::asm!("int3", options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTRAP);
}

/// Has the kernel kill the stopped tracee if this process dies.
pub(crate) fn kill_with_me(pid: u32) -> Result<(), Errno> {
    ptrace::setoptions(id(pid), ptrace::Options::PTRACE_O_EXITKILL)
}

/// Lets the stopped tracee run one instruction; a system call is one instruction.
pub(crate) fn step(pid: u32) -> Result<(), Errno> {
    ptrace::step(id(pid), None)
}

/// Lets the stopped tracee run to its next stop.
pub(crate) fn resume(pid: u32) -> Result<(), Errno> {
    ptrace::cont(id(pid), None)
}

/// Ends the tracing of the stopped tracee, which runs on.
pub(crate) fn let_go(pid: u32) -> Result<(), Errno> {
    ptrace::detach(id(pid), None)
}

/// Waits for the tracee's next stop or end.
pub(crate) fn wait(pid: u32) -> Result<Stop, Errno> {
    loop {
        match wait_with(pid, 0) {
            Ok(Some(stop)) => return Ok(stop),
            Ok(None) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The tracee's stop or end, if there is one by now.
pub(crate) fn try_wait(pid: u32) -> Result<Option<Stop>, Errno> {
    wait_with(pid, libc::WNOHANG)
}

fn wait_with(pid: u32, flags: i32) -> Result<Option<Stop>, Errno> {
    let mut status = 0;
    // SAFETY: `status` is an int on this stack, which the call fills. A tracee's stops are reported without WUNTRACED.
    let result = unsafe { libc::waitpid(id(pid).as_raw(), &mut status, flags | libc::__WALL) };
    Ok(match Errno::result(result)? {
        0 => None,
        _ if libc::WIFEXITED(status) => Some(Stop::Exited(libc::WEXITSTATUS(status))),
        _ if libc::WIFSIGNALED(status) => Some(Stop::Killed(libc::WTERMSIG(status))),
        _ if libc::WSTOPSIG(status) == libc::SIGTRAP => Some(Stop::Trapped),
        _ => Some(Stop::Signal(libc::WSTOPSIG(status))),
    })
}

/// The address of the instruction that the stopped tracee will run next; `None` on a machine where this is not written yet.
pub(crate) fn next_instruction(pid: u32) -> Result<Option<u64>, Errno> {
    #[cfg(target_arch = "x86_64")]
    return ptrace::getregs(id(pid)).map(|registers| Some(registers.rip));
    #[cfg(not(target_arch = "x86_64"))]
    return Ok(None).inspect(|_| _ = pid);
}

/// Whether the instruction at `address` of the stopped tracee is a system call, which may sleep.
pub(crate) fn is_system_call(pid: u32, address: u64) -> Result<bool, Errno> {
    const SYSCALL: u64 = 0x050f;
    Ok(read(pid, address)? & 0xffff == SYSCALL)
}

/// Puts a breakpoint at `address` into the stopped tracee's private copy of the code; returns what was there.
/// EIO or EFAULT if that page cannot be written.
pub(crate) fn set_breakpoint(pid: u32, address: u64) -> Result<u64, Errno> {
    const BREAKPOINT: u64 = 0xcc;
    let code = read(pid, address)?;
    write(pid, address, code & !0xff | BREAKPOINT)?;
    Ok(code)
}

/// Puts the code back. If the tracee has stopped there, it will run the instruction next: `true`.
pub(crate) fn clear_breakpoint(pid: u32, address: u64, code: u64) -> Result<bool, Errno> {
    write(pid, address, code)?;
    let hit = next_instruction(pid)? == Some(address + 1);
    if hit {
        jump(pid, address)?;
    }
    Ok(hit)
}

fn read(pid: u32, address: u64) -> Result<u64, Errno> {
    ptrace::read(id(pid), address as ptrace::AddressType).map(|word| word as u64)
}

fn write(pid: u32, address: u64, word: u64) -> Result<(), Errno> {
    ptrace::write(id(pid), address as ptrace::AddressType, word as libc::c_long)
}

/// Makes the stopped tracee continue at `address`.
fn jump(pid: u32, address: u64) -> Result<(), Errno> {
    #[cfg(target_arch = "x86_64")]
    {
        let mut registers = ptrace::getregs(id(pid))?;
        registers.rip = address;
        ptrace::setregs(id(pid), registers)
    }
    #[cfg(not(target_arch = "x86_64"))]
    return Err(Errno::ENOSYS).inspect_err(|_| _ = (pid, address));
}

/// Keeps this process, and children that it forks from now on, on one CPU, always the same; returns where it might run before.
/// Stepping is cheaper on one CPU: nobody has to be woken on another.
pub(crate) fn pin() -> Result<CpuSet, Errno> {
    static CPU: OnceLock<usize> = OnceLock::new();
    let before = sched_getaffinity(Pid::from_raw(0))?;
    let now = sched_getcpu()?;
    let mut one = CpuSet::new();
    one.set(*CPU.get_or_init(|| now))?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    Ok(before)
}

/// Takes back [`pin`].
pub(crate) fn unpin(before: &CpuSet) -> Result<(), Errno> {
    sched_setaffinity(Pid::from_raw(0), before)
}

fn id(pid: u32) -> Pid {
    Pid::from_raw(pid as libc::pid_t)
}
