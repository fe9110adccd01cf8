//! Parallel calls: results in order, whatever the items are and do. What dies in the middle is in `par/deaths.rs`.

mod floors;
mod support;

mod par {
    pub(crate) mod deaths;
    pub(crate) mod memory;
    use super::*;
}

use floors::{LONG, mappings, open_files};
use offspring::par::Reason;
use offspring::{
    ErrorKind, Par, SharedVec, children, par_for_each_chunk_mut, par_map, par_map_plain,
    par_reduce, spawn,
};
use par::{deaths, memory};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use support::{case, until};

fn main() {
    support::run(&[
        case!(results_are_in_order),
        case!(every_item_is_done_once),
        case!(no_items_need_no_child),
        case!(uneven_items_balance),
        case!(closure_borrows_and_captures_anything),
        case!(results_of_any_size).deadline_s(300),
        case!(results_of_any_type),
        case!(results_that_do_not_encode_are_said_so),
        case!(results_that_do_not_decode_are_said_so),
        case!(reduction_keeps_the_order),
        case!(reduction_of_floats_is_the_same_each_time),
        case!(caller_may_work_too),
        case!(one_caller_that_works_forks_nothing),
        case!(calls_nest),
        case!(threads_are_refused_or_answered_for),
        case!(several_threads_call_at_once),
        case!(a_thousand_calls_leave_nothing).deadline_s(300),
        case!(captures_are_dropped_once),
        case!(fewer_descriptors_mean_fewer_workers),
        case!(ignored_sigchld_loses_nothing),
        case!(memory::chunks_are_changed_in_place),
        case!(memory::vector_is_a_slice),
        case!(memory::workers_see_the_vector_as_it_is),
        case!(memory::other_children_have_no_part_in_it),
        case!(memory::nothing_is_kept_of_a_vector),
        case!(deaths::panic_names_its_item),
        case!(deaths::every_end_names_its_items),
        case!(deaths::all_but_the_dead_have_results),
        case!(deaths::plain_results_before_a_death_are_kept),
        case!(deaths::chunk_of_a_dead_worker_is_not_begun_anew),
        case!(deaths::reduction_names_the_chunk),
        case!(deaths::chunk_in_place_names_its_index),
        case!(deaths::hook_that_panics_is_no_fork_storm),
        case!(deaths::panic_of_the_caller_leaves_no_child),
        case!(deaths::panic_in_the_callers_share_is_an_error),
        case!(deaths::random_kills_lose_only_what_is_named),
        case!(deaths::killed_caller_takes_its_workers),
    ])
}

/// The options with 1, 2, 3 and 7 workers, with and without the caller's help.
fn staffs() -> impl Iterator<Item = Par> {
    let with = |workers| [false, true].map(|helps| Par::new().workers(workers).caller_works(helps));
    [1, 2, 3, 7].into_iter().flat_map(with)
}

fn results_are_in_order() {
    for count in [0, 1, 2, 5, 64, 65, 3000] {
        let items: Vec<u64> = (0..count).collect();
        let expected: Vec<u64> = items.iter().map(|n| n * n + 1).collect();
        for par in staffs() {
            assert_eq!(par.map(&items, |n| n * n + 1).unwrap(), expected);
            assert_eq!(par.map_plain(&items, |n| n * n + 1).unwrap(), expected);
            let all = par.chunk(17).map(&items, |n| n.to_string()).unwrap();
            assert!(all.iter().zip(&items).all(|(text, n)| *text == n.to_string()));
        }
    }
}

/// Chunks of one item that take no time, so that the workers meet at every claim.
fn every_item_is_done_once() {
    let items: Vec<usize> = (0..30_000).collect();
    let region = offspring::Region::new(items.len() * 4 + 64).unwrap();
    let done = region.place_slice(items.len(), |_| AtomicU32::new(0)).unwrap();
    for round in 1..=3 {
        let one = |item: &usize| done[*item].fetch_add(1, Ordering::Relaxed);
        Par::new().workers(3).chunk(1).map_plain(&items, one).unwrap();
        let wrong = done.iter().position(|done| done.load(Ordering::Relaxed) != round);
        assert_eq!(wrong, None, "round {round}");
    }
}

