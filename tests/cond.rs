//! The condition variable and the event, between processes and between threads.
//!
//! The crate's backstop timeouts are off here: a lost wake-up is a hang.
#![expect(unsafe_code, reason = "a timer signal")]

mod floors;
mod support;

mod cond {
    pub(crate) mod condvar;
    pub(crate) mod deaths;
    pub(crate) mod event;
    pub(crate) mod hindered;
    pub(crate) mod stress;
}

use cond::{condvar, deaths, event, hindered, stress};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(condvar::notify_one_wakes_one),
        case!(condvar::notify_all_wakes_all),
        case!(condvar::notifications_are_not_remembered),
        case!(condvar::wait_while_and_its_timeouts),
        case!(condvar::timeouts_pass_and_give_the_lock_back),
        case!(condvar::bounded_buffer),
        case!(condvar::two_condvars_of_one_mutex),
        case!(condvar::panics_on_misuse),
        case!(event::set_wakes_all),
        case!(event::set_and_clear_at_once_wakes_all_who_wait),
        case!(event::timeouts),
        case!(event::relay),
        case!(deaths::killed_sleepers_block_no_notifier),
        case!(deaths::killed_sleepers_block_no_setter),
        case!(deaths::consumer_killed_after_its_wake_up),
        case!(deaths::owner_killed_while_others_wait),
        case!(deaths::notified_waiter_killed_as_the_owner),
        case!(deaths::owner_with_other_business_killed),
        case!(hindered::stopped_owner_and_wait_timeout),
        case!(hindered::stopped_peers_and_event),
        case!(hindered::signals_during_each_wait),
        case!(stress::buffer_with_deaths).deadline_s(120),
        case!(stress::relay_with_deaths).deadline_s(120),
    ])
}
