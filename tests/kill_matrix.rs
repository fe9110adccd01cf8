//! The kill matrix: every operation of the lock and the queue, killed at every instruction, and what the survivors find.
//! Before that, the harness itself: it must catch structures that are wrong.
//!
//! Each case prints its table and writes it as JSON to `target/tmp/kill-matrix-<case>.json`; with `-- --table` nothing is killed, and
//! docs/CRASH_SAFETY.md has the table of them all. A message is its number and a
//! checksum. Every instruction is a kill point, in loops the first two rounds. Of the
//! double faults the usual run takes a part; `OFFSPRING_MATRIX=pairs cargo test --test kill_matrix -- double_faults` takes all of the
//! plain ones (minutes). `OFFSPRING_MATRIX=full cargo test --test kill_matrix` kills loops in eight rounds too, and takes more
//! of the longest combinations: some ten times as long.
//!
//! The effect that a check returns is how far the operation got, as far as others can see; alone it may only grow.

mod support;

mod matrix {
    pub(crate) mod account;
    pub(crate) mod actors;
    pub(crate) mod barrier;
    pub(crate) mod cond;
    pub(crate) mod harness;
    pub(crate) mod lock;
    pub(crate) mod message;
    pub(crate) mod once;
    pub(crate) mod page;
    pub(crate) mod par;
    pub(crate) mod pipe;
    pub(crate) mod pollable;
    pub(crate) mod pool;
    pub(crate) mod pool_races;
    pub(crate) mod queue;
    pub(crate) mod queue_faults;
    pub(crate) mod rwlock;
    pub(crate) mod semaphore;
    pub(crate) mod work;
    pub(crate) mod work_books;
    pub(crate) mod work_faults;
}

use std::sync::Once;
use std::time::Duration;

use offspring::proof::{Scenario, Table};
use offspring::{LockError, Mutex};
use support::case;

fn main() {
    if std::env::args().any(|argument| argument == "--table") {
        return matrix::page::write();
    }
    // Each case keeps one of two CPUs busy, for the victim and who traces it run on the same one; but not always.
    const LANES: usize = 3;
    let cases = [
        case!(matrix::page::names_all_cases),
        case!(matrix::harness::catches_lost_and_doubled),
        case!(matrix::harness::catches_a_hang),
        case!(matrix::harness::catches_a_lost_wakeup),
        case!(matrix::harness::catches_a_race_without_a_death),
        case!(matrix::harness::catches_a_step_back),
        case!(matrix::lock::alone).shown().deadline_s(600),
        case!(matrix::lock::contended).shown().deadline_s(600),
        case!(matrix::lock::held_up).shown().deadline_s(600),
        case!(matrix::lock::double_faults).shown().deadline_s(1200),
        case!(matrix::rwlock::alone).shown().deadline_s(600),
        case!(matrix::rwlock::waiting).shown().deadline_s(600),
        case!(matrix::rwlock::leaving).shown().deadline_s(600),
        case!(matrix::rwlock::held_up).shown().deadline_s(600),
        case!(matrix::rwlock::double_faults).shown().deadline_s(1200),
        case!(matrix::once::value).shown().deadline_s(600),
        case!(matrix::once::reentrant).shown().deadline_s(600),
        case!(matrix::pipe::send_whole_or_not).shown().deadline_s(600),
        case!(matrix::pipe::recv_what_is_not_taken_is_there).shown().deadline_s(600),
        case!(matrix::cond::waits).shown().deadline_s(600),
        case!(matrix::cond::notifies).shown().deadline_s(600),
        case!(matrix::cond::double_faults).shown().deadline_s(600),
        case!(matrix::cond::events).shown().deadline_s(600),
        case!(matrix::queue::send).shown().deadline_s(600),
        case!(matrix::queue::recv).shown().deadline_s(600),
        case!(matrix::queue::bursts).shown().deadline_s(600),
        case!(matrix::queue::held_ends).shown().deadline_s(600),
        case!(matrix::queue::close).shown().deadline_s(600),
        case!(matrix::message::send).shown().deadline_s(600),
        case!(matrix::message::recv).shown().deadline_s(600),
        case!(matrix::message::lent_and_closed).shown().deadline_s(600),
        case!(matrix::message::double_faults).shown().deadline_s(1200),
        case!(matrix::pollable::ring).shown().deadline_s(600),
        case!(matrix::pollable::bytes).shown().deadline_s(600),
        case!(matrix::pollable::work).shown().deadline_s(600),
        case!(matrix::queue_faults::held_up).shown().deadline_s(600),
        case!(matrix::queue_faults::deaths_while_held_up).shown().deadline_s(1200),
        case!(matrix::queue_faults::double_faults).shown().deadline_s(1200),
        case!(matrix::work::send).shown().deadline_s(600),
        case!(matrix::work::recv).shown().deadline_s(600),
        case!(matrix::work::holder).shown().deadline_s(600),
        case!(matrix::work::close_and_letters).shown().deadline_s(600),
        case!(matrix::work_faults::join).shown().deadline_s(600),
        case!(matrix::work_faults::held_up).shown().deadline_s(600),
        case!(matrix::work_faults::double_faults).shown().deadline_s(1200),
        case!(matrix::pool::alone).shown().deadline_s(600),
        case!(matrix::pool::awaited).shown().deadline_s(600),
        case!(matrix::pool::taken_away).shown().deadline_s(600),
        case!(matrix::pool::double_faults).shown().deadline_s(600),
        case!(matrix::pool_races::clients).shown().deadline_s(600),
        case!(matrix::pool_races::held_up).shown().deadline_s(600),
        case!(matrix::pool_races::taken_away).shown().deadline_s(600),
        case!(matrix::pool_races::rooms).shown().deadline_s(600),
        case!(matrix::par::claims).shown().deadline_s(600),
        case!(matrix::semaphore::alone).shown().deadline_s(600),
        case!(matrix::semaphore::quick).shown().deadline_s(600),
        case!(matrix::semaphore::contended).shown().deadline_s(600),
        case!(matrix::semaphore::double_faults).shown().deadline_s(1200),
        case!(matrix::barrier::arrivals).shown().deadline_s(600),
        case!(matrix::barrier::breaks).shown().deadline_s(600),
        case!(matrix::barrier::double_faults).shown().deadline_s(1200),
    ];
    support::run_on(LANES, &cases);
}

