//! `log_to_stderr`: whole lines, whoever writes and dies.
#![expect(unsafe_code, reason = "forks beside a thread")]

use crate::ears::{heard, listen};
use crate::support::{Rng, seed, until};
use log::LevelFilter;
use nix::fcntl::OFlag;
use offspring::{Builder, ErrorKind, ForkServer, Pool, Signal, log_to_stderr, spawn};
use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(40);

/// A line tells its own length, so that one which is cut or mixed is found out.
fn line(writer: usize, length: usize) -> String {
    let letter = char::from(b'a' + writer as u8);
    format!("{length} {} {length}", letter.to_string().repeat(length))
}

fn check(text: &str) {
    let (name, message) = text.split_once("] ").unwrap_or_else(|| panic!("torn: {text:.100}"));
    let writer: usize =
        name.strip_prefix("[INFO/child-").and_then(|n| n.parse().ok()).expect("a name");
    let length = message.split(' ').next().and_then(|n| n.parse().ok()).expect("a length");
    assert!(message == line(writer, length), "torn: {text:.100}");
}

pub(crate) fn long_lines_of_many_writers_stay_whole() {
    let seed = seed();
    log_to_stderr(LevelFilter::Info).unwrap();
    let (mut pipe, children) = listen(|| {
        let write = |writer: usize| {
            let mut rng = Rng::new(seed + writer as u64);
            for nth in 0..60 {
                let most = if nth % 3 == 0 { 20_000 } else { 200 };
                log::info!("{}", line(writer, 1 + rng.below(most) as usize));
            }
        };
        (1..=8).map(|writer| spawn(move || write(writer)).unwrap()).collect::<Vec<_>>()
    });
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    children.into_iter().for_each(|child| child.join().unwrap());
    assert_eq!(text.lines().inspect(|text| check(text)).count(), 8 * 60);
}

/// A pipe in packet mode gives what one `write` wrote to each `read`.
pub(crate) fn record_is_one_write() {
    let (from, to) = nix::unistd::pipe2(OFlag::O_DIRECT).unwrap();
    let before = nix::unistd::dup(std::io::stderr()).unwrap();
    nix::unistd::dup2_stderr(&to).unwrap();
    log_to_stderr(LevelFilter::Info).unwrap();
    log::info!("one {} {}", 1, "x".repeat(2000));
    log::warn!("two");
    spawn(|| log::info!("three")).unwrap().join().unwrap();
    nix::unistd::dup2_stderr(&before).unwrap();
    let mut from = fs::File::from(from);
    for expected in [
        format!("[INFO/main] one 1 {}", "x".repeat(2000)),
        "[WARN/main] two".into(),
        "[INFO/child-1] three".into(),
    ] {
        let mut packet = [0; 4096];
        let length = from.read(&mut packet).unwrap();
        assert_eq!(String::from_utf8_lossy(&packet[..length]), expected + "\n");
    }
}

pub(crate) fn names_and_levels_are_inherited() {
    let mut lines: Vec<String> = Vec::new();
    let text = heard(|| {
        log_to_stderr(LevelFilter::Info).unwrap();
        let (server, pool) = (ForkServer::start().unwrap(), Pool::new(1).unwrap());
        log::info!("one");
        log::debug!("no");
        let child = Builder::new().name("worker").spawn(|| {
            log::warn!("two");
            log::debug!("no");
            spawn(|| log::error!("three")).unwrap().join().unwrap();
        });
        child.unwrap().join().unwrap();
        let builder = Builder::new().name("served");
        server.spawn_with(builder, |()| log::info!("four"), ()).unwrap().join().unwrap();
        pool.submit(|number: u32| log::info!("{number}"), 5).unwrap().wait().unwrap();
        pool.shutdown().unwrap();
        drop(server);
    });
    lines.extend(text.lines().map(str::to_owned));
    let expected = [
        "[INFO/main] one",
        "[WARN/worker] two",
        "[ERROR/worker:1] three",
        "[INFO/served] four",
        "[INFO/pool-1-1] 5",
    ];
    assert_eq!(
        lines.iter().filter(|line| !line.contains("was ended")).collect::<Vec<_>>(),
        expected
    );
}

pub(crate) fn second_logger_is_an_error() {
    log_to_stderr(LevelFilter::Warn).unwrap();
    assert_eq!(log_to_stderr(LevelFilter::Info).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(log::max_level(), LevelFilter::Warn);
    let child = spawn(|| {
        let error = offspring::log_to(crate::ears::Keeper, LevelFilter::Info).unwrap_err();
        (error.to_string(), log_to_stderr(LevelFilter::Info).is_err())
    });
    let (text, is_err) = child.unwrap().join().unwrap();
    assert_eq!(text, "set the logger: another logger is set already");
    assert!(is_err);
}

/// A child that has the turn and waits for room in the pipe.
fn stuck() -> (std::fs::File, offspring::Child<()>) {
    let (pipe, child) = listen(|| spawn(|| log::info!("{}", line(0, 200_000))).unwrap());
    let call = || fs::read_to_string(format!("/proc/{}/syscall", child.pid())).unwrap_or_default();
    let writes = format!("{} ", libc::SYS_write);
    assert!(until(|| call().starts_with(&writes), LONG), "it waits for room");
    (pipe, child)
}

pub(crate) fn turn_of_a_killed_writer_passes_on() {
    log_to_stderr(LevelFilter::Info).unwrap();
    let (mut pipe, child) = stuck();
    let pid = child.pid();
    let text = heard(|| {
        child.kill().unwrap();
        let _killed = child.join();
        log::info!("next");
    });
    let expected =
        format!("\n[WARN/main] child-1 (pid {pid}) was ended by SIGKILL\n[INFO/main] next\n");
    assert_eq!(text, expected);
    let mut rest = String::new();
    pipe.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("[INFO/child-1] ") && !rest.ends_with('\n'));
}

pub(crate) fn stopped_writer_does_not_stop_the_others() {
    log_to_stderr(LevelFilter::Info).unwrap();
    let (mut pipe, child) = stuck();
    child.signal(Signal::STOP).unwrap();
    assert_eq!(heard(|| log::info!("late")), "[INFO/main] late\n");
    child.signal(Signal::CONT).unwrap();
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    assert_eq!(text.trim_end(), format!("[INFO/child-1] {}", line(0, 200_000)));
    child.join().unwrap();
}

pub(crate) fn forks_beside_a_thread_that_logs() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let text = heard(|| {
        log_to_stderr(LevelFilter::Info).unwrap();
        let thread = std::thread::spawn(|| {
            while !STOP.load(Ordering::Relaxed) {
                log::info!("thread");
            }
        });
        for _ in 0..100 {
            // SAFETY: the child logs, to a logger that has no lock which a fork copies, and that is all.
            let builder = unsafe { Builder::new().name("c").allow_threads() };
            builder.spawn(|| log::info!("child")).unwrap().join().unwrap();
        }
        STOP.store(true, Ordering::Relaxed);
        thread.join().unwrap();
    });
    assert_eq!(text.lines().filter(|&line| line == "[INFO/c] child").count(), 100);
    let known = |line: &str| line == "[INFO/c] child" || line == "[INFO/main] thread";
    assert_eq!(text.lines().find(|line| !known(line)), None);
}
