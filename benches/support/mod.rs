//! What the benchmarks share: sizes, shared pages, crowds of processes and threads, and the peers.
//!
//! `lock`, `ring`, `spawn` (criterion) and `report` (ratios) each use a part of this module. One function here measures one
//! *round* of one side; who calls it decides how often and in which order.
#![allow(dead_code, reason = "each benchmark uses its part")]

pub(crate) mod alone;
pub(crate) mod arena;
pub(crate) mod carriers;
pub(crate) mod conditions;
pub(crate) mod crowd;
pub(crate) mod kernel;
pub(crate) mod locks;
pub(crate) mod machine;
pub(crate) mod messages;
pub(crate) mod ours;
pub(crate) mod page;
pub(crate) mod pools;
pub(crate) mod recovery;
pub(crate) mod rings;
pub(crate) mod size;
pub(crate) mod spawns;
pub(crate) mod stats;
pub(crate) mod sweeps;
pub(crate) mod trips;
pub(crate) mod turns;

/// What one measurement yields: its figures, or why there are none (a hang, a panic, a refusal).
pub(crate) type Figures = Result<Vec<f64>, String>;

/// Criterion, set up for a run of this size; it reads the command line (`--test`, filters) too.
pub(crate) fn criterion(size: size::Size) -> criterion::Criterion {
    criterion::Criterion::default()
        .sample_size(10)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(size.criterion_seconds()))
        .configure_from_args()
}
