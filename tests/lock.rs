//! The lock, between processes and between threads.
//!
//! The crate's backstop timeouts are off here: a lost wake-up is a hang.
#![expect(
    unsafe_code,
    reason = "pthread mutexes, and a promise that a lock_api mutex may be shared"
)]

mod floors;
mod support;

mod lock {
    pub(crate) mod basics;
    pub(crate) mod deaths;
    pub(crate) mod forgotten;
    pub(crate) mod pthread;
}

use lock::{basics, deaths, forgotten, pthread};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(basics::mutual_exclusion),
        case!(basics::try_and_timeouts),
        case!(basics::timeouts_beside_waiters),
        case!(basics::relocking_panics_or_times_out),
        case!(basics::private_locks_may_be_forgotten_moved_and_dropped),
        case!(basics::inherited_guards_are_dead_weight),
        case!(basics::child_is_another_owner),
        case!(basics::panic_with_the_guard_is_reported),
        case!(basics::guard_taken_while_unwinding_is_no_news),
        case!(basics::lock_api_mutex),
        case!(basics::many_short_lives).deadline_s(120),
        case!(basics::counters_count),
        case!(deaths::each_way_to_die),
        case!(deaths::exec_is_a_death),
        case!(deaths::names_of_the_dead),
        case!(deaths::mark_stays_until_recovered),
        case!(deaths::sleepers_get_a_dead_owners_lock),
        case!(deaths::killed_sleepers_take_nothing_with_them),
        case!(deaths::killed_on_the_way_from_a_wake_up),
        case!(deaths::nested_locks_of_a_killed_owner),
        case!(deaths::random_kills).deadline_s(120),
        case!(deaths::timed_waiters_get_a_dead_owners_lock),
        case!(forgotten::guard_leaves_nothing_dangling),
        case!(forgotten::end_of_a_queue_leaves_nothing_dangling),
        case!(forgotten::end_given_back_while_a_lock_is_held_takes_no_alarm_with_it),
        case!(pthread::robust_mutexes_and_ours_in_any_order),
    ])
}
