//! This process's mappings and open files, as /proc tells them.

use std::fs;
use std::ops::Range;

/// A stretch of shared memory that this crate has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) range: Range<usize>,
    pub(crate) name: String,
    /// Bytes that are committed in it, as far as this process has touched them.
    pub(crate) resident_bytes: usize,
}

impl Mapping {
    pub(crate) fn bytes(&self) -> usize {
        self.range.len()
    }
}

/// The mappings of memfds that are called after this crate, from /proc/self/smaps.
pub(crate) fn mappings() -> Vec<Mapping> {
    let text = fs::read_to_string("/proc/self/smaps").expect("read smaps");
    let mut all: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-') {
            let address = |text| usize::from_str_radix(text, 16).expect("an address");
            let name = words.skip(4).collect::<Vec<_>>().join(" ");
            let range = address(start)..address(end);
            all.push(Mapping { range, name, resident_bytes: 0 });
        } else if first == "Rss:" {
            let kib: usize = words.next().and_then(|kib| kib.parse().ok()).expect("a size");
            all.last_mut().expect("a mapping before its sizes").resident_bytes = kib * 1024;
        }
    }
    all.retain(|mapping| mapping.name.contains("memfd:offspring"));
    all
}

/// How many file descriptors are open.
pub(crate) fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").expect("read fd").count()
}

/// The size of a page.
pub(crate) fn page_bytes() -> usize {
    let text = fs::read_to_string("/proc/self/smaps").expect("read smaps");
    let line = text.lines().find_map(|line| line.strip_prefix("KernelPageSize:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.expect("a page size") * 1024
}
