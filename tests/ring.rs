//! The ring queue, between processes and between threads.
//!
//! The names in `crossbeam` and `stress` are those of crossbeam-channel's own tests. The crate's backstop
//! timeouts are off here: a lost wake-up is a hang.

mod floors;
mod support;

mod ring {
    pub(crate) mod api;
    pub(crate) mod crossbeam;
    pub(crate) mod ends;
    pub(crate) mod stress;
}

use ring::{api, crossbeam, ends, stress};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(crossbeam::smoke),
        case!(crossbeam::capacity),
        case!(crossbeam::len_empty_full),
        case!(crossbeam::try_recv),
        case!(crossbeam::recv),
        case!(crossbeam::recv_timeout),
        case!(crossbeam::try_send),
        case!(crossbeam::send),
        case!(crossbeam::send_timeout),
        case!(crossbeam::send_after_close),
        case!(crossbeam::recv_after_close),
        case!(crossbeam::len),
        case!(crossbeam::close_wakes_sender),
        case!(crossbeam::close_wakes_receiver),
        case!(stress::spsc),
        case!(stress::mpmc),
        case!(stress::stress_oneshot),
        case!(stress::stress_iter),
        case!(stress::stress_timeout),
        case!(stress::linearizable),
        case!(stress::fairness),
        case!(stress::drops),
        case!(ends::message_wakes_the_holder_past_an_older_sleeper),
        case!(ends::room_wakes_the_holder_past_an_older_sleeper),
        case!(ends::timeout_at_a_held_end_passes_the_message_on),
        case!(ends::timeout_at_a_held_end_passes_the_room_on),
        case!(ends::held_ends_keep_others_out),
        case!(ends::close_reaches_those_behind_held_ends),
        case!(ends::last_message_of_a_closed_queue_ends_those_behind_the_holder),
        case!(ends::try_send_on_a_closed_queue_says_so_though_the_end_is_held),
        case!(ends::holding_twice_panics),
        case!(ends::inherited_ends_panic_and_drop_quietly),
        case!(ends::dead_holders_end_goes_to_the_next),
        case!(api::capacity_errors),
        case!(api::in_region),
        case!(api::send_many_and_recv_many),
        case!(api::close_stops_send_many_in_the_middle),
        case!(api::message_types),
        case!(api::three_generations),
        case!(api::random_scripts),
        case!(api::order_and_exactly_once).deadline_s(120),
        case!(api::close_loses_nothing_that_was_accepted).deadline_s(120),
        case!(api::dead_senders_leave_it_open),
    ])
}
