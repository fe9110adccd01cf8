//! `WorkQueue` and `JoinableQueue`, between processes and between threads. The crate's backstop timeouts are off: a lost
//! wake-up is a hang.

mod floors;
mod support;

mod work {
    pub(crate) mod api;
    pub(crate) mod deaths;
    pub(crate) mod joinable;
    pub(crate) mod letters;
    pub(crate) mod lockstep;
    pub(crate) mod stopped;
    pub(crate) mod stress;
}

use support::case;
use work::{api, deaths, joinable, letters, lockstep, stopped, stress};

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(api::order_attempts_and_counts),
        case!(api::given_back_keeps_its_place),
        case!(api::values_of_all_shapes),
        case!(api::errors_give_the_item_back),
        case!(api::limits_are_checked),
        case!(api::in_region),
        case!(api::long_delivery_costs_one_place),
        case!(api::blocked_sender_gets_room),
        case!(api::close_waits_for_deliveries),
        case!(api::iterators_end_when_closed),
        case!(api::timeouts),
        case!(api::panic_gives_back),
        case!(deaths::killed_holders_item_comes_first),
        case!(deaths::killed_inside_recv),
        case!(deaths::sleeping_receiver_learns_at_once),
        case!(deaths::ended_thread_is_dead),
        case!(deaths::many_holders),
        case!(deaths::killed_asleep_harms_nobody),
        case!(deaths::inherited_delivery_is_a_copy),
        case!(deaths::closed_queue_ends_after_the_last_death),
        case!(letters::after_max_attempts),
        case!(letters::undecodable_items),
        case!(letters::bytes_left_over_are_an_error),
        case!(letters::taken_and_retried),
        case!(letters::keep_their_places),
        case!(stopped::stopped_holder_keeps_its_item),
        case!(stopped::timeouts_in_time_beside_a_stopped_process),
        case!(stopped::signals_interrupt_nothing),
        case!(joinable::done_and_joined),
        case!(joinable::more_calls_than_items),
        case!(joinable::dead_worker_is_replaced),
        case!(joinable::join_reports_dead_letters),
        case!(joinable::join_timeout),
        case!(joinable::join_for_oneself_panics),
        case!(lockstep::random_scripts_with_deaths).shown(),
        case!(stress::exactly_once),
        case!(stress::random_death).deadline_s(300).shown(),
    ])
}
