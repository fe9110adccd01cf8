//! A pool's tasks, workers and client fail in every way at every stage. The crate's backstop timeouts are off: a lost wake-up is a hang.

mod floors;
mod support;

mod pool {
    pub(crate) mod client;
    pub(crate) mod stages;
}

use pool::{client, stages};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(stages::each_stage_and_death_has_its_error),
        case!(stages::each_stage_and_panic_has_its_error),
        case!(stages::stages_in_a_map),
        case!(stages::each_end_of_an_initializer_has_its_error),
        case!(stages::memory_limit_ends_one_task),
        case!(stages::ends_while_big_arguments_are_in_flight),
        case!(client::main_thread_ends_before_another_waits),
        case!(client::stopped_worker_does_not_stop_an_end),
        case!(client::interrupt_of_the_whole_group).shown(),
        case!(client::stopped_from_another_thread).shown(),
        case!(client::interrupt_without_a_handler).shown(),
    ])
}