/// Runs the scenarios, prints their table, writes it as JSON, and fails if one of them has a failure.
fn conclude<S>(name: &str, scenarios: impl IntoIterator<Item = Scenario<S>>) {
    let mut table = Table::default();
    for scenario in scenarios {
        let scenario = match effort() {
            Effort::Usual | Effort::Pairs => scenario.visits(2),
            Effort::Full => scenario.visits(8),
            Effort::First => scenario.visits(2).deadline(Duration::from_secs(2)).failures_max(1),
        };
        table.push(scenario.run().expect("ptrace is allowed here"));
        if effort() == Effort::First && !table.is_ok() {
            break;
        }
    }
    println!("{table}");
    std::fs::write(matrix::page::json_path(name), table.to_json()).expect("write the JSON");
    assert!(table.is_ok(), "survivors of a death were harmed");
    if effort() == Effort::Usual {
        matrix::page::check(name, &table);
    }
}

/// How thorough to be: `OFFSPRING_MATRIX` is `pairs`, `full`, `first` or not set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// Every instruction; loops twice; double faults with a part of the first deaths.
    Usual,
    /// As usual, but of the plain double faults all pairs: each first death, and its recovery killed at each instruction.
    Pairs,
    /// The same, loops eight times, and a fifth of what two long ways make together.
    Full,
    /// As usual, but a case stops at its first failure, and a hang is one after 2 s: for mutants.
    First,
}

fn effort() -> Effort {
    match std::env::var("OFFSPRING_MATRIX").as_deref() {
        Err(_) => Effort::Usual,
        Ok("pairs") => Effort::Pairs,
        Ok("full") => Effort::Full,
        Ok("first") => Effort::First,
        Ok(other) => panic!("OFFSPRING_MATRIX is pairs, full, first or not set, not {other}"),
    }
}

/// Which deaths a double fault takes: every `usual`th, or all.
fn stride(usual: usize) -> usize {
    if matches!(effort(), Effort::Pairs | Effort::Full) { 1 } else { usual }
}

/// The same where two long ways are combined: all pairs would take hours. A mutant has to be caught with the first number; the usual run,
/// of which nothing but the whole is expected to pass, takes half of what is many.
fn coarse(usual: usize) -> usize {
    match effort() {
        Effort::Full => usual.div_ceil(5),
        Effort::Usual if usual >= 7 => 2 * usual - 1,
        _ => usual,
    }
}

/// Has this process measure once what waiting awake costs, which every waiter does at its first wait; children inherit it.
fn calibrate() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let lock: Mutex<u32> = Mutex::new(0);
        let _guard = lock.lock().unwrap();
        assert!(matches!(lock.lock_timeout(Duration::from_micros(1)), Err(LockError::TimedOut)));
    });
}
