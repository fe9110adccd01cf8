//! How many processes can run at once.

/// How many processes this one may keep busy: the CPUs in its affinity mask, or fewer if a control group's CPU quota (cgroup
/// v2 or v1, the whole path up) allows less. At least 1. Reads a few files; the answer can change while a program runs.
///
/// ```
/// assert!(offspring::available_workers() >= 1);
/// ```
pub fn available_workers() -> usize {
    // std asks sched_getaffinity and the quotas of both versions of control groups.
    std::thread::available_parallelism().map_or(1, usize::from)
}
