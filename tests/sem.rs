//! The semaphore and the barrier, between processes and between threads.
//!
//! The crate's backstop timeouts are off here: a lost wake-up is a hang.

mod floors;
mod support;

mod sem {
    pub(crate) mod barrier;
    pub(crate) mod barrier_deaths;
    pub(crate) mod semaphore;
    pub(crate) mod semaphore_deaths;
    pub(crate) mod signals;
}

use sem::{barrier, barrier_deaths, semaphore, semaphore_deaths, signals};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(semaphore::permits_are_bounded),
        case!(semaphore::spare_permits_are_bounded),
        case!(semaphore::try_and_timeouts),
        case!(semaphore::signals_are_not_lost),
        case!(semaphore::forget_and_add),
        case!(semaphore::limits),
        case!(semaphore::more_holders_than_places),
        case!(semaphore::inherited_permits_are_dead_weight),
        case!(semaphore_deaths::permits_of_the_dead_return),
        case!(semaphore_deaths::sleepers_get_a_dead_ones_permits),
        case!(semaphore_deaths::a_new_holder_is_watched),
        case!(semaphore_deaths::killed_sleepers_take_nothing_with_them),
        case!(semaphore_deaths::random_kills).deadline_s(120),
        case!(barrier::rounds),
        case!(barrier::alone),
        case!(barrier::timeout_breaks_it_for_all),
        case!(barrier::abort_and_reset),
        case!(barrier::limits),
        case!(barrier_deaths::killed_waiter_is_named),
        case!(barrier_deaths::killed_waiter_with_nobody_asleep),
        case!(barrier_deaths::a_round_that_is_over_stays_so),
        case!(barrier_deaths::random_kills).deadline_s(120),
        case!(signals::stopped_in_the_middle),
        case!(signals::stopped_parties),
        case!(signals::interrupted),
    ])
}
