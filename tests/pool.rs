//! `Pool`: its calls, its ends, and what kills its workers. The crate's backstop timeouts are off: a lost wake-up is a hang.

mod floors;
mod support;

mod pool {
    pub(crate) mod api;
    pub(crate) mod failures;
    pub(crate) mod map;
    pub(crate) mod numbers;
}

use pool::{api, failures, map, numbers};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(api::submit_and_wait),
        case!(api::submit_all),
        case!(api::more_tasks_than_capacity),
        case!(api::one_free_slot_is_enough),
        case!(api::payloads_of_all_sizes),
        case!(api::panics_are_errors_of_their_task),
        case!(api::cancel_queued_and_running),
        case!(api::deadlines),
        case!(api::resize_and_names),
        case!(api::many_threads),
        case!(api::leaves_nothing).deadline_s(900),
        case!(map::map_in_order),
        case!(map::errors_at_items),
        case!(numbers::numbers_travel_as_they_are),
        case!(numbers::numbers_that_fail),
        case!(numbers::payloads_about_the_limits),
        case!(map::several_maps_at_once),
        case!(map::imap_takes_only_the_window),
        case!(map::waiting_for_several),
        case!(map::callbacks),
        case!(map::futures_without_a_thread),
        case!(map::futures_under_tokio),
        case!(failures::each_end_of_a_worker_has_its_error),
        case!(failures::killed_idle_worker_is_replaced),
        case!(failures::crashing_task_stops_after_its_attempts),
        case!(failures::failing_initializer_is_an_error),
        case!(failures::failing_initializer_forks_no_more_than_its_limit),
        case!(failures::supervisor_killed),
        case!(failures::shutdown_forms),
        case!(failures::dropped_in_a_panic),
        case!(failures::workers_ignore_interrupts),
        case!(failures::two_hundred_workers),
        case!(failures::big_arguments_in_flight),
        case!(failures::inherited_handles_do_nothing),
    ])
}
