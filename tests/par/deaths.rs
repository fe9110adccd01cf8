//! What panics, ends or is killed in the middle: the rest has results, and what has none is named.

use super::support::{self, until};
use super::{LONG, Par, SharedVec, children, mappings, open_files, par_map, spawn};
use nix::sys::signal::{Signal as Nix, kill};
use nix::unistd::Pid;
use offspring::par::{Failure, Reason};
use offspring::{Exit, ParError, Shared, Signal};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Every item is either there or in exactly one failure.
fn check_whole<R>(error: &ParError<R>, items: usize) {
    assert!(error.error().is_none(), "{error}");
    let mut named = vec![0; items];
    for failure in error.failures() {
        assert!(failure.items().contains(&failure.at()), "{failure:?}");
        failure.items().for_each(|item| named[item] += 1);
    }
    assert_eq!(error.partial().len(), items);
    for (item, result) in error.partial().iter().enumerate() {
        assert_eq!(named[item], u32::from(result.is_none()), "item {item}: {error:?}");
    }
}

pub(crate) fn panic_names_its_item() {
    let items: Vec<u32> = (0..100).collect();
    let one = |n: &u32| if [17, 18, 99].contains(n) { panic!("no {n}") } else { *n };
    let encoded = Par::new().workers(2).map(&items, one).unwrap_err();
    let plain = Par::new().workers(3).chunk(40).map_plain(&items, one).unwrap_err();
    for error in [encoded, plain] {
        check_whole(&error, 100);
        let message = |failure: &Failure| failure.panic().unwrap().message().to_owned();
        let told: Vec<_> = error.failures().iter().map(|f| (f.items(), message(f))).collect();
        assert_eq!(told, [17, 18, 99].map(|n| (n..n + 1, format!("no {n}"))));
        let report = error.failures()[0].panic().unwrap();
        assert!(report.location().unwrap().file().ends_with("deaths.rs"));
        assert!(report.process().name().starts_with("par-"));
    }
}

fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 1000]);
    if depth == u64::MAX { 0 } else { overflow(depth + 1) + frame[7] }
}

fn kill_self() {
    let _ = kill(Pid::this(), Nix::SIGKILL);
}

pub(crate) fn every_end_names_its_items() {
    let ends: [(fn(), Exit); 5] = [
        (kill_self, Exit::Signal(Signal::KILL)),
        (|| std::process::abort(), Exit::Signal(Signal::ABRT)),
        (|| std::process::exit(3), Exit::Code(3)),
        (|| std::process::exit(0), Exit::Code(0)),
        (|| assert_eq!(overflow(0), 0), Exit::Signal(Signal::ABRT)),
    ];
    let items: Vec<u32> = (0..50).collect();
    for (end, expected) in ends {
        for workers in [1, 2, 3] {
            let error = Par::new()
                .workers(workers)
                .map(&items, |n| {
                    if *n == 20 {
                        end();
                    }
                    *n
                })
                .unwrap_err();
            check_whole(&error, 50);
            let [failure] = error.failures() else { panic!("{error:?}") };
            assert_eq!(
                (failure.items(), failure.at(), failure.exit()),
                (20..21, 20, Some(&expected))
            );
            assert!(error.to_string().contains("item 20: the worker par-"), "{error}");
        }
    }
}

pub(crate) fn all_but_the_dead_have_results() {
    let items: Vec<u32> = (0..60).collect();
    let error = Par::new()
        .workers(2)
        .map(&items, |n| {
            if n % 2 == 0 {
                kill_self();
            }
            n.to_string()
        })
        .unwrap_err();
    check_whole(&error, 60);
    assert_eq!(error.failures().len(), 30);
    assert!(error.partial().iter().skip(1).step_by(2).all(Option::is_some));
    assert!(error.to_string().starts_with("30 of 60 items failed: item 0: "), "{error}");
    assert!(error.to_string().ends_with("and 27 more"), "{error}");
}

pub(crate) fn plain_results_before_a_death_are_kept() {
    let items: Vec<u32> = (0..100).collect();
    let ends_at_30 = |n: &u32| {
        if *n == 30 {
            kill_self();
        }
        *n
    };
    let par = Par::new().workers(1).chunk(50);
    let error = par.map_plain(&items, ends_at_30).unwrap_err();
    check_whole(&error, 100);
    assert_eq!((error.failures()[0].items(), error.failures()[0].at()), (30..50, 30));
    // Those that are encoded are sent at the end of a chunk.
    let error = par.map(&items, ends_at_30).unwrap_err();
    check_whole(&error, 100);
    assert_eq!((error.failures()[0].items(), error.failures()[0].at()), (0..50, 30));
}