fn no_items_need_no_child() {
    let none: [u8; 0] = [];
    assert!(par_map(&none, |_| String::new()).unwrap().is_empty());
    assert!(par_map_plain(&none, |n| *n).unwrap().is_empty());
    assert_eq!(par_reduce(&none, || 5, |a, n| a + n, |a, b| a + b).unwrap(), 5);
    let mut memory = SharedVec::<u32>::zeroed(0).unwrap();
    par_for_each_chunk_mut(&mut memory, 3, |_, _| panic!("no chunk is there")).unwrap();
    // The next child would have this name if the first is not used up.
    assert_eq!(spawn(|| ()).unwrap().name(), "child-1");
}

/// The first item ends only when all others are done: whoever had them given in advance would wait for ever.
fn uneven_items_balance() {
    let done = offspring::Shared::new(AtomicU32::new(0)).unwrap();
    let items: Vec<u32> = (0..60).collect();
    let one = |item: &u32| {
        if *item == 0 {
            assert!(until(|| done.load(Ordering::SeqCst) == 59, LONG));
        } else {
            done.fetch_add(1, Ordering::SeqCst);
        }
        std::process::id()
    };
    let who = Par::new().workers(2).map_plain(&items, one).unwrap();
    let of_first = who.iter().filter(|&&pid| pid == who[0]).count();
    assert!(of_first == 1, "the busy worker did {of_first} items");
    assert!(!who.contains(&std::process::id()));
}

fn closure_borrows_and_captures_anything() {
    let names = ["a", "b"].map(str::to_owned);
    let (shared, cell) = (Rc::new(3), RefCell::new(vec![1]));
    let items: Vec<Rc<usize>> = (0..2).map(Rc::new).collect();
    let got = par_map(&items, |index| {
        cell.borrow_mut().push(7);
        (names[**index].clone(), *shared + cell.borrow().len())
    });
    let got = got.unwrap();
    assert_eq!((got[0].0.as_str(), got[1].0.as_str()), ("a", "b"));
    assert!(got.iter().all(|(_, sum)| *sum >= 5));
    // What the children pushed is theirs.
    assert_eq!(*cell.borrow(), [1]);
}

fn results_of_any_size() {
    let bytes = |item: &u8, count: usize| vec![*item; count];
    let big = par_map(&[3u8], |item| bytes(item, 64 << 20)).unwrap();
    assert!(big[0].len() == 64 << 20 && big[0].iter().all(|&byte| byte == 3));
    let items: Vec<u8> = (0..64).collect();
    let many = par_map(&items, |item| bytes(item, 1 << 20)).unwrap();
    assert!(
        many.iter().zip(&items).all(|(bytes, item)| bytes.len() == 1 << 20 && bytes[77] == *item)
    );
    let numbers: Vec<u64> = (0..8 << 20).collect();
    assert!(par_map_plain(&numbers, |n| !n).unwrap().iter().zip(&numbers).all(|(a, b)| *a == !b));
    let pages = par_map_plain(&items, |item| [*item; 100_000]).unwrap();
    assert!(pages.iter().zip(&items).all(|(page, item)| page[99_999] == *item));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Path { name: String, points: Vec<(f32, f32)> },
}

fn results_of_any_type() {
    let items: Vec<usize> = (0..300).collect();
    let shape = |&n: &usize| match n % 3 {
        0 => Shape::Dot,
        _ => Shape::Path { name: n.to_string(), points: vec![(n as f32, 0.5); n] },
    };
    let got = par_map(&items, shape).unwrap();
    assert!(got.iter().zip(&items).all(|(got, n)| *got == shape(n)));
    assert_eq!(par_map(&items, |_| ()).unwrap().len(), 300);
    assert_eq!(par_map_plain(&items, |n| n % 7 == 0).unwrap()[14..16], [true, false]);
    assert_eq!(par_map_plain(&['a', 'ß'], |c| *c).unwrap(), ['a', 'ß']);
    assert_eq!(
        par_map(&items, |n| if n % 2 == 0 { Ok(*n) } else { Err("odd".to_owned()) }).unwrap()[1],
        Err("odd".to_owned())
    );
}

