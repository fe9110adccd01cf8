//! Pools whose processes come from a fork server. The crate's backstop timeouts are off: a lost wake-up is a hang.

mod floors;
mod support;

mod pool_fork_server {
    pub(crate) mod deaths;
    pub(crate) mod options;
    pub(crate) mod tasks;
    pub(crate) mod traces;
}

use pool_fork_server::{deaths, options, tasks, traces};
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(tasks::threads_make_and_use_pools),
        case!(tasks::payloads_of_all_sizes),
        case!(tasks::each_task_has_its_outcome),
        case!(tasks::descriptor_tells_callbacks_and_futures),
        case!(tasks::workers_have_what_the_server_had),
        case!(options::initializers),
        case!(options::failing_initializer_is_an_error),
        case!(options::limits_and_sizes),
        case!(options::all_ends),
        case!(options::bad_orders_are_errors),
        case!(options::function_that_workers_lack_is_refused),
        case!(deaths::killed_worker_is_replaced_by_the_supervisor),
        case!(deaths::workers_killed_at_random),
        case!(deaths::server_dead_before_build),
        case!(deaths::server_dead_after_build),
        case!(deaths::supervisor_killed),
        case!(deaths::supervisor_killed_at_its_birth),
        case!(deaths::main_thread_ends_before_another_waits),
        case!(deaths::client_takes_all_with_it),
        case!(deaths::client_killed_at_any_moment),
        case!(traces::nothing_piles_up),
        case!(traces::region_lies_elsewhere_with_the_same_alarms),
        case!(traces::big_client_has_small_workers),
    ])
}