pub(crate) fn chunk_of_a_dead_worker_is_not_begun_anew() {
    let begun = Shared::new([const { AtomicU32::new(0) }; 90]).unwrap();
    let items: Vec<usize> = (0..90).collect();
    let error = Par::new()
        .workers(2)
        .chunk(10)
        .map_plain(&items, |n| {
            begun[*n].fetch_add(1, Ordering::SeqCst);
            if n % 20 == 5 {
                kill_self();
            }
        })
        .unwrap_err();
    check_whole(&error, 90);
    let expected: Vec<_> = (0..5).map(|n| n * 20 + 5..n * 20 + 10).collect();
    assert_eq!(error.failures().iter().map(Failure::items).collect::<Vec<_>>(), expected);
    for (item, begun) in begun.iter().enumerate() {
        assert_eq!(begun.load(Ordering::SeqCst), u32::from(item % 20 <= 5 || item % 20 >= 10));
    }
}

pub(crate) fn reduction_names_the_chunk() {
    let items: Vec<u32> = (0..100).collect();
    let par = Par::new().workers(2).chunk(25);
    let reduce = |bad: &dyn Fn(u32)| {
        let fold = |sum, n: &u32| {
            bad(*n);
            sum + n
        };
        par.reduce(&items, || 0, fold, |a, b| a + b).unwrap_err()
    };
    let error = reduce(&|n| assert_ne!(n, 60, "in the fold"));
    let [failure] = error.failures() else { panic!("{error}") };
    assert_eq!((failure.items(), failure.at()), (50..75, 60));
    assert!(failure.panic().unwrap().message().contains("in the fold"));
    let error = reduce(&|n| {
        if n == 60 {
            kill_self()
        }
    });
    let [failure] = error.failures() else { panic!("{error}") };
    assert_eq!((failure.items(), failure.exit()), (50..75, Some(&Exit::Signal(Signal::KILL))));
}

pub(crate) fn chunk_in_place_names_its_index() {
    let mut memory = SharedVec::<u32>::zeroed(1000).unwrap();
    let error = Par::new()
        .workers(2)
        .for_each_chunk_mut(&mut memory, 100, |index, chunk| {
            chunk[..50].fill(1);
            match index {
                3 => kill_self(),
                5 => panic!("chunk 5"),
                _ => chunk.fill(2),
            }
        })
        .unwrap_err();
    let [three, five] = error.failures() else { panic!("{error}") };
    assert_eq!((three.items(), three.exit()), (3..4, Some(&Exit::Signal(Signal::KILL))));
    assert_eq!((five.items(), five.panic().unwrap().message()), (5..6, "chunk 5"));
    for (index, chunk) in memory.chunks(100).enumerate() {
        let half = [3, 5].contains(&index);
        assert!(chunk[..50].iter().all(|n| *n == if half { 1 } else { 2 }));
        assert!(chunk[50..].iter().all(|n| *n == if half { 0 } else { 2 }));
    }
}

pub(crate) fn hook_that_panics_is_no_fork_storm() {
    let runs = Box::leak(Box::new(Shared::new(AtomicU32::new(0)).unwrap()));
    let runs: &'static Shared<AtomicU32> = runs;
    offspring::at_fork_child(move || {
        runs.fetch_add(1, Ordering::SeqCst);
        panic!("no child today");
    });
    let error = Par::new().workers(3).map(&[1, 2, 3, 4], |n| *n).unwrap_err();
    let [failure] = error.failures() else { panic!("{error}") };
    let Reason::NotBegun { last: Some(Exit::Panicked(report)) } = failure.reason() else {
        panic!("{error}")
    };
    assert_eq!((failure.items(), report.message()), (0..4, "no child today"));
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

/// Panics when it is decoded.
struct Trap(u32);

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Trap, D::Error> {
        panic!("the caller's own code")
    }
}

fn nothing_is_left(before: (usize, usize)) {
    assert!(children().is_empty());
    assert!(support::processes().iter().all(|other| other.parent != std::process::id()));
    assert_eq!((open_files(), mappings().len()), before);
}

