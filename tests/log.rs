//! Logging from many processes, what the runtime says, and what dead children leave.

mod support;

#[path = "log/dead.rs"]
mod dead;
#[path = "log/ears.rs"]
mod ears;
#[path = "log/faults.rs"]
mod faults;
#[path = "log/held.rs"]
mod held;
#[path = "log/life.rs"]
mod life;
#[path = "log/spans.rs"]
mod spans;
#[path = "log/stderr.rs"]
mod stderr;
#[path = "log/through.rs"]
mod through;

use support::case;

fn main() {
    support::run(&[
        case!(stderr::long_lines_of_many_writers_stay_whole),
        case!(stderr::record_is_one_write),
        case!(stderr::names_and_levels_are_inherited),
        case!(stderr::second_logger_is_an_error),
        case!(stderr::turn_of_a_killed_writer_passes_on),
        case!(stderr::stopped_writer_does_not_stop_the_others),
        case!(stderr::forks_beside_a_thread_that_logs),
        case!(through::records_arrive_with_name_pid_and_time),
        case!(through::standard_error_names_the_child),
        case!(through::full_queue_blocks_nobody),
        case!(through::closed_queue_and_large_records_are_losses),
        case!(through::thread_forwards_for_a_fork_server),
        case!(through::needs_a_logger_and_happens_once),
        case!(life::children_start_and_end),
        case!(life::children_of_a_parallel_call_run_its_function),
        case!(life::takeover_is_told_after_the_unlock),
        case!(life::guard_with_news_is_a_guard),
        case!(life::workers_are_replaced),
        case!(life::nothing_is_said_when_it_is_off),
        case!(life::nothing_is_said_to_strangers_when_it_is_off),
        case!(spans::events_have_their_spans),
        case!(dead::last_lines_and_task_are_in_the_error),
        case!(dead::killed_at_any_moment_leaves_whole_lines),
        case!(dead::threads_share_the_ring),
        case!(dead::next_child_begins_anew),
        case!(dead::bare_fork_leaves_the_words_alone),
        case!(faults::address_is_told),
        case!(faults::address_is_told_in_threads_and_grandchildren),
        case!(faults::address_is_told_by_pools_and_fork_servers),
        case!(faults::stack_overflow_has_its_message),
        case!(faults::handlers_of_the_program_are_called),
        case!(faults::parent_has_no_handler),
        case!(held::locks_are_named),
        case!(held::locks_of_all_kinds_are_named),
        case!(held::takeover_hides_nothing),
        case!(held::pool_tells_which_locks_its_worker_held),
        case!(held::old_names_do_not_come_back),
        case!(held::thousands_of_locks),
        case!(held::memory_comes_and_goes_meanwhile),
        case!(held::forks_beside_a_look),
    ])
}
