//! Process trees seen from outside: deadlocks, depths, sleepers, pools, strangers, and looks while everything changes.
#![expect(unsafe_code, reason = "maps a file that only looks like a roster")]

mod support;

mod top {
    pub(crate) mod deadlocks;
    pub(crate) mod sleepers;
    pub(crate) mod strangers;
    pub(crate) mod traffic;
    pub(crate) mod works;
}

use offspring::observe::{Snapshot, Wait};
use std::time::Duration;
use support::{case, until};
use top::{deadlocks, sleepers, strangers, traffic, works};

fn main() {
    support::run(&[
        case!(deadlocks::two_locks_two_processes),
        case!(deadlocks::a_circle_of_five_and_one_who_waits_for_it),
        case!(deadlocks::readers_of_each_other),
        case!(deadlocks::one_with_a_deadline_says_so),
        case!(deadlocks::a_dead_owner_is_no_deadlock),
        case!(sleepers::each_kind_is_named),
        case!(sleepers::time_passes),
        case!(sleepers::tree_is_told),
        case!(works::depths_are_known),
        case!(works::rates_are_those_between_two_looks),
        case!(works::pool_has_lost_a_worker),
        case!(works::names_end_and_begin),
        case!(strangers::are_refused_by_name),
        case!(strangers::another_version_is_refused),
        case!(traffic::looks_among_deaths).shown().deadline_s(300),
    ])
}

/// Looks at this process's tree until it is as it should be.
fn look_until(what: &str, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let mut last = None;
    let came = until(
        || {
            let snapshot = offspring::snapshot(std::process::id()).expect("a look");
            let is_so = is_so(&snapshot);
            last = Some(snapshot);
            is_so
        },
        Duration::from_secs(30),
    );
    assert!(came, "expected {what}, got {last:#?}");
    last.expect("a look")
}

/// What the process of this name sleeps on.
fn wait_of<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Wait> {
    snapshot.waits().find(|(process, ..)| process.name == name).map(|(_, _, wait)| wait)
}
