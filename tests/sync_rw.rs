//! The lock for readers and writers, the lock that its owner may lock again, the value that is computed once: between
//! processes and between threads, with deaths.
//!
//! The crate's backstop timeouts are off here: a lost wake-up is a hang.

mod floors;
mod support;

mod sync_rw {
    pub(crate) mod deaths;
    pub(crate) mod once;
    pub(crate) mod random;
    pub(crate) mod reentrant;
    pub(crate) mod rwlock;
    pub(crate) mod waiting;
}

use support::case;
use sync_rw::{deaths, once, random, reentrant, rwlock, waiting};

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(rwlock::readers_beside_writers),
        case!(rwlock::try_and_timeouts),
        case!(rwlock::many_shares_of_one_thread),
        case!(rwlock::waiting_for_oneself_panics_or_times_out),
        case!(rwlock::downgraded_without_a_gap),
        case!(rwlock::private_locks_may_be_forgotten_moved_and_dropped),
        case!(rwlock::inherited_guards_are_dead_weight),
        case!(rwlock::panic_of_a_writer_is_reported),
        case!(rwlock::panic_of_a_reader_is_no_news),
        case!(waiting::readers_do_not_overtake_a_waiting_writer),
        case!(waiting::shares_while_a_writer_waits),
        case!(waiting::sixty_fifth_reader),
        case!(waiting::sixty_four_that_end_with_their_shares),
        case!(waiting::signals_end_no_wait),
        case!(waiting::stopped_holders_and_timeouts),
        case!(waiting::timeouts_beside_waiters),
        case!(deaths::shares_of_the_dead_return),
        case!(deaths::readers_killed_while_a_writer_sleeps),
        case!(deaths::writer_killed_while_others_sleep),
        case!(deaths::writer_killed_while_it_waits_is_no_news),
        case!(deaths::killed_sleepers_take_nothing_with_them),
        case!(deaths::killed_on_the_way_from_a_wake_up),
        case!(deaths::mark_stays_until_a_writer_recovers),
        case!(random::kills).deadline_s(120),
        case!(reentrant::depth),
        case!(reentrant::exclusion),
        case!(reentrant::try_and_timeouts),
        case!(reentrant::panics_and_inherited_guards),
        case!(reentrant::deaths),
        case!(once::one_runs_it),
        case!(once::values_come_back),
        case!(once::failed_initialisers),
        case!(once::dead_initialisers),
        case!(once::waiters),
        case!(once::killed_waiters),
        case!(once::signals_and_stops),
        case!(once::inherited_initialisers),
    ])
}
