//! A task's word: where the task stands, in 64 bits; see the table in the README.
//!
//! The kind, the attempts and the generation are in the low half, so that every step changes what a sleeper compares.

const KIND_BITS: u32 = 4;
const ATTEMPT_BITS: u32 = 6;
const GENERATION_BITS: u32 = 32 - KIND_BITS - ATTEMPT_BITS;
const HOLDER_SHIFT: u32 = 32;
const HOLDER_MASK: u64 = (1 << 30) - 1;

/// The most attempts that a task can have.
pub(super) const ATTEMPTS_MAX: u32 = (1 << ATTEMPT_BITS) - 1;
/// Generations are counted modulo this.
pub(super) const GENERATIONS: u32 = 1 << GENERATION_BITS;

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Free = 0,
    Queued = 1,
    Running = 2,
    Value = 3,
    Panicked = 4,
    Died = 5,
    TimedOut = 6,
    Cancelled = 7,
    /// The result's `Serialize` failed.
    Unencodable = 8,
    /// The argument could not be decoded.
    Undecodable = 9,
    /// No memory for the result.
    Unwritable = 10,
    /// The pool failed.
    Broken = 11,
}

const KINDS: [Kind; 12] = [
    Kind::Free,
    Kind::Queued,
    Kind::Running,
    Kind::Value,
    Kind::Panicked,
    Kind::Died,
    Kind::TimedOut,
    Kind::Cancelled,
    Kind::Unencodable,
    Kind::Undecodable,
    Kind::Unwritable,
    Kind::Broken,
];

impl Kind {
    /// Whether it is an outcome.
    pub(super) fn is_outcome(self) -> bool {
        !matches!(self, Kind::Free | Kind::Queued | Kind::Running)
    }
}

/// What a task's word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) kind: Kind,
    /// How often a worker has begun it.
    pub(super) attempts: u32,
    /// Which tenant of the slot it is.
    pub(super) generation: u32,
    /// The roster id of the worker that runs it, or ran it last; 0 if none.
    pub(super) holder: u32,
}

impl Word {
    pub(super) const fn free(generation: u32) -> Word {
        Word { kind: Kind::Free, attempts: 0, generation, holder: 0 }
    }

    pub(super) fn from_bits(bits: u64) -> Word {
        let low = bits as u32;
        let kind = KINDS.get((low & ((1 << KIND_BITS) - 1)) as usize).copied();
        Word {
            kind: kind.unwrap_or(Kind::Broken),
            attempts: low >> KIND_BITS & ATTEMPTS_MAX,
            generation: low >> (KIND_BITS + ATTEMPT_BITS),
            holder: (bits >> HOLDER_SHIFT & HOLDER_MASK) as u32,
        }
    }

    pub(super) const fn to_bits(self) -> u64 {
        let low = self.kind as u32
            | self.attempts << KIND_BITS
            | self.generation << (KIND_BITS + ATTEMPT_BITS);
        (self.holder as u64 & HOLDER_MASK) << HOLDER_SHIFT | low as u64
    }

    /// The same task with another kind.
    pub(super) fn as_kind(self, kind: Kind) -> Word {
        Word { kind, ..self }
    }

    /// The same task, begun once more by `holder`.
    pub(super) fn begun_by(self, holder: u32) -> Word {
        Word {
            kind: Kind::Running,
            attempts: (self.attempts + 1).min(ATTEMPTS_MAX),
            holder,
            ..self
        }
    }
}
