//! What the tests of shm, sync and queue share: workers that are processes or threads, and a look at this process's mappings.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

mod crew;
mod maps;

pub(crate) use crew::{By, Seats, crew};
pub(crate) use maps::{Mapping, mappings, open_files, page_bytes};

use offspring::proof::{Scenario, Scene};
use std::time::Duration;

/// Longer than anything here takes; what is not done by then hangs.
pub(crate) const LONG: Duration = Duration::from_secs(40);

/// Turns the crate's backstop timeouts off, for this process and its children, so that a lost wake-up is a hang and not a
/// delay.
pub(crate) fn without_backstop() {
    // A sweep does it; this one has nothing to kill.
    let scenario = Scenario::new("nothing", || ())
        .victim(|(), scene: &Scene| {
            scene.begin();
            scene.end();
        })
        .check(|(), _| Ok(0));
    let report = scenario.run().expect("a sweep over nothing");
    assert!(report.is_ok());
}
