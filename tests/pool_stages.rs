//! A pool's tasks, workers and client fail in every way at every stage. The crate's backstop timeouts are off: a lost wake-up is a hang.

mod floors;
mod support;

mod pool {
    pub(crate) mod client;
    pub(crate) mod stages;
    pub(crate) mod stops;
}

use pool::{client, stages, stops};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(stages::each_stage_and_death_has_its_error),
        case!(stages::each_stage_and_panic_has_its_error),
        case!(stages::panics_of_threads_of_a_task),
        case!(stages::local_values_of_a_worker_harm_nobody),
        case!(stages::stages_in_a_map),
        case!(stages::each_end_of_an_initializer_has_its_error),
        case!(stages::memory_limit_ends_one_task),
        case!(stages::panics_where_memory_is_limited),
        case!(stages::ends_while_big_arguments_are_in_flight),
        case!(client::killed_with_pools_in_tasks).shown(),
        case!(client::killed_without_main_thread).shown(),
        case!(client::killed_after_its_main_thread_has_ended).shown(),
        case!(client::main_thread_ends_before_another_waits),
        case!(stops::stopped_idle_worker_is_replaced),
        case!(stops::stopped_task_without_a_deadline_is_let_be),
        case!(stops::stopped_worker_does_not_stop_an_end),
        case!(stops::workers_have_their_grace_period),
        case!(stops::second_stop_is_at_once),
        case!(stops::terminate_cancels_every_task),
        case!(client::interrupt_of_the_whole_group).shown(),
        case!(client::stopped_from_another_thread).shown(),
        case!(client::interrupt_without_a_handler).shown(),
    ])
}