#[derive(Debug)]
struct OneWay(u32);

impl Serialize for OneWay {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            5 => Err(serde::ser::Error::custom("not today")),
            8 => panic!("in serde's code"),
            n => to.serialize_u32(n),
        }
    }
}

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<OneWay, D::Error> {
        match u32::deserialize(from)? {
            3 => Err(serde::de::Error::custom("no way back")),
            n => Ok(OneWay(n)),
        }
    }
}

fn results_that_do_not_encode_are_said_so() {
    let items = [4, 5, 6, 8, 9];
    let error = par_map(&items, |n| OneWay(*n)).unwrap_err();
    let [five, eight] = error.failures() else { panic!("{error}") };
    let Reason::Encoding(why) = five.reason() else { panic!("{five}") };
    assert_eq!((five.items(), why.kind()), (1..2, ErrorKind::Encoding));
    assert!(why.to_string().contains("item 1") && why.to_string().contains("OneWay"), "{why}");
    assert_eq!((eight.items(), eight.panic().unwrap().message()), (3..4, "in serde's code"));
    let there: Vec<u32> = error.partial().iter().flatten().map(|value| value.0).collect();
    assert_eq!(there, [4, 6, 9]);
}

fn results_that_do_not_decode_are_said_so() {
    let error = par_map(&[1, 2, 3, 4], |n| OneWay(*n)).unwrap_err();
    let [three] = error.failures() else { panic!("{error}") };
    assert!(three.items() == (2..3) && matches!(three.reason(), Reason::Encoding(_)), "{three}");
    assert!(
        error.to_string().contains("no way back") || error.to_string().contains("decode"),
        "{error}"
    );
    assert_eq!(error.into_partial().iter().flatten().count(), 3);
}

fn reduction_keeps_the_order() {
    let items: Vec<u32> = (0..2000).collect();
    let expected: String = items.iter().map(|n| format!("{n} ")).collect();
    for par in staffs() {
        let fold = |text: String, n: &u32| format!("{text}{n} ");
        assert_eq!(par.reduce(&items, String::new, fold, |a, b| a + &b).unwrap(), expected);
        let sum = par.chunk(100).reduce(&items, || 0, |a, n| a + n, |a, b| a + b).unwrap();
        assert_eq!(sum, 1_999_000);
    }
}

fn reduction_of_floats_is_the_same_each_time() {
    let items: Vec<f64> = (1..100_000).map(|n| 1.0 / f64::from(n)).collect();
    let sum = || Par::new().workers(3).reduce(&items, || 0.0, |a, x| a + x, |a, b| a + b).unwrap();
    let first = sum();
    assert!((0..10).all(|_| sum().to_bits() == first.to_bits()));
}

fn caller_may_work_too() {
    let met = offspring::Shared::new(AtomicU32::new(0)).unwrap();
    // Both items have begun before one ends: two workers, and one of them is this process.
    let both = |_: &i32| {
        met.fetch_add(1, Ordering::SeqCst);
        assert!(until(|| met.load(Ordering::SeqCst) == 2, LONG));
        std::process::id()
    };
    let who = Par::new().workers(2).caller_works(true).map_plain(&[1, 2], both).unwrap();
    assert!(who.contains(&std::process::id()) && who[0] != who[1]);
}

fn one_caller_that_works_forks_nothing() {
    let alone = Par::new().workers(1).caller_works(true);
    std::thread::scope(|s| {
        s.spawn(|| {
            assert_eq!(
                alone.map(&[1, 2], |n| (n * 2, std::process::id())).unwrap()[1],
                (4, std::process::id())
            )
        });
    });
}

