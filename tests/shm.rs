//! Shared memory: what is placed, who sees it, what is left, what it costs.
#![expect(unsafe_code, reason = "mounts and limits, in processes of their own")]

mod floors;
mod support;

mod shm {
    pub(crate) mod limits;
    pub(crate) mod place;
}

use shm::{limits, place};
use support::case;

fn main() {
    support::run(&[
        case!(place::values_and_slices),
        case!(place::alignment),
        case!(place::exhaustion_is_an_error_at_the_call),
        case!(place::impossible_regions_are_errors),
        case!(place::children_see_values_and_write_them),
        case!(place::processes_place_at_once_without_overlap),
        case!(place::panic_while_placing_costs_room_alone),
        case!(place::last_handle_unmaps),
        case!(place::death_leaves_the_others_handles),
        case!(limits::nothing_is_left_in_the_file_system),
        case!(limits::works_without_dev_shm),
        case!(limits::works_with_64_file_descriptors),
        case!(limits::no_descriptor_left_is_an_error),
        case!(limits::a_mutex_costs_a_page),
        case!(limits::a_ring_costs_its_slots_and_a_kilobyte),
        case!(limits::memory_is_committed_when_placed),
    ])
}
