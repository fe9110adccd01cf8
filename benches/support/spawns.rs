//! Starting something and waiting for its end: ours and the peers'.
#![expect(unsafe_code, reason = "fork, waitpid and posix_spawn, bare")]

use super::Figures;
use super::arena::arena;
use super::kernel;
use super::ours;
use super::stats::median;
use std::time::Instant;

/// What can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// `spawn(|| ())` and `join`.
    Ours,
    /// `spawn(|| vec![1, 2, 3])` and `join`.
    OursResult,
    /// `ForkServer::spawn(|()| (), ())` and `join`; the server is started before the arena grows.
    OursServer,
    /// `fork`, `_exit(0)`, `waitpid`.
    Fork,
    /// `std::thread::spawn` and `join`.
    Thread,
    /// `posix_spawn` of `/bin/true` and `waitpid`.
    PosixSpawn,
}

impl Which {
    /// The name in tables and plots.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::Ours => "offspring",
            Which::OursResult => "offspring-result",
            Which::OursServer => "offspring-server",
            Which::Fork => "fork-waitpid",
            Which::Thread => "std-thread",
            Which::PosixSpawn => "posix-spawn",
        }
    }
}

/// Median nanoseconds per start and end, for each of `sides`, from an arena with `resident` private bytes.
///
/// The sides take turns, `count` starts at a time, `rounds` times over; figure `round * sides.len() + side`.
pub(crate) fn spawns(sides: &[Which], resident: usize, rounds: usize, count: u64) -> Figures {
    arena(|| {
        sides.iter().for_each(|&which| prepare(which));
        kernel::make_resident(resident);
        sides.iter().for_each(|&which| once(which));
        let mut figures = Vec::new();
        for _ in 0..rounds {
            for &which in sides {
                let time_one = |_| {
                    let start = Instant::now();
                    once(which);
                    start.elapsed().as_nanos() as f64
                };
                let samples: Vec<f64> = (0..count).map(time_one).collect();
                figures.push(median(&samples));
            }
        }
        Ok(figures)
    })
}

/// Seconds for `count` starts and ends in a row, from an arena with `resident` private bytes.
pub(crate) fn seconds(which: Which, resident: usize, count: u64) -> Figures {
    arena(|| {
        prepare(which);
        kernel::make_resident(resident);
        let start = Instant::now();
        (0..count).for_each(|_| once(which));
        Ok(vec![start.elapsed().as_secs_f64()])
    })
}

fn prepare(which: Which) {
    if which == Which::OursServer {
        ours::start_server();
    }
}

fn once(which: Which) {
    match which {
        Which::Ours => ours::spawn_empty(),
        Which::OursResult => ours::spawn_with_result(),
        Which::OursServer => ours::spawn_by_server(),
        Which::Fork => fork_and_wait(),
        Which::Thread => std::thread::spawn(|| ()).join().expect("a thread that does nothing"),
        Which::PosixSpawn => posix_spawn_and_wait(),
    }
}

fn fork_and_wait() {
    // SAFETY: the arena has one thread, and the child does nothing but end.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        kernel::exit_now(0);
    }
    kernel::wait(pid).expect("a child that does nothing");
}

fn posix_spawn_and_wait() {
    let path = c"/bin/true";
    let arguments = [path.as_ptr().cast_mut(), std::ptr::null_mut()];
    let environment = [std::ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: both lists end in null, the strings live, no file actions and no attributes are given.
    let status = unsafe {
        libc::posix_spawn(
            &mut pid,
            path.as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    assert_eq!(status, 0, "posix_spawn of /bin/true");
    kernel::wait(pid).expect("/bin/true");
}
