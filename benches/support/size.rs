//! How much a run measures: full (the figures that count), quick (a look) or tiny (does it run at all).

use std::time::Duration;

/// The size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Seconds; what `.ci/run` runs.
    Tiny,
    /// About a minute; ratios within some ten percent.
    Quick,
    /// Minutes; what `record/` keeps.
    Full,
}

impl Size {
    /// The size that the environment asks for: `OFFSPRING_BENCH=tiny|quick|full`. Without it, tiny under criterion's
    /// `--test` and outside of `cargo bench` (which passes `--bench`), else full.
    pub(crate) fn from_env() -> Size {
        match std::env::var("OFFSPRING_BENCH").as_deref() {
            Ok("tiny") => return Size::Tiny,
            Ok("quick") => return Size::Quick,
            Ok("full") => return Size::Full,
            Ok(other) => {
                eprintln!("OFFSPRING_BENCH is `{other}`; expected tiny, quick or full");
                std::process::exit(2);
            }
            Err(_) => {}
        }
        let is_tiny =
            std::env::args().any(|a| a == "--test") || std::env::args().all(|a| a != "--bench");
        if is_tiny { Size::Tiny } else { Size::Full }
    }

    /// The name, as in `OFFSPRING_BENCH`.
    pub(crate) fn name(self) -> &'static str {
        self.pick("tiny", "quick", "full")
    }

    /// Interleaved rounds per row.
    pub(crate) fn rounds(self) -> usize {
        self.pick(3, 5, 9)
    }

    /// Rounds for rows whose single round is long (a second, or a gibibyte).
    pub(crate) fn long_rounds(self) -> usize {
        self.pick(3, 3, 9)
    }

    /// How long a crowd moves messages in one round.
    pub(crate) fn window(self) -> Duration {
        Duration::from_millis(self.pick(10, 100, 250))
    }

    /// How long a crowd works where shares are measured.
    pub(crate) fn long_window(self) -> Duration {
        Duration::from_millis(self.pick(20, 500, 1000))
    }

    /// Uncontended lock operations per round.
    pub(crate) fn lock_ops(self) -> u64 {
        self.pick(20_000, 1_000_000, 4_000_000)
    }

    /// Round trips per round.
    pub(crate) fn trips(self) -> u64 {
        self.pick(500, 20_000, 50_000)
    }

    /// Turns of two parties that may have to sleep for each of them.
    pub(crate) fn turns(self) -> u64 {
        self.pick(300, 5_000, 10_000)
    }

    /// Spawns per round.
    pub(crate) fn spawns(self) -> u64 {
        self.pick(5, 20, 40)
    }

    /// Spawns per round from a big parent.
    pub(crate) fn big_spawns(self) -> u64 {
        self.pick(2, 3, 5)
    }

    /// Owners killed for the recovery row.
    pub(crate) fn kills(self) -> usize {
        self.pick(3, 9, 31)
    }

    /// What a big process keeps resident.
    pub(crate) fn big_bytes(self) -> usize {
        self.pick(64 << 20, 1 << 30, 1 << 30)
    }

    /// The array that a parallel call goes through.
    pub(crate) fn array_bytes(self) -> usize {
        self.pick(8 << 20, 256 << 20, 256 << 20)
    }

    /// Items of a parallel call that computes.
    pub(crate) fn items(self) -> usize {
        self.pick(20, 1000, 2000)
    }

    /// Items that are not worth a task each.
    pub(crate) fn trivial_items(self) -> usize {
        self.pick(2_000, 100_000, 100_000)
    }

    /// Tasks of a millisecond.
    pub(crate) fn tasks(self) -> usize {
        self.pick(20, 1000, 1000)
    }

    /// What the biggest client of a fork server keeps resident.
    pub(crate) fn huge_bytes(self) -> usize {
        self.pick(128 << 20, 2 << 30, 4 << 30)
    }

    /// How long a process waits for a message while its CPU time is counted.
    pub(crate) fn idle(self) -> Duration {
        Duration::from_millis(self.pick(100, 1000, 1000))
    }

    /// How long a criterion benchmark measures.
    pub(crate) fn criterion_seconds(self) -> u64 {
        self.pick(1, 1, 3)
    }

    fn pick<T>(self, tiny: T, quick: T, full: T) -> T {
        match self {
            Size::Tiny => tiny,
            Size::Quick => quick,
            Size::Full => full,
        }
    }
}
