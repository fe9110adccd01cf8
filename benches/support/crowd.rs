//! A crowd: some parties that start together behind a gate and work side by side, as processes or as threads.
//!
//! A party works while [`Party::goes_on`]: until its quota is used up or the crowd's time is over. The test is the same
//! for every side: a counter in a register and a relaxed load of a line that nobody writes meanwhile.

use super::kernel;
use super::page::Page;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// What the parties are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Children of the arena, forked with `libc::fork`.
    Processes,
    /// Threads of the arena.
    Threads,
}

/// How much work a crowd does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quota {
    /// So many operations in each working party.
    Ops(u64),
    /// So long.
    Time(Duration),
}

const PARTIES_MAX: usize = 32;

/// Figures that a party reports.
pub(crate) const REPORT_LEN: usize = 4;

#[repr(align(128))]
struct Line<T>(T);

struct Board {
    ready: Line<AtomicU32>,
    gate: Line<AtomicU32>,
    stop: Line<AtomicU32>,
    working: Line<AtomicU32>,
    finished_ns: Line<AtomicU64>,
    reports: [Line<[AtomicU64; REPORT_LEN]>; PARTIES_MAX],
}

/// One party's view of the crowd.
pub(crate) struct Party<'a> {
    /// 0 and up.
    pub(crate) index: usize,
    left: u64,
    board: &'a Board,
}

impl Party<'_> {
    /// Whether to do one more operation.
    #[inline(always)]
    pub(crate) fn goes_on(&mut self) -> bool {
        if self.left == 0 || self.board.stop.0.load(Ordering::Relaxed) != 0 {
            return false;
        }
        self.left -= 1;
        true
    }

    /// Says that this party has finished its work; true for the last of the `working` parties.
    pub(crate) fn is_last_to_finish(&self, working: usize) -> bool {
        self.board.working.0.fetch_add(1, Ordering::AcqRel) + 1 == working as u32
    }
}

/// What a crowd did.
pub(crate) struct Outcome {
    /// What each party returned.
    pub(crate) reports: Vec<[u64; REPORT_LEN]>,
    /// From the gate's opening until the last party was done, in seconds.
    pub(crate) seconds: f64,
}

impl Outcome {
    /// The first figure of the parties in `range`.
    pub(crate) fn counts(&self, range: std::ops::Range<usize>) -> Vec<u64> {
        self.reports[range].iter().map(|report| report[0]).collect()
    }
}

/// Runs `body` in `parties` parties; the caller is an arena's only thread.
pub(crate) fn run(
    kind: Kind,
    parties: usize,
    quota: Quota,
    body: impl Fn(&mut Party<'_>) -> [u64; REPORT_LEN] + Sync,
) -> Result<Outcome, String> {
    assert!(parties <= PARTIES_MAX, "a crowd of {parties} is too big");
    let board = Page::new(Board {
        ready: Line(AtomicU32::new(0)),
        gate: Line(AtomicU32::new(0)),
        stop: Line(AtomicU32::new(0)),
        working: Line(AtomicU32::new(0)),
        finished_ns: Line(AtomicU64::new(0)),
        reports: [const { Line([const { AtomicU64::new(0) }; REPORT_LEN]) }; PARTIES_MAX],
    });
    let work = |index: usize| {
        let left = if let Quota::Ops(ops) = quota { ops } else { u64::MAX };
        let mut party = Party { index, left, board: &board };
        board.ready.0.fetch_add(1, Ordering::AcqRel);
        while board.gate.0.load(Ordering::Acquire) == 0 {
            kernel::futex_wait(&board.gate.0, 0);
        }
        let report = body(&mut party);
        board.finished_ns.0.fetch_max(kernel::monotonic_ns(), Ordering::AcqRel);
        for (slot, figure) in board.reports[index].0.iter().zip(report) {
            slot.store(figure, Ordering::Relaxed);
        }
    };
    let ended = match kind {
        Kind::Processes => {
            let pids: Vec<_> = (0..parties).map(|index| kernel::fork(|| work(index))).collect();
            let started = conduct(&board, parties, quota);
            pids.into_iter().try_for_each(kernel::wait).map(|()| started)
        }
        Kind::Threads => std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> =
                (0..parties).map(|index| scope.spawn(move || work(index))).collect();
            let started = conduct(&board, parties, quota);
            let joined = threads.into_iter().try_for_each(|thread| thread.join());
            joined.map(|()| started).map_err(|_| "a peer's thread panicked".to_string())
        }),
    };
    let started_ns = ended.map_err(|end| format!("a party {end}"))?;
    let seconds =
        board.finished_ns.0.load(Ordering::Acquire).saturating_sub(started_ns) as f64 / 1e9;
    let read = |line: &Line<[AtomicU64; REPORT_LEN]>| {
        std::array::from_fn(|figure| line.0[figure].load(Ordering::Relaxed))
    };
    Ok(Outcome { reports: board.reports[..parties].iter().map(read).collect(), seconds })
}

/// Opens the gate once all are there, and ends the work if time is the quota; returns when the gate opened.
#[expect(clippy::disallowed_methods, reason = "the crowd's time is the thing slept through")]
fn conduct(board: &Board, parties: usize, quota: Quota) -> u64 {
    while board.ready.0.load(Ordering::Acquire) < parties as u32 {
        std::thread::sleep(Duration::from_micros(50));
    }
    let started_ns = kernel::monotonic_ns();
    board.gate.0.store(1, Ordering::Release);
    kernel::futex_wake(&board.gate.0, i32::MAX);
    if let Quota::Time(time) = quota {
        std::thread::sleep(time);
        board.stop.0.store(1, Ordering::Relaxed);
    }
    started_ns
}
