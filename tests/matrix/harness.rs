//! The harness itself: it must catch structures that are wrong, each in the way in which it is wrong.
#![expect(unsafe_code, reason = "bare futex calls, for a wake-up that can be lost")]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use offspring::Shared;
use offspring::proof::{Fault, Outcome, Report, Scenario, Table};

type Pair = Shared<(AtomicU64, AtomicU64)>;

const SHORT: Duration = Duration::from_millis(300);

fn pair() -> Pair {
    Shared::new((AtomicU64::new(7), AtomicU64::new(0))).expect("place a pair")
}

/// Some points are fine, some are not, and all of those in this way.
fn caught(report: &Report, outcome: Outcome) {
    println!("{:?}", report.failures());
    assert!(!report.is_ok() && report.count(Outcome::Ok) > 0 && report.count(outcome) > 0);
    let others = report
        .failures()
        .iter()
        .any(|failure| failure.fault.as_ref().map(Fault::outcome) != Some(outcome));
    assert!(!others, "found more than {}", outcome.name());
}

/// Moves the 7 from one cell to the other: in the wrong order it is lost for a moment, or there twice.
pub(crate) fn catches_lost_and_doubled() {
    let moves = |name: &str, first_take: bool| {
        Scenario::new(name, pair)
            .victim(move |pair: &Pair, scene| {
                scene.begin();
                if first_take {
                    pair.0.store(0, SeqCst);
                    pair.1.store(7, SeqCst);
                } else {
                    pair.1.store(7, SeqCst);
                    pair.0.store(0, SeqCst);
                }
                scene.end();
            })
            .check(|pair, _| match pair.0.load(SeqCst) + pair.1.load(SeqCst) {
                0 => Err(Fault::lost("the 7 is gone")),
                14 => Err(Fault::doubled("two of them")),
                _ => Ok(pair.1.load(SeqCst)),
            })
            .run()
            .expect("ptrace is allowed here")
    };
    let (lost, doubled) = (moves("take, then put", true), moves("put, then take", false));
    caught(&lost, Outcome::Lost);
    caught(&doubled, Outcome::Doubled);
    assert_eq!(lost.failures().len(), lost.count(Outcome::Lost));

    let mut table = Table::default();
    table.push(lost);
    table.push(doubled);
    let json: serde_json::Value = serde_json::from_str(&table.to_json()).expect("it is JSON");
    assert_eq!(json[0]["scenario"], "take, then put");
    assert_eq!(json[0]["failures"][0]["outcome"], "lost");
    assert_eq!(json[1]["doubled"], json[1]["failures"].as_array().map_or(0, Vec::len));
    assert!(table.to_string().lines().count() > 4);
}

/// A lock whose dead owner nobody notices.
pub(crate) fn catches_a_hang() {
    let lock = || Shared::new(AtomicU32::new(0)).expect("place a word");
    let take = |word: &AtomicU32| while word.swap(1, SeqCst) != 0 {};
    let report = Scenario::new("a spin lock", lock)
        .victim(move |word, scene| {
            scene.begin();
            take(word);
            word.store(0, SeqCst);
            scene.end();
        })
        .check(move |word, _| {
            take(word);
            Ok(0)
        })
        .deadline(SHORT)
        .run()
        .expect("ptrace is allowed here");
    caught(&report, Outcome::Hang);
}

fn futex(word: &AtomicU32, call: i32, value: u32) {
    let address = std::ptr::from_ref(word);
    let forever = std::ptr::null::<libc::timespec>();
    // SAFETY: the word is in a live mapping, and there is no timeout to read.
    unsafe { libc::syscall(libc::SYS_futex, address, call, value, forever) };
}

fn words() -> Shared<(AtomicU32, AtomicU32)> {
    Shared::new((AtomicU32::new(0), AtomicU32::new(0))).expect("place two words")
}

/// A waker that dies before its wake-up leaves the sleeper asleep.
pub(crate) fn catches_a_lost_wakeup() {
    let report = Scenario::new("set and wake", words)
        .bystander("a sleeper", |words, _| {
            while words.0.load(SeqCst) == 0 {
                futex(&words.0, libc::FUTEX_WAIT, 0);
            }
        })
        .victim(|words, scene| {
            scene.begin();
            words.0.store(1, SeqCst);
            futex(&words.0, libc::FUTEX_WAKE, 1);
            scene.end();
        })
        .settles(|words, scene| words.0.load(SeqCst) == 0 || scene.has_ended(0))
        .check(|words, _| {
            words.0.store(1, SeqCst);
            futex(&words.0, libc::FUTEX_WAKE, 1);
            Ok(0)
        })
        .deadline(SHORT)
        .run()
        .expect("ptrace is allowed here");
    caught(&report, Outcome::Hang);
}

/// A sleeper that looks, and then sleeps on a word that does not change, misses the wake-up in between. Nobody dies.
pub(crate) fn catches_a_race_without_a_death() {
    let report = Scenario::new("look, then sleep", words)
        .bystander("a waker", |words, scene| {
            scene.hold();
            words.0.store(1, SeqCst);
            futex(&words.1, libc::FUTEX_WAKE, 1);
        })
        .victim(|words, scene| {
            scene.begin();
            if words.0.load(SeqCst) == 0 {
                futex(&words.1, libc::FUTEX_WAIT, 0);
            }
            scene.end();
        })
        .wakes_sleeping_victim()
        .pauses()
        .check(|_, _| Ok(0))
        .deadline(SHORT)
        .run()
        .expect("ptrace is allowed here");
    caught(&report, Outcome::Hang);
}

/// A step that is done stays done.
pub(crate) fn catches_a_step_back() {
    let report = Scenario::new("done, undone, done", pair)
        .victim(|pair, scene| {
            scene.begin();
            [1, 0, 1].iter().for_each(|&value| pair.1.store(value, SeqCst));
            scene.end();
        })
        .check(|pair, _| Ok(pair.1.load(SeqCst)))
        .run()
        .expect("ptrace is allowed here");
    caught(&report, Outcome::Broken);
}