pub(crate) fn panic_of_the_caller_leaves_no_child() {
    par_map(&[0], |n| *n).unwrap();
    let before = (open_files(), mappings().len());
    // One worker ends and its result is decoded, while the other never ends.
    let calls = || {
        Par::new().workers(2).chunk(1).map(&[0, 1], |n| match n {
            0 => loop {
                std::thread::park();
            },
            _ => Trap(1),
        })
    };
    let panicked = catch_unwind(AssertUnwindSafe(calls)).err().expect("a panic");
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"the caller's own code"));
    nothing_is_left(before);
    let combine = |_, _| panic!("in combine");
    let reduces = || Par::new().chunk(1).reduce(&[1, 2, 3], || 0, |a, n| a + n, combine);
    assert!(catch_unwind(AssertUnwindSafe(reduces)).is_err());
    nothing_is_left(before);
}

pub(crate) fn panic_in_the_callers_share_is_an_error() {
    par_map(&[0], |n| *n).unwrap();
    let met = Shared::new(AtomicU32::new(0)).unwrap();
    let before = (open_files(), mappings().len());
    let caller = std::process::id();
    let items: Vec<u32> = (0..64).collect();
    let error = Par::new().workers(2).caller_works(true).map(&items, |n| {
        if std::process::id() == caller && met.swap(1, Ordering::SeqCst) == 0 {
            panic!("in the caller, at {n}");
        }
        // The child waits, so that the caller is not left without an item.
        assert!(until(|| met.load(Ordering::SeqCst) == 1, LONG));
        *n
    });
    let error = error.unwrap_err();
    check_whole(&error, 64);
    let [failure] = error.failures() else { panic!("{error}") };
    assert_eq!(failure.panic().unwrap().message(), format!("in the caller, at {}", failure.at()));
    nothing_is_left(before);
}

/// Workers are killed at any moment by one of their kind, which says first whom it kills.
pub(crate) fn random_kills_lose_only_what_is_named() {
    let mut rng = support::Rng::new(support::seed());
    let kills = Shared::new(AtomicU64::new(0)).unwrap();
    let mut failed = 0;
    for round in 0..150u64 {
        let (seed, workers) = (rng.next_u64(), 1 + rng.below(4) as usize);
        let items: Vec<u64> = (0..rng.below(400)).collect();
        let mut par = Par::new().workers(workers);
        if rng.one_in(2) {
            par = par.chunk(1 + rng.below(30) as usize);
        }
        let parent = std::process::id();
        let killer = |n: &u64| {
            let mut rng = support::Rng::new(seed ^ n.wrapping_mul(0x9e37_79b9));
            if rng.one_in(60) {
                let all = support::processes();
                let others: Vec<_> = all.iter().filter(|other| other.parent == parent).collect();
                let victim = others[rng.below(others.len() as u64) as usize];
                kills.fetch_add(1, Ordering::SeqCst);
                let _ = kill(victim.pid(), Nix::SIGKILL);
            }
            (0..rng.below(300)).fold(*n, |n, _| std::hint::black_box(n)) + 1
        };
        let result = match rng.below(2) {
            0 => par.map(&items, killer),
            _ => par.map_plain(&items, killer),
        };
        let is_right = |(item, result): (usize, &u64)| *result == item as u64 + 1;
        match result {
            Ok(all) => assert!(all.len() == items.len() && all.iter().enumerate().all(is_right)),
            Err(error) => {
                failed += 1;
                check_whole(&error, items.len());
                let there = error.partial().iter().enumerate();
                assert!(there.filter_map(|(n, r)| Some((n, r.as_ref()?))).all(is_right));
                let is_kill =
                    |failure: &Failure| failure.exit() == Some(&Exit::Signal(Signal::KILL));
                assert!(error.failures().iter().all(is_kill), "round {round}: {error:?}");
            }
        }
        assert!(children().is_empty());
    }
    println!("{} kills, {failed} of 150 calls failed", kills.load(Ordering::SeqCst));
    assert!(failed > 10);
}

pub(crate) fn killed_caller_takes_its_workers() {
    let pids = Shared::new([const { AtomicU32::new(0) }; 2]).unwrap();
    let caller = spawn(|| {
        Par::new()
            .workers(2)
            .chunk(1)
            .map(&[0usize, 1], |n| -> () {
                pids[*n].store(std::process::id(), Ordering::SeqCst);
                loop {
                    std::thread::park();
                }
            })
            .is_ok()
    })
    .unwrap();
    let ids = || pids.iter().map(|pid| pid.load(Ordering::SeqCst)).collect::<Vec<_>>();
    assert!(until(|| ids().iter().all(|&id| id != 0), LONG));
    caller.kill().unwrap();
    assert!(caller.join().is_err());
    let gone = |id: u32| support::has_ended(id as i32);
    assert!(until(|| ids().into_iter().all(gone), LONG));
}
