//! Queues as file descriptors, beside others: no poll here has a timeout, so a wake-up that is lost is a hang.

mod floors;
mod support;

mod pollable {
    pub(crate) mod api;
    pub(crate) mod deaths;
    pub(crate) mod reactor;
}

use pollable::{api, deaths, reactor};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(api::silent_while_nobody_polls),
        case!(api::every_way_to_receive_rests),
        case!(api::work_queues_tell),
        case!(api::work_queue_beside_a_stopped_sender),
        case!(api::holders_death_beside_a_work_queue),
        case!(api::closing_tells),
        case!(api::end_of_a_view_tells),
        case!(api::held_ends),
        case!(api::clones_and_grandchildren_tell),
        case!(api::wait_any_over_queues_and_a_child),
        case!(reactor::queues_pipe_and_child),
        case!(reactor::two_reactors),
        case!(reactor::tokio_async_fd),
        case!(deaths::senders),
        case!(deaths::senders_of_work),
        case!(deaths::pollers),
        case!(deaths::stopped_sender_costs_no_sleep_of_others),
    ])
}
