//! How long a sleeper at a lock waits after the lock's owner was killed.

use super::Figures;
use super::arena::arena;
use super::kernel;
use super::locks::{OutlivesOwner, PthreadMutex, Which};
use super::ours::SharedMutex;
use super::page::Page;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Nanoseconds from just before `kill(owner, SIGKILL)` until the sleeper owns the lock and knows of the death.
///
/// The owner keeps `resident` bytes and sleeps with the lock in hand; the sleeper is asleep in `lock` (procfs says so).
pub(crate) fn recovery(which: Which, resident: usize) -> Figures {
    arena(|| match which {
        Which::Ours => kill_owner(&SharedMutex::new(), resident),
        Which::PthreadRobust => kill_owner(&*PthreadMutex::new(which), resident),
        other => Err(format!("{} does not outlive its owner", other.name())),
    })
}

fn kill_owner(lock: &impl OutlivesOwner, resident: usize) -> Figures {
    let is_held = Page::new(AtomicU64::new(0));
    let owned_ns = Page::new(AtomicU64::new(0));
    // On a CPU each: else the sleeper may have to queue behind the teardown of the process whose death woke it.
    let cpus = kernel::cpus();
    let owner = kernel::fork(|| {
        kernel::pin(cpus[0]);
        kernel::make_resident(resident);
        lock.hold();
        is_held.store(1, Ordering::Release);
        kernel::pause_for_ever();
    });
    while is_held.load(Ordering::Acquire) == 0 {
        if kernel::ends_within(owner, Duration::from_millis(1)) {
            return Err("the owner ended before it held the lock".to_string());
        }
    }
    let sleeper = kernel::fork(|| {
        kernel::pin(cpus[cpus.len() - 1]);
        let owner_died = lock.lock_after_death();
        owned_ns.store(kernel::monotonic_ns(), Ordering::Release);
        assert!(owner_died, "the sleeper got the lock without hearing of its owner's death");
    });
    kernel::wait_until_asleep(sleeper)?;
    let killed_ns = kernel::monotonic_ns();
    kernel::kill(owner);
    kernel::wait(sleeper)?;
    let end = kernel::wait(owner);
    assert!(end.is_err(), "the owner ended by itself");
    Ok(vec![(owned_ns.load(Ordering::Acquire) - killed_ns) as f64])
}