fn calls_nest() {
    let rows: Vec<u32> = (0..6).collect();
    let sums = par_map(&rows, |row| {
        let cells: Vec<u32> = (0..50).map(|cell| row * cell).collect();
        let sum = par_reduce(&cells, || 0, |a, n| a + n, |a, b| a + b).unwrap();
        (sum, children().len())
    });
    assert_eq!(sums.unwrap(), [0, 1225, 2450, 3675, 4900, 6125].map(|sum| (sum, 0)));
    let error = par_map(&rows, |row| {
        let inner = par_map(&[1, 2], |n| if *row == 3 { panic!("row {row}") } else { *n });
        inner.map_err(|error| error.to_string()).unwrap().len()
    });
    let error = error.unwrap_err();
    assert_eq!(error.failures()[0].items(), 3..4);
    assert!(error.to_string().contains("row 3"), "{error}");
}

fn threads_are_refused_or_answered_for() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || stopped.recv());
    let error = par_map(&[1], |n| *n).unwrap_err();
    assert_eq!(error.error().unwrap().kind(), ErrorKind::MultiThreaded);
    assert!(error.failures().is_empty());
    let helped = Par::new().workers(2).caller_works(true).map(&[1, 2], |n| *n);
    assert_eq!(helped.unwrap_err().error().unwrap().kind(), ErrorKind::MultiThreaded);
    drop(stop);
    let _ = thread.join();
    assert_eq!(par_map(&[1], |n| *n).unwrap(), [1]);
}

#[expect(unsafe_code, reason = "forks beside threads")]
fn several_threads_call_at_once() {
    std::thread::scope(|s| {
        for thread in 0..4u64 {
            s.spawn(move || {
                // SAFETY: the children use no lock but those of the standard streams and the allocator.
                let par = unsafe { Par::new().workers(2).allow_threads() };
                let items: Vec<u64> = (0..200).collect();
                for _ in 0..5 {
                    let got = par.map_plain(&items, |n| n * 10 + thread).unwrap();
                    assert!(got.iter().zip(&items).all(|(got, n)| *got == n * 10 + thread));
                }
            });
        }
    });
    assert!(children().is_empty());
}

fn a_thousand_calls_leave_nothing() {
    let call = |n: u32| {
        let items = [n, 1, 2];
        assert_eq!(par_map(&items, |n| n.to_string()).unwrap()[1], "1");
        assert_eq!(par_map_plain(&items, |n| n + 1).unwrap()[0], n + 1);
        if n.is_multiple_of(10) {
            let failed = par_map(&items, |n| if *n == 2 { std::process::exit(3) } else { *n });
            assert_eq!(failed.unwrap_err().failures().len(), 1);
        }
    };
    call(0);
    let before = (open_files(), mappings().len());
    (0..500).for_each(call);
    assert_eq!((open_files(), mappings().len()), before);
    assert!(children().is_empty());
    assert!(support::processes().iter().all(|other| other.parent != std::process::id()));
}

fn captures_are_dropped_once() {
    struct Counted<'a>(&'a AtomicU32, u32);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = offspring::Shared::new(AtomicU32::new(0)).unwrap();
    let held = Counted(&drops, 5);
    let items = [Counted(&drops, 1), Counted(&drops, 2)];
    let add = move |item: &Counted<'_>| {
        let held = &held;
        item.1 + held.1
    };
    let sums = par_map(&items, add).unwrap();
    assert_eq!((sums, drops.load(Ordering::SeqCst)), (vec![6, 7], 1));
    drop(items);
    assert_eq!(drops.load(Ordering::SeqCst), 3);
}

fn fewer_descriptors_mean_fewer_workers() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    par_map(&[0], |n| *n).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, open_files() as u64 + 4, hard).unwrap();
    let items: Vec<u32> = (0..500).collect();
    assert_eq!(Par::new().workers(50).map(&items, |n| *n).unwrap(), items);
}

#[expect(unsafe_code, reason = "sets a signal's disposition")]
fn ignored_sigchld_loses_nothing() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: no handler of ours.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
    let items: Vec<u32> = (0..500).collect();
    assert_eq!(par_map(&items, |n| *n).unwrap(), items);
    let error = par_map(&items, |n| if *n == 250 { std::process::abort() } else { *n });
    let error = error.unwrap_err();
    assert!(error.failures().iter().any(|failure| failure.items().contains(&250)), "{error}");
}
