//! Other processes, as /proc shows them: nothing is stopped, nothing is written.

use nix::errno::Errno;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Debug)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// `R`, `S`, `D`, `T`, `Z`, ….
    pub(crate) state: char,
    /// Its command's name.
    pub(crate) command: String,
}

/// A stretch of memory that a process maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Where in its file it begins.
    pub(crate) offset: u64,
    pub(crate) is_shared: bool,
    /// 0: no file.
    pub(crate) inode: u64,
    pub(crate) name: String,
}

/// All processes.
pub(crate) fn processes() -> Result<Vec<Stat>, Errno> {
    let entries = fs::read_dir("/proc").map_err(errno)?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(pids.filter_map(|pid| stat(pid).ok()).collect())
}

/// One process; ESRCH if there is none.
pub(crate) fn stat(pid: u32) -> Result<Stat, Errno> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(gone)?;
    parse_stat(pid, &text).ok_or(Errno::EINVAL)
}

fn parse_stat(pid: u32, text: &str) -> Option<Stat> {
    let (head, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some(Stat {
        pid,
        command: head.split_once('(')?.1.to_owned(),
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
    })
}

/// What a process maps, in the order of addresses; nothing of a zombie.
pub(crate) fn segments(pid: u32) -> Result<Vec<Segment>, Errno> {
    let text = fs::read(format!("/proc/{pid}/maps")).map_err(gone)?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(parse_segment).collect())
}

/// `7f2a…-7f2b… rw-s 00000000 00:01 1025   /memfd:offspring (deleted)`
fn parse_segment(line: &str) -> Option<Segment> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let mut fields = rest.splitn(5, ' ');
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let is_shared = fields.next()?.ends_with('s');
    let offset = hex(fields.next()?)?;
    let inode = fields.nth(1)?.parse().ok()?;
    let name = fields.next().unwrap_or("").trim().to_owned();
    Some(Segment { start: hex(start)?, end: hex(end)?, offset, is_shared, inode, name })
}

/// The memory of another process, to be read.
#[derive(Debug)]
pub(crate) struct Memory(File);

impl Memory {
    /// Needs the right to trace that process: the same user, and what Yama says.
    pub(crate) fn of(pid: u32) -> Result<Memory, Errno> {
        File::open(format!("/proc/{pid}/mem")).map(Memory).map_err(gone)
    }

    /// Copies what lies at an address; `None` if it is not all there.
    pub(crate) fn read(&self, address: u64, bytes: usize) -> Option<Vec<u8>> {
        let mut copy = vec![0; bytes];
        self.0.read_exact_at(&mut copy, address).ok()?;
        Some(copy)
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// A process that is not there, or not any more.
fn gone(error: io::Error) -> Errno {
    match errno(error) {
        Errno::ENOENT => Errno::ESRCH,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_memory_is_where_maps_say() {
        let word = 0x1234_5678_9abc_def0_u64;
        let address = (&raw const word).addr() as u64;
        let me = std::process::id();
        let copy = Memory::of(me).unwrap().read(address, 8).unwrap();
        assert_eq!(u64::from_ne_bytes(copy.try_into().unwrap()), word);
        let segments = segments(me).unwrap();
        let stack = segments.iter().find(|s| (s.start..s.end).contains(&address)).unwrap();
        assert!(!stack.is_shared);
        assert!(Memory::of(me).unwrap().read(0, 8).is_none());
    }

    #[test]
    fn lines_are_parsed_whatever_the_names() {
        let stat = parse_stat(7, "7 (a) b) (c) S 3 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0\n");
        let stat = stat.unwrap();
        assert_eq!((stat.parent, stat.state), (3, 'S'));
        assert_eq!(stat.command, "a) b) (c");
        let line = "7f00-7f10 rw-s 00001000 00:01 1025       /memfd:offspring (deleted)";
        let segment = parse_segment(line).unwrap();
        assert_eq!((segment.start, segment.end, segment.offset), (0x7f00, 0x7f10, 0x1000));
        assert_eq!((segment.inode, segment.is_shared), (1025, true));
        assert_eq!(segment.name, "/memfd:offspring (deleted)");
        assert_eq!(parse_segment("7f00-7f10 r-xp 0 00:00 0 ").unwrap().inode, 0);
        assert!(parse_segment("nonsense").is_none());
    }
}
