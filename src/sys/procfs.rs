//! What /proc tells about this process: its threads, and where its code is.

use nix::errno::Errno;
use std::io;
use std::ops::Range;

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

/// The addresses where this process has code now; `Err` where there is no /proc.
pub(crate) fn code_ranges() -> Result<Vec<Range<usize>>, Errno> {
    let text = std::fs::read_to_string("/proc/thread-self/maps")
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    Ok(text.lines().filter_map(code_range).collect())
}

/// `55d0c0a00000-55d0c0a2b000 r-xp …`
fn code_range(line: &str) -> Option<Range<usize>> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let is_code = rest.as_bytes().get(2) == Some(&b'x');
    is_code.then_some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_where_functions_are() {
        let ranges = code_ranges().unwrap();
        let is_code = |address: usize| ranges.iter().any(|range| range.contains(&address));
        static DATA: u8 = 1;
        assert!(is_code(living_threads as *const () as usize));
        assert!(!is_code((&raw const DATA).addr()) && !is_code((&raw const ranges).addr()));
    }
}
