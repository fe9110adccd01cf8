//! What a figure of the report counts.

/// The unit of a row's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    PerSecond,
    BytesPerSecond,
    Share,
    Bytes,
}

impl Unit {
    /// The unit of a record's row.
    pub(crate) fn from_name(name: &str) -> Option<Unit> {
        use Unit::{Bytes, BytesPerSecond, Nanoseconds, PerSecond, Share};
        let all = [Nanoseconds, PerSecond, BytesPerSecond, Share, Bytes];
        all.into_iter().find(|unit| unit.name() == name)
    }

    /// Whether a small figure is the good one.
    pub(crate) fn is_cost(self) -> bool {
        matches!(self, Unit::Nanoseconds | Unit::Bytes)
    }

    /// The name in the JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::PerSecond => "per second",
            Unit::BytesPerSecond => "bytes per second",
            Unit::Share => "min/max share",
            Unit::Bytes => "bytes",
        }
    }

    /// A figure as people read it.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Unit::Nanoseconds if value >= 1e5 => format!("{:.3} ms", value / 1e6),
            Unit::Nanoseconds if value >= 1e3 => format!("{:.2} µs", value / 1e3),
            Unit::Nanoseconds => format!("{value:.1} ns"),
            Unit::PerSecond => format!("{:.2} M/s", value / 1e6),
            Unit::BytesPerSecond => format!("{:.2} GB/s", value / 1e9),
            Unit::Share => format!("{value:.2}"),
            Unit::Bytes => format!("{value} B"),
        }
    }
}
