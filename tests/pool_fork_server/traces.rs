//! What is left behind, and where things lie.

use offspring::{ForkServer, Pool};
use std::collections::BTreeMap;
use std::fs;

use super::tasks::{among_threads, pool};
use crate::floors::LONG;
use crate::support::{processes, until};

fn files_of(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn maps_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/maps")).unwrap()
}

/// Where the crate's files are mapped, by inode.
fn places_in(pid: u32) -> BTreeMap<u64, usize> {
    let maps = maps_of(pid);
    let lines = maps.lines().filter(|line| line.contains("memfd:offspring"));
    let place = |line: &str| {
        let start = usize::from_str_radix(line.split('-').next()?, 16).ok()?;
        Some((line.split_whitespace().nth(4)?.parse().ok()?, start))
    };
    lines.filter_map(place).collect()
}

pub(crate) fn nothing_piles_up() {
    let server = ForkServer::start().unwrap();
    let round = |turn: usize| {
        let pool = pool(&server, turn % 3 + 1);
        if turn.is_multiple_of(2) {
            assert_eq!(pool.apply(|n: usize| n, turn).unwrap(), turn);
        }
        if turn.is_multiple_of(10) {
            let captured = turn;
            let refused = Pool::builder()
                .fork_server(&server)
                .initializer(move || _ = std::hint::black_box(captured));
            assert!(refused.build().is_err());
        }
    };
    (0..5).for_each(round);
    let me = std::process::id();
    let crates = |pid| maps_of(pid).lines().filter(|line| line.contains("memfd:")).count();
    let look = || {
        [files_of(me), crates(me), files_of(server.pid()), maps_of(server.pid()).lines().count()]
    };
    let before = look();
    (0..300).for_each(round);
    assert_eq!(look(), before);
    let children = processes().into_iter().filter(|process| process.parent == me);
    assert_eq!(children.map(|process| process.id).collect::<Vec<_>>(), [server.pid()]);
}

/// Workers and supervisor have few descriptors, and none of the region.
pub(crate) fn region_lies_elsewhere_with_the_same_alarms() {
    let server = ForkServer::start().unwrap();
    // What a fork of the client would have where the client has it now.
    let filler: Vec<Vec<u8>> = (0..3).map(|_| vec![1; (5 << 20) + 4096]).collect();
    let pool = pool(&server, 1);
    let worker = pool.apply(|()| std::process::id(), ()).unwrap();
    let (ours, theirs) = (places_in(std::process::id()), places_in(worker));
    let both = ours.iter().filter_map(|(inode, &place)| Some((place, *theirs.get(inode)?)));
    let moved: Vec<(usize, usize)> = both.filter(|&(ours, theirs)| ours != theirs).collect();
    println!("{moved:x?}");
    assert_eq!(moved.len(), 1, "{ours:x?} {theirs:x?}");
    assert!(moved.iter().all(|(ours, theirs)| ours.abs_diff(*theirs) % (2 << 20) == 0));
    let links = fs::read_dir(format!("/proc/{worker}/fd")).unwrap();
    let targets = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
    let memfds = targets.filter(|target| target.to_string_lossy().contains("memfd:offspring"));
    assert_eq!(memfds.count(), 3, "the client's board, the supervisor's, and the sheet");
    drop(std::hint::black_box(filler));
}

/// Resident pages, in bytes.
fn resident_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

pub(crate) fn big_client_has_small_workers() {
    let server = ForkServer::start().unwrap();
    let touched = vec![1_u8; 256 << 20];
    assert!(resident_bytes(std::process::id()) > 256 << 20);
    among_threads(|| {
        let pool = Pool::builder().workers(2).fork_server(&server).restart_limit(100, LONG);
        let pool = pool.build().unwrap();
        for _ in 0..3 {
            assert!(until(|| pool.workers() == 2, LONG));
            let worker = pool.apply(|()| std::process::id(), ()).unwrap();
            let supervisor =
                processes().into_iter().find(|process| process.id == worker).unwrap().parent;
            let workers = processes().into_iter().filter(|process| process.parent == supervisor);
            for pid in workers.map(|process| process.id).chain([supervisor]) {
                let bytes = resident_bytes(pid);
                assert!(bytes < 32 << 20, "{bytes} bytes");
            }
            assert!(pool.apply(|()| -> () { std::process::abort() }, ()).is_err());
        }
    });
    drop(std::hint::black_box(touched));
}
