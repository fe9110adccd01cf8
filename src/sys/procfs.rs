//! What /proc tells about this process's threads.

use nix::errno::Errno;
use std::io;

/// `PF_EXITING` of include/linux/sched.h: set before a thread's robust list is walked, never cleared.
const PF_EXITING: u32 = 0x4;

/// Position of the flag word in /proc/<pid>/stat after the command's closing bracket (state is 0).
const FLAGS_FIELD: usize = 6;

/// How many threads of this process can still run user code; those that are ending in the kernel do not count.
pub(crate) fn living_threads() -> Result<usize, Errno> {
    let errno = |e: io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(0));
    let mut count = 0;
    for entry in std::fs::read_dir("/proc/self/task").map_err(errno)? {
        let path = entry.map_err(errno)?.path().join("stat");
        // A thread that is gone by now cannot be read, and does not count.
        let Ok(stat) = std::fs::read_to_string(path) else { continue };
        count += usize::from(!is_exiting(&stat));
    }
    Ok(count)
}

fn is_exiting(stat: &str) -> bool {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let flags =
        fields.split_whitespace().nth(FLAGS_FIELD).and_then(|word| word.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}
