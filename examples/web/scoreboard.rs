//! Who does what: a line for each worker in shared memory, which it writes itself and all read.

use offspring::{Region, Shared};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a worker is doing.
#[derive(Clone, Copy)]
pub(crate) enum State {
    /// It has been forked and has not begun.
    Starts,
    /// No connection.
    Waits,
    /// A connection, and no request.
    Idles,
    /// A request of which a part is there.
    Reads,
    /// An answer that is on its way.
    Answers,
}

const STATES: [(State, &str); 5] = [
    (State::Starts, "starts"),
    (State::Waits, "waits"),
    (State::Idles, "idles"),
    (State::Reads, "reads"),
    (State::Answers, "answers"),
];

/// The columns of a line.
const PID: usize = 0;
const STATE: usize = 1;
/// How many requests the worker has answered, and those that sat here before it.
const REQUESTS: usize = 2;
/// Since when it is in that state, in milliseconds of the epoch.
const SINCE: usize = 3;
/// How many workers have sat here.
const STARTS: usize = 4;

/// Each line has one writer, so nobody has to lock; a reader may see a state beside the `since` of the one before.
pub(crate) struct Scoreboard(Shared<[[AtomicU64; 5]]>);

impl Scoreboard {
    pub(crate) fn new(workers: usize) -> offspring::Result<Scoreboard> {
        let region = Region::new(workers * size_of::<[AtomicU64; 5]>())?;
        Ok(Scoreboard(region.place_slice(workers, |_| Default::default())?))
    }

    /// A worker sits down, perhaps where another one died.
    pub(crate) fn begin(&self, seat: usize) {
        self.set(seat, State::Starts);
        self.0[seat][PID].store(std::process::id().into(), Ordering::Relaxed);
        self.0[seat][STARTS].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, seat: usize, state: State) {
        self.0[seat][SINCE].store(now(), Ordering::Relaxed);
        self.0[seat][STATE].store(state as u64, Ordering::Relaxed);
    }

    /// One more request is answered.
    pub(crate) fn count(&self, seat: usize) {
        self.0[seat][REQUESTS].fetch_add(1, Ordering::Relaxed);
    }

    /// All that were answered, by workers that are dead too.
    pub(crate) fn requests(&self) -> u64 {
        self.0.iter().map(|line| line[REQUESTS].load(Ordering::Relaxed)).sum()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}

/// ```text
/// worker        pid  state    since     requests  starts
/// worker-1     4243  waits      1.2 s         17       1
/// ```
impl fmt::Display for Scoreboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "worker            pid  state         since    requests  starts")?;
        let now = now();
        for (line, number) in self.0.iter().zip(1..) {
            let [pid, state, requests, since, starts] =
                [PID, STATE, REQUESTS, SINCE, STARTS].map(|at| line[at].load(Ordering::Relaxed));
            let state = STATES.get(state as usize).map_or("?", |(_, name)| name);
            let since = now.saturating_sub(since) as f64 / 1000.0;
            let name = format!("worker-{number}");
            writeln!(
                f,
                "{name:<11}  {pid:>7}  {state:<8}  {since:>6.1} s  {requests:>10}  {starts:>6}"
            )?;
        }
        Ok(())
    }
}
