//! The message queue, between processes and between threads. The crate's backstop timeouts are off here: a lost wake-up is a hang.

mod floors;
mod support;

mod message {
    pub(crate) mod api;
    pub(crate) mod deaths;
    pub(crate) mod pages;
    pub(crate) mod python;
    pub(crate) mod scripts;
    pub(crate) mod stress;
}

use message::{api, deaths, python, scripts, stress};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(api::vectors_of_bytes_travel_as_postcard),
        case!(api::values_of_many_types),
        case!(api::errors_give_the_message_back),
        case!(api::too_large_names_both_sizes),
        case!(api::decoding_error_consumes_that_message_alone),
        case!(api::buffer_too_small_leaves_the_message),
        case!(api::views_lend_and_consume),
        case!(api::view_put_back_is_next),
        case!(api::view_does_not_hold_up_others),
        case!(api::inherited_view_panics_and_drops_quietly),
        case!(api::timeouts),
        case!(api::close_wakes_and_drains),
        case!(api::closed_queue_waits_for_a_view_elsewhere),
        case!(api::capacity),
        case!(python::megabyte_sent_exited_joined_then_read),
        case!(python::len_right_after_a_send_elsewhere),
        case!(python::zero_length),
        case!(python::three_stay_three),
        case!(python::reader_killed_inside_recv),
        case!(python::signals_during_blocking_calls),
        case!(python::timeouts_beside_stopped_processes),
        case!(deaths::sender_dies_in_its_copy),
        case!(deaths::voids_leave_room_for_a_sender_alone),
        case!(deaths::receiver_dies_in_its_copy),
        case!(deaths::receiver_dies_in_its_copy_while_others_sleep),
        case!(deaths::view_holder_dies_while_others_sleep),
        case!(deaths::view_holder_dies_on_a_closed_queue),
        case!(deaths::stopped_sender_is_overtaken),
        case!(deaths::room_behind_a_dead_view),
        case!(scripts::against_a_model),
        case!(scripts::wraps_around_at_every_offset),
        case!(stress::order_and_exactly_once).deadline_s(120),
        case!(stress::random_deaths).deadline_s(120),
    ])
}
