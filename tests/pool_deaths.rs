//! Pools whose processes are killed at random: every task has exactly one outcome, nobody waits for ever, and nothing is left.
//! The crate's backstop timeouts are off. Seeds are printed.

mod floors;
mod support;

mod pool {
    pub(crate) mod deaths;
}

use pool::deaths;
use support::case;

fn main() {
    floors::without_backstop();
    support::run(&[
        case!(deaths::workers_killed_at_random).shown().deadline_s(600),
        case!(deaths::workers_killed_at_random_with_retries).shown().deadline_s(600),
        case!(deaths::supervisors_killed_at_random).shown().deadline_s(600),
        case!(deaths::cancels_among_deaths).shown().deadline_s(600),
        case!(deaths::workers_stopped_at_random).shown().deadline_s(600),
        case!(deaths::client_killed),
        case!(deaths::client_killed_whose_forking_thread_has_ended),
        case!(deaths::outcome_of_a_killed_worker_is_there_at_once).shown(),
    ])
}
