//! Pipes: messages, ends of stream across forks, deaths, signals; and `wait_any`.

mod floors;
mod support;

mod pipe {
    pub(crate) mod api;
    pub(crate) mod deaths;
    pub(crate) mod end_of_stream;
    pub(crate) mod errors;
    pub(crate) mod sizes;
    pub(crate) mod waiting;
}

use pipe::{api, deaths, end_of_stream, errors, sizes, waiting};
use support::case;

fn main() {
    support::run(&[
        case!(api::both_directions),
        case!(api::three_messages_stay_three),
        case!(api::a_zero_length_message_is_a_message),
        case!(api::descriptors_beyond_256),
        case!(api::clones_are_ends_of_their_own),
        case!(api::threads_share_an_end),
        case!(api::serde_code_may_use_pipes),
        case!(api::no_descriptor_is_left),
        case!(sizes::every_size_arrives),
        case!(sizes::too_small_a_buffer_keeps_the_message),
        case!(sizes::buffers_of_two_sizes_lose_nothing),
        case!(sizes::sixteen_mebibytes_between_processes),
        case!(sizes::a_megabyte_sent_exited_joined_read),
        case!(sizes::a_small_send_buffer),
        case!(sizes::a_fast_sender_of_big_messages_waits),
        case!(errors::out_of_turn_consumes_that_message_alone),
        case!(errors::a_decoding_error_consumes_that_message_alone),
        case!(errors::failing_to_send_gives_the_message_back),
        case!(errors::what_was_sent_arrives_though_the_sender_had_not_read),
        case!(errors::no_descriptor_for_what_arrives),
        case!(end_of_stream::arrives_in_the_child),
        case!(end_of_stream::arrives_in_the_parent),
        case!(end_of_stream::siblings_hold_nothing_back),
        case!(end_of_stream::between_siblings),
        case!(end_of_stream::nested_children),
        case!(end_of_stream::arrives_when_the_parent_is_killed),
        case!(end_of_stream::moved_in_containers),
        case!(end_of_stream::in_a_scope),
        case!(end_of_stream::using_what_was_not_moved_says_so),
        case!(end_of_stream::a_borrowed_number_never_names_something_else),
        case!(end_of_stream::a_drop_that_panics_or_spawns),
        case!(end_of_stream::many_ends),
        case!(end_of_stream::a_child_that_is_killed_before_it_is_told),
        case!(deaths::killed_senders_leave_whole_messages),
        case!(deaths::killed_receivers_take_one_message_at_most),
        case!(waiting::timeouts_while_the_other_side_is_stopped),
        case!(waiting::signals_in_every_blocking_call),
        case!(waiting::wait_any_multiplexes),
        case!(waiting::wait_any_forms),
        case!(waiting::a_blocked_send_hears_of_the_end),
    ])
}
