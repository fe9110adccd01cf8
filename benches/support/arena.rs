//! An arena: one forked child in which one measurement runs, so that threads, pages and deaths stay out of the benchmark.
//!
//! The benchmark's own process forks arenas one after the other and stays single-threaded. An arena may start threads (the
//! peers) or fork again (ours). A measurement that hangs is killed with all its descendants and becomes an error.

use super::Figures;
use super::kernel;
use super::page::Page;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The most figures that one measurement hands back.
const FIGURES_MAX: usize = 4096;

/// A measurement that takes longer has hung.
const LIMIT: Duration = Duration::from_secs(120);

struct Board {
    count: AtomicU64,
    figures: [AtomicU64; FIGURES_MAX],
}

/// Runs `measure` in a child and brings its figures back.
pub(crate) fn arena(measure: impl FnOnce() -> Figures) -> Figures {
    let board = Page::new(Board {
        count: AtomicU64::new(0),
        figures: [const { AtomicU64::new(0) }; FIGURES_MAX],
    });
    let pid = kernel::fork(|| match measure() {
        Ok(figures) => {
            assert!(figures.len() <= FIGURES_MAX, "{} figures are too many", figures.len());
            for (slot, figure) in board.figures.iter().zip(&figures) {
                slot.store(figure.to_bits(), Ordering::Relaxed);
            }
            board.count.store(figures.len() as u64, Ordering::Relaxed);
        }
        Err(reason) => {
            eprintln!("measurement failed: {reason}");
            kernel::exit_now(1);
        }
    });
    let in_time = kernel::ends_within(pid, LIMIT);
    if !in_time {
        kernel::kill(pid);
    }
    let end = kernel::wait(pid);
    if !in_time {
        return Err(format!("hung: killed after {} s", LIMIT.as_secs()));
    }
    end?;
    let count = board.count.load(Ordering::Relaxed) as usize;
    let read = |slot: &AtomicU64| f64::from_bits(slot.load(Ordering::Relaxed));
    Ok(board.figures[..count].iter().map(read).collect())
}
