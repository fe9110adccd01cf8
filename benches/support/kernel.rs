//! The calls that the benchmarks themselves need: pinning, futexes, clocks, forking, resident memory.
#![expect(unsafe_code, reason = "system calls")]

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// The CPUs that this process may run on.
pub(crate) fn cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("sched_getaffinity");
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect()
}

/// Binds the calling thread to one CPU.
pub(crate) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).expect("a CPU's number from `cpus`");
    sched_setaffinity(Pid::from_raw(0), &set).expect("sched_setaffinity");
}

/// Sleeps while `word` holds `expected`; may return early. Shared, so it works across processes.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32) {
    let no_timeout = std::ptr::null::<libc::timespec>();
    // SAFETY: the word is a live, aligned u32; the kernel only reads it.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, no_timeout)
    };
}

/// Wakes at most `count` sleepers on `word`.
pub(crate) fn futex_wake(word: &AtomicU32, count: i32) {
    // SAFETY: a wake only uses the address, and the word is live.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
}

/// Nanoseconds on CLOCK_MONOTONIC, comparable between processes.
pub(crate) fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// CPU time that this process has used so far, in nanoseconds.
pub(crate) fn cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to.
    let status = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(status, 0, "clock_gettime");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Forks; the child runs `body` and ends with status 0, or 101 if it panicked. It dies when its parent does.
///
/// The caller is single-threaded: the benchmarks start threads in children of their own only.
pub(crate) fn fork(body: impl FnOnce()) -> libc::pid_t {
    // SAFETY: see above: no other thread can hold a lock that the child needs.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid != 0 {
        return pid;
    }
    // SAFETY: sets a flag of this process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    exit_now(if result.is_ok() { 0 } else { 101 })
}

/// Ends the process without running anything that it inherited.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(status) }
}

/// Waits for the child; `Err` says how it ended if not with status 0.
pub(crate) fn wait(pid: libc::pid_t) -> Result<(), String> {
    let mut status = 0;
    // SAFETY: `status` is a valid int to write to.
    while unsafe { libc::waitpid(pid, &mut status, 0) } != pid {
        let error = std::io::Error::last_os_error();
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "waitpid {pid}: {error}");
    }
    match (libc::WIFSIGNALED(status), libc::WEXITSTATUS(status)) {
        (true, _) => Err(format!("killed by signal {}", libc::WTERMSIG(status))),
        (false, 0) => Ok(()),
        (false, code) => Err(format!("ended with status {code}")),
    }
}

/// Whether the child ends within `limit`. Leaves it to be waited for.
pub(crate) fn ends_within(pid: libc::pid_t, limit: Duration) -> bool {
    // SAFETY: pidfd_open has no precondition.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int;
    assert!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd.
    let ready = unsafe { libc::poll(&mut poll, 1, limit.as_millis() as i32) };
    // SAFETY: the fd is ours and not used afterwards.
    unsafe { libc::close(fd) };
    ready == 1
}

/// Sends SIGKILL to a child that has not been waited for.
pub(crate) fn kill(pid: libc::pid_t) {
    // SAFETY: kill has no memory effects here; the pid cannot have been reused before it is waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Sleeps until a signal ends this process.
pub(crate) fn pause_for_ever() -> ! {
    loop {
        // SAFETY: pause has no precondition.
        unsafe { libc::pause() };
    }
}

/// Waits until the process sleeps and goes on sleeping: state S in five looks, a millisecond apart.
#[expect(clippy::disallowed_methods, reason = "procfs does not wake anybody; looks are spaced out")]
pub(crate) fn wait_until_asleep(pid: libc::pid_t) -> Result<(), String> {
    let mut looks = 0;
    for _ in 0..10_000 {
        let stat =
            std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|e| e.to_string())?;
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        looks = if state == Some('S') { looks + 1 } else { 0 };
        if looks == 5 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(format!("process {pid} did not fall asleep"))
}

/// Private memory with every 4 KiB page touched, kept until the process ends.
pub(crate) fn make_resident(bytes: usize) {
    if bytes == 0 {
        return;
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    assert_ne!(address, libc::MAP_FAILED, "mmap of {bytes} private bytes");
    // Small pages: huge ones would make a gibibyte as cheap to fork and to tear down as two megabytes.
    // SAFETY: the range is the mapping just made.
    unsafe { libc::madvise(address, bytes, libc::MADV_NOHUGEPAGE) };
    let bytes_pointer: *mut u8 = address.cast();
    for offset in (0..bytes).step_by(4096) {
        // SAFETY: the offset lies within the mapping.
        let page = unsafe { bytes_pointer.add(offset) };
        // SAFETY: the page is mapped writable and nobody else knows it.
        unsafe { page.write_volatile(1) };
    }
}

/// Bytes of shared mappings in this process's address space.
pub(crate) fn shared_bytes() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc/self/maps");
    let size_if_shared = |line: &str| {
        let mut fields = line.split(' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let is_shared = fields.next()?.ends_with('s');
        let size = u64::from_str_radix(end, 16).ok()? - u64::from_str_radix(start, 16).ok()?;
        is_shared.then_some(size)
    };
    maps.lines().filter_map(size_if_shared).sum()
}
