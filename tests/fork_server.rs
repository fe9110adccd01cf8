//! The fork server: what its children have and give back, who may die when, and what is left.

mod floors;
mod support;

#[path = "fork_server/children.rs"]
mod children;
#[path = "fork_server/deaths.rs"]
mod deaths;
#[path = "fork_server/traces.rs"]
mod traces;

use support::case;

fn main() {
    support::run(&[
        case!(children::functions_and_closures_return),
        case!(children::arguments_and_results_of_any_size),
        case!(children::arguments_that_do_not_encode_come_back),
        case!(children::arguments_that_do_not_decode_are_said_so),
        case!(children::ends_of_all_kinds_arrive),
        case!(children::names_and_relatives),
        case!(children::many_threads_spawn),
        case!(children::threads_hold_locks_meanwhile),
        case!(children::descriptors_arrive),
        case!(children::shared_memory_and_locks_work),
        case!(children::c_locks_of_dead_children_are_told),
        case!(children::children_start_threads_and_children),
        case!(children::hooks_run_in_children_only),
        case!(children::interrupts_are_for_children),
        case!(children::lost_exit_status_is_no_loss),
        case!(children::server_of_another_process_is_refused),
        case!(deaths::client_takes_all_with_it),
        case!(deaths::client_killed_at_any_moment_takes_all_with_it),
        case!(deaths::child_that_may_outlives_its_client),
        case!(deaths::dead_server_is_started_anew),
        case!(deaths::dead_server_is_named_where_threads_forbid_another),
        case!(deaths::server_killed_by_its_child_loses_nobody),
        case!(deaths::server_killed_at_random_loses_nobody),
        case!(deaths::dropped_server_is_gone),
        case!(traces::nothing_piles_up),
        case!(traces::server_without_room_survives),
        case!(traces::line_is_the_clients_alone),
        case!(traces::big_client_has_small_children),
    ])
}
