//! What is left behind, and what is handed on that should not be.

use crate::floors::{mappings, open_files};
use crate::support::processes;
use offspring::{Builder, ErrorKind, ForkServer, spawn};
use std::fs;

fn files_of(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
}

fn maps_of(id: u32) -> usize {
    fs::read_to_string(format!("/proc/{id}/maps")).unwrap().lines().count()
}

pub(crate) fn nothing_piles_up() {
    let server = ForkServer::start().unwrap();
    let me = std::process::id();
    let round = || {
        let children: Vec<_> = (0..20).map(|n| server.spawn(|n: u32| n, n).unwrap()).collect();
        for (n, child) in children.into_iter().enumerate() {
            assert_eq!(child.join().unwrap(), n as u32);
        }
        drop(server.spawn(|bytes: Vec<u8>| bytes.len(), vec![0; 100_000]).unwrap().join());
        drop(server.spawn(|()| -> () { std::process::exit(3) }, ()).unwrap().join());
    };
    round();
    let look = || (open_files(), mappings().len(), files_of(server.pid()), maps_of(server.pid()));
    let before = look();
    (0..50).for_each(|_| round());
    assert_eq!(look(), before);
    let children = processes().into_iter().filter(|process| process.parent == me);
    assert_eq!(children.map(|process| process.id).collect::<Vec<_>>(), [server.pid()]);
}

/// Descriptors that the server has no room for are an error of that order, and of no other.
pub(crate) fn server_without_room_survives() {
    let server = ForkServer::start().unwrap();
    let (id, files) = (server.pid(), files_of(server.pid()));
    let names = fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    let numbers: Vec<u64> =
        names.map(|name| name.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    set_files_max(id, (0..).find(|number| !numbers.contains(number)).unwrap());
    let error = server.spawn(|bytes: Vec<u8>| bytes.len(), vec![0; 100_000]).unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::LimitReached, "{error}");
    assert_eq!(error.into_inner().len(), 100_000);
    let error = server.spawn(|n: u8| n, 1).unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::LimitReached, "{error}");
    set_files_max(id, 256);
    assert_eq!(files_of(id), files);
    let child = server.spawn(|bytes: Vec<u8>| bytes.len(), vec![0; 100_000]).unwrap();
    assert_eq!((child.join().unwrap(), server.pid()), (100_000, id));
}

#[expect(unsafe_code, reason = "nix has no prlimit")]
fn set_files_max(id: u32, count: u64) {
    let limit = libc::rlimit { rlim_cur: count, rlim_max: 1024 };
    // SAFETY: reads a local; the old limit is not asked for.
    let set =
        unsafe { libc::prlimit(id as i32, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// The sockets among this process's descriptors.
fn sockets() -> Vec<String> {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let links = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
    let names = links.map(|target| target.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("socket:")).collect()
}

pub(crate) fn line_is_the_clients_alone() {
    let before = sockets();
    let (first, second) = (ForkServer::start().unwrap(), ForkServer::start().unwrap());
    assert_eq!(sockets().len(), before.len() + 2);
    assert_eq!(spawn(sockets).unwrap().join().unwrap(), before);
    let builder = Builder::new().name("of the second");
    assert_eq!(second.spawn_with(builder, |()| sockets(), ()).unwrap().join().unwrap(), before);
    assert_eq!(first.spawn(|()| sockets(), ()).unwrap().join().unwrap(), before);
    drop((first, second));
    assert_eq!(sockets(), before);
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

pub(crate) fn big_client_has_small_children() {
    let server = ForkServer::start().unwrap();
    let touched = vec![1_u8; 512 << 20];
    assert!(resident_kib() > 512 << 10);
    let child = server.spawn(|()| resident_kib(), ()).unwrap();
    let child_kib = child.join().unwrap();
    assert!(child_kib < 32 << 10, "{child_kib} KiB");
    drop(std::hint::black_box(touched));
}
