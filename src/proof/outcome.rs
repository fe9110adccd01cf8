//! How the survivors of one death fared.

use std::fmt;

/// What the survivors of a death found, worst thing first noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Everything that was promised held.
    Ok,
    /// Somebody was still waiting at the deadline.
    Hang,
    /// Something that was done is gone.
    Lost,
    /// Something arrived twice.
    Doubled,
    /// A value is half written.
    Torn,
    /// Any other promise was broken, or a survivor panicked.
    Broken,
}

impl Outcome {
    /// All outcomes, in the order of the table's columns.
    pub const ALL: [Outcome; 6] = [
        Outcome::Ok,
        Outcome::Hang,
        Outcome::Lost,
        Outcome::Doubled,
        Outcome::Torn,
        Outcome::Broken,
    ];

    /// The word for it in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Hang => "hang",
            Outcome::Lost => "lost",
            Outcome::Doubled => "doubled",
            Outcome::Torn => "torn",
            Outcome::Broken => "broken",
        }
    }

    pub(super) fn from_code(code: u32) -> Option<Outcome> {
        Outcome::ALL.get(code as usize).copied()
    }
}

/// A broken promise: what kind, and what was seen. A scenario's check returns it.
///
/// ```
/// use offspring::proof::{Fault, Outcome};
/// let fault = Fault::lost("message 7 was sent and never arrived");
/// assert_eq!(fault.outcome(), Outcome::Lost);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    outcome: Outcome,
    why: String,
}

impl Fault {
    /// Something that was done is gone.
    pub fn lost(why: impl Into<String>) -> Fault {
        Fault::new(Outcome::Lost, why)
    }

    /// Something arrived twice.
    pub fn doubled(why: impl Into<String>) -> Fault {
        Fault::new(Outcome::Doubled, why)
    }

    /// A value is half written.
    pub fn torn(why: impl Into<String>) -> Fault {
        Fault::new(Outcome::Torn, why)
    }

    /// Another promise was broken.
    pub fn broken(why: impl Into<String>) -> Fault {
        Fault::new(Outcome::Broken, why)
    }

    /// Somebody waited until the deadline.
    pub fn hang(why: impl Into<String>) -> Fault {
        Fault::new(Outcome::Hang, why)
    }

    pub(super) fn new(outcome: Outcome, why: impl Into<String>) -> Fault {
        Fault { outcome, why: why.into() }
    }

    /// Its kind.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What was seen.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outcome.name(), self.why)
    }
}

impl std::error::Error for Fault {}
