//! `top --once` against a tree with a known deadlock, a known queue depth and a worker that has just been killed.
#![expect(unsafe_code, reason = "lets `top` look, whatever Yama says")]

use super::super::support::until;
use offspring::{Barrier, Builder, Mutex, Pool, RingQueue, Shared, at_fork_child, snapshot};
use serde_json::Value;
use std::time::Duration;

const TOP: &str = "top";

/// `top` is no ancestor of this tree; where Yama asks for that, this lets it look nevertheless.
fn be_seen() {
    // SAFETY: prctl with numbers; where there is no Yama it is an error without an effect.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::c_ulong::MAX, 0, 0, 0) };
}

fn hang(_: u64) {
    loop {
        std::thread::park();
    }
}

fn find(list: &Value, is: impl Fn(&Value) -> bool) -> &Value {
    let list = list.as_array().expect("a list");
    list.iter().find(|value| is(value)).unwrap_or_else(|| panic!("not in {list:#?}"))
}

pub(crate) fn tells_deadlock_depth_and_death() {
    be_seen();
    at_fork_child(be_seen);
    let me = std::process::id();
    let lock = |name| Shared::new(Mutex::new(0u64)).unwrap().named(name);
    let (left, right, meet) = (lock("left"), lock("right"), Shared::new(Barrier::new(2)).unwrap());
    let takes = |name: &str, first: &Shared<Mutex<u64>>, second: &Shared<Mutex<u64>>| {
        let body = || {
            let _first = first.lock().unwrap();
            meet.wait().unwrap();
            let _second = second.lock().unwrap();
        };
        Builder::new().name(name).spawn(body).unwrap()
    };
    let (ann, bob) = (takes("ann", &left, &right), takes("bob", &right, &left));
    let jobs = RingQueue::<u64>::new(64).unwrap().named("jobs");
    (0..23).for_each(|n| jobs.send(n).unwrap());
    let pool = Pool::builder().workers(1).name("mill").build().unwrap();
    let task = pool.submit(hang, 1).unwrap();
    let worker = || {
        let seen = snapshot(me).ok()?;
        let seat = seen.pools.first()?.seats.first()?.clone();
        seat.task.and(seat.worker)
    };
    let mut victim = None;
    let runs = || {
        victim = worker();
        victim.is_some()
    };
    assert!(until(runs, Duration::from_secs(30)), "the task runs");
    let victim = victim.unwrap();
    let pid = nix::unistd::Pid::from_raw(victim.pid as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(task.wait().is_err());
    let is_known = || {
        let seen = snapshot(me).unwrap();
        seen.pools[0].restarts == 1 && !seen.deadlocks.is_empty()
    };
    assert!(until(is_known, Duration::from_secs(30)), "a restart and a deadlock");

    let (out, err, status) = crate::run(TOP, &[&me.to_string(), "--once", "--over", "10"]);
    assert_eq!((err.as_str(), status), ("", 0));
    let seen: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(seen["pid"], me);
    let members = seen["deadlocks"][0]["members"].as_array().expect("members");
    assert_eq!(members.len(), 2);
    for (child, lock) in [(&ann, "right"), (&bob, "left")] {
        let member =
            find(&seen["deadlocks"][0]["members"], |it| it["waiter"]["pid"] == child.pid());
        assert_eq!(member["waits_for"]["name"], lock);
        let process = find(&seen["processes"], |it| it["pid"] == child.pid());
        assert_eq!((&process["name"], &process["state"]), (&child.name().into(), &"S".into()));
        assert_eq!(process["threads"][0]["wait"]["object"]["name"], lock);
        assert!(process["threads"][0]["wait"]["for_s"].as_f64().expect("seconds") >= 0.0);
    }
    let queue = find(&seen["queues"], |it| it["object"]["name"] == "jobs");
    assert_eq!((&queue["depth"], &queue["capacity"]), (&23.into(), &64.into()));
    assert_eq!(queue["sent_per_s"], 0.0);
    let pool = find(&seen["pools"], |it| it["object"]["name"] == "mill");
    assert_eq!((&pool["restarts"], &pool["seats"][0]["ends"]), (&1.into(), &1.into()));
    let death = &pool["seats"][0]["last_death"];
    assert_eq!(death["pid"], victim.pid);
    assert!(death["how"].as_str().expect("a text").contains("SIGKILL"), "{death}");
    for child in [ann, bob] {
        child.kill().unwrap();
        drop(child.join());
    }
}

pub(crate) fn refuses_in_one_line() {
    let (out, err, status) = crate::run(TOP, &["1", "2"]);
    assert_eq!((out.as_str(), status, err.lines().count()), ("", 2, 1));
    let (out, err, status) = crate::run(TOP, &["--once", &std::process::id().to_string()]);
    assert_eq!((out.as_str(), status, err.lines().count()), ("", 1, 1));
    assert!(err.contains(&format!("look at process {}", std::process::id())), "{err}");
}
