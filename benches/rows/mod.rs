//! The report's rows: what is compared with what, and the bar that it must reach.

pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod par;
pub(crate) mod pool;
pub(crate) mod ring;
pub(crate) mod spawn;
pub(crate) mod sync;
pub(crate) mod wait;

pub(crate) use crate::draw::unit::Unit;
use crate::support::size::Size;
use crate::support::stats::{Series, median, spread};

/// What a row must reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

impl Bar {
    /// Whether `value` reaches the bar.
    pub(crate) fn is_met_by(self, value: f64) -> bool {
        match self {
            Bar::AtMost(limit) => value <= limit,
            Bar::AtLeast(limit) => value >= limit,
        }
    }
}

/// Which figure the bar is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// The ratio of the medians, ours over the peer's.
    Ratio,
    /// Our median by itself; the peer's stands beside it for comparison.
    Ours,
}

/// One line of the report.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// Empty where nothing is compared.
    pub(crate) peer: &'static str,
    pub(crate) unit: Unit,
    /// One figure a round.
    pub(crate) ours: Vec<f64>,
    pub(crate) theirs: Vec<f64>,
    pub(crate) judged: Judged,
    pub(crate) bar: Option<Bar>,
}

impl Row {
    /// A row judged by the ratio of medians; without a bar until [`Row::bar`].
    pub(crate) fn ratio(
        what: impl Into<String>,
        unit: Unit,
        ours: &[f64],
        (peer, theirs): (&'static str, &[f64]),
    ) -> Row {
        let (ours, theirs) = (ours.to_vec(), theirs.to_vec());
        Row { what: what.into(), peer, unit, ours, theirs, judged: Judged::Ratio, bar: None }
    }

    /// A row judged by our own figure.
    pub(crate) fn ours(what: impl Into<String>, unit: Unit, ours: &[f64]) -> Row {
        let (ours, theirs) = (ours.to_vec(), Vec::new());
        Row { what: what.into(), peer: "", unit, ours, theirs, judged: Judged::Ours, bar: None }
    }

    /// Puts a peer's figures beside ours.
    pub(crate) fn beside(mut self, peer: &'static str, theirs: &[f64]) -> Row {
        self.peer = peer;
        self.theirs = theirs.to_vec();
        self
    }

    /// Sets the bar.
    pub(crate) fn bar(mut self, bar: Bar) -> Row {
        self.bar = Some(bar);
        self
    }

    /// The ratio of the medians, if there is a peer.
    pub(crate) fn ratio_of_medians(&self) -> Option<f64> {
        (!self.theirs.is_empty()).then(|| median(&self.ours) / median(&self.theirs))
    }

    /// How far the rounds lie apart, of ours and of the peer's: half of the range of the middle half, over the median.
    pub(crate) fn spreads(&self) -> [Option<f64>; 2] {
        [&self.ours, &self.theirs].map(|samples| (samples.len() > 2).then(|| spread(samples)))
    }

    /// Whether the bar is reached; `None` without a bar.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let value = match self.judged {
            Judged::Ratio => self.ratio_of_medians().unwrap_or(f64::NAN),
            Judged::Ours => median(&self.ours),
        };
        self.bar.map(|bar| bar.is_met_by(value))
    }
}

/// A group's rows, or what could not be measured and why.
pub(crate) type Rows = Vec<Result<Row, String>>;

/// A group of rows that `--only` can name.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(Size) -> Rows,
}

/// All groups, in the order of the report.
pub(crate) const GROUPS: [Group; 9] = [
    Group { name: "lock", measure: lock::rows },
    Group { name: "ring", measure: ring::rows },
    Group { name: "wait", measure: wait::rows },
    Group { name: "message", measure: message::rows },
    Group { name: "sync", measure: sync::rows },
    Group { name: "spawn", measure: spawn::rows },
    Group { name: "memory", measure: memory::rows },
    Group { name: "par", measure: par::rows },
    Group { name: "pool", measure: pool::rows },
];

/// Turns what an interleaving yielded into rows, or into one failure with the name of what failed.
pub(crate) fn rows_of(
    what: &str,
    measured: Result<Vec<Series>, String>,
    rows: impl FnOnce(&[Series]) -> Vec<Row>,
) -> Rows {
    match measured {
        Ok(series) => rows(&series).into_iter().map(Ok).collect(),
        Err(reason) => vec![Err(format!("{what}: {reason}"))],
    }
}
