//! What is not crossbeam's: bursts, regions, message types, generations of processes, closing under load.

use std::collections::VecDeque;

use bytemuck::{CheckedBitPattern, NoUninit};
use offspring::queue::{Plain, RecvError, TryRecvError, TrySendError};
use offspring::{Counter, ErrorKind, Region, RingQueue, Shared};

use crate::floors::{By, Seats, crew};
use crate::support::{Ended, Kid, Rng, seed, until};

pub(crate) fn capacity_errors() {
    let kind = |capacity| RingQueue::<u64>::new(capacity).map(drop).unwrap_err().kind();
    assert_eq!(kind(0), ErrorKind::InvalidInput);
    assert_eq!(kind(1 << 32), ErrorKind::InvalidInput);
    assert_eq!(kind(usize::MAX), ErrorKind::InvalidInput);
    let error = RingQueue::<[u64; 1 << 20]>::new(1 << 31).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    let error = RingQueue::<[u64; 1 << 40]>::new(u32::MAX as usize).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    let region = Region::new(4096).unwrap();
    assert_eq!(
        RingQueue::<u64>::in_region(&region, 0).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let error = RingQueue::<u64>::in_region(&region, 4096).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
}

pub(crate) fn in_region() {
    let region = Region::new(16 << 10).unwrap();
    let bytes = RingQueue::<u8>::in_region(&region, 3).unwrap();
    let used = region.used_bytes();
    assert!(used <= 3 + 1024, "{used}");
    let words = RingQueue::<u64>::in_region(&region, 100).unwrap();
    assert!(region.used_bytes() <= used + 100 * 8 + 1024);
    let before = crate::floors::mappings();
    drop(region);
    By::each(|by| {
        let work = |_, _: &Seats| {
            bytes.send(1).unwrap();
            words.send_many(&[1, 2, 3]).unwrap();
        };
        crew(by, 1, work, |_| {
            assert_eq!(bytes.recv(), Ok(1));
            assert_eq!((words.recv(), words.recv(), words.recv()), (Ok(1), Ok(2), Ok(3)));
        });
    });
    let mapped = |queues: &[crate::floors::Mapping]| crate::floors::mappings() == queues;
    drop(bytes);
    words.send(9).unwrap();
    assert_eq!(words.recv(), Ok(9), "the region lives as long as what is placed in it");
    drop(words);
    assert!(!mapped(&before));
}

pub(crate) fn send_many_and_recv_many() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(7).unwrap();
        let all: Vec<u64> = (0..10_000).collect();
        let work = |_, _: &Seats| {
            queue.send_many(&[]).unwrap();
            for chunk in all.chunks(23) {
                queue.send_many(chunk).unwrap();
            }
            queue.close();
        };
        crew(by, 1, work, |_| {
            let mut got = vec![77];
            assert_eq!(queue.recv_many(&mut got, 0), Ok(0));
            for max in (1..12).cycle() {
                let before = got.len();
                match queue.recv_many(&mut got, max) {
                    Ok(count) => assert!(count >= 1 && count <= max && got.len() == before + count),
                    Err(RecvError) => break,
                }
            }
            assert!(got[0] == 77 && got[1..] == all);
        });
    });
    // What is there, no more: it does not wait to fill up; and max may be anything.
    let queue = RingQueue::<u8>::new(5).unwrap();
    queue.send_many(&[1, 2, 3]).unwrap();
    let mut got = Vec::new();
    assert_eq!((queue.recv_many(&mut got, usize::MAX), &got[..]), (Ok(3), &[1, 2, 3][..]));
}

pub(crate) fn close_stops_send_many_in_the_middle() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(3).unwrap();
        let work = |_, _: &Seats| {
            let error = queue.send_many(&[1, 2, 3, 4, 5]).unwrap_err();
            assert_eq!(error.sent(), 3);
        };
        crew(by, 1, work, |seats| {
            assert!(until(|| queue.is_full(), crate::floors::LONG));
            seats.await_asleep(0);
            queue.close();
            assert_eq!(queue.iter().collect::<Vec<_>>(), [1, 2, 3]);
        });
    });
}

#[derive(Clone, Copy, Debug, PartialEq, NoUninit, CheckedBitPattern)]
#[repr(u8)]
enum Order {
    Work = 3,
    Stop = 200,
}

#[derive(Clone, Copy, Debug, PartialEq, NoUninit, CheckedBitPattern)]
#[repr(C)]
struct Note {
    number: u32,
    order: Order,
    is_last: bool,
    padding: [u8; 2],
}

/// Messages of a type go through and come out as they were, between processes.
fn carries<T: Plain + PartialEq + Sync>(messages: &[T]) {
    for capacity in [1, 3, 64] {
        let queue = RingQueue::<T>::new(capacity).unwrap();
        let work = |_, _: &Seats| {
            messages.iter().for_each(|&message| queue.send(message).unwrap());
            queue.send_many(messages).unwrap();
            queue.close();
        };
        crew(By::Processes, 1, work, |_| {
            let got: Vec<T> = queue.iter().collect();
            assert!(got.len() == 2 * messages.len());
            assert!(got.iter().zip(messages.iter().cycle()).all(|(got, sent)| got == sent));
        });
    }
}

pub(crate) fn message_types() {
    carries::<u8>(&[0, 1, 255]);
    carries::<u64>(&[0, 1, u64::MAX]);
    carries::<i128>(&[-1, i128::MIN]);
    carries::<f64>(&[0.5, -1e300]);
    carries::<char>(&['a', 'ß', '\u{10ffff}']);
    carries::<bool>(&[true, false, true]);
    carries::<[u64; 8]>(&[[1; 8], [2; 8]]);
    carries::<[u8; 1024]>(&[[1; 1024], [2; 1024], [3; 1024]]);
    carries::<[u8; 3]>(&[[1, 2, 3], [4, 5, 6]]);
    carries::<()>(&[(); 100]);
    carries::<[u64; 0]>(&[[]; 5]);
    carries::<Order>(&[Order::Work, Order::Stop]);
    let note = |number, order, is_last| Note { number, order, is_last, padding: [0; 2] };
    carries::<Note>(&[note(1, Order::Work, false), note(2, Order::Stop, true)]);
    carries::<Option<std::num::NonZeroU32>>(&[None, std::num::NonZeroU32::new(5)]);
}

/// Child, grandchild and great-grandchild use the queue that they inherited, and so does the one that made it.
pub(crate) fn three_generations() {
    let queue = RingQueue::<u32>::new(2).unwrap();
    let kid = Kid::fork(|| {
        let handle = queue.clone();
        let grandkid = Kid::fork(|| {
            let great = Kid::fork(|| (0..500).for_each(|n| handle.send(n).unwrap()));
            (0..500).for_each(|n| queue.send(1_000 + n).unwrap());
            assert_eq!(great.join(), Ended::Exited(0));
        });
        (0..500).for_each(|n| handle.send(2_000 + n).unwrap());
        assert_eq!(grandkid.join(), Ended::Exited(0));
        handle.close();
    });
    let mut next = [0, 1_000, 2_000];
    for n in &queue {
        let line = &mut next[n as usize / 1_000];
        assert_eq!(n, *line);
        *line += 1;
    }
    assert_eq!(next, [500, 1_500, 2_500]);
    assert_eq!(kid.join(), Ended::Exited(0));
}

/// One process's random operations, against a `VecDeque`.
pub(crate) fn random_scripts() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    for capacity in [1, 2, 3, 7, 64] {
        let queue = RingQueue::<u64>::new(capacity).unwrap();
        let handles = [queue.clone(), queue.clone()];
        let mut model: VecDeque<u64> = VecDeque::new();
        for step in 0..60_000u64 {
            let handle = &handles[rng.below(2) as usize];
            let free = capacity - model.len();
            match rng.below(8) {
                0 | 1 if free == 0 => {
                    assert_eq!(handle.try_send(step), Err(TrySendError::Full(step)))
                }
                0 | 1 => {
                    handle.try_send(step).unwrap();
                    model.push_back(step);
                }
                2 | 3 => {
                    assert_eq!(handle.try_recv(), model.pop_front().ok_or(TryRecvError::Empty))
                }
                4 => {
                    let burst: Vec<u64> =
                        (0..rng.below(free as u64 + 1)).map(|n| step << 8 | n).collect();
                    match rng.one_in(2) {
                        true => handle.send_many(&burst).unwrap(),
                        false => handle.producer().send_many(&burst).unwrap(),
                    }
                    model.extend(burst);
                }
                5 if !model.is_empty() => {
                    let (max, mut got) = (rng.below(capacity as u64 + 2) as usize, Vec::new());
                    let count = match rng.one_in(2) {
                        true => handle.recv_many(&mut got, max).unwrap(),
                        false => handle.consumer().recv_many(&mut got, max).unwrap(),
                    };
                    assert_eq!(count, max.min(model.len()));
                    assert!(got.into_iter().eq(model.drain(..count)));
                }
                6 => {
                    let mut producer = handle.producer();
                    while model.len() < capacity && !rng.one_in(3) {
                        producer.send(step).unwrap();
                        model.push_back(step);
                    }
                    if model.len() == capacity {
                        assert_eq!(producer.try_send(step), Err(TrySendError::Full(step)));
                    }
                }
                7 => {
                    let mut consumer = handle.consumer();
                    while !model.is_empty() && !rng.one_in(3) {
                        assert_eq!(consumer.recv().ok(), model.pop_front());
                    }
                    if model.is_empty() {
                        assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
                    }
                }
                _ => {}
            }
            assert_eq!(handle.len(), model.len());
            assert_eq!(
                (handle.is_empty(), handle.is_full()),
                (model.is_empty(), model.len() == capacity)
            );
        }
        queue.close();
        assert!(queue.iter().eq(model));
    }
}

/// Four senders and four receivers: everything arrives once, and in each sender's order at each receiver.
pub(crate) fn order_and_exactly_once() {
    const EACH: u64 = 20_000;
    let seed = seed();
    By::each(|by| {
        for capacity in [1, 3, 64] {
            let queue = RingQueue::<[u64; 2]>::new(capacity).unwrap();
            let region = Region::new(256 << 10).unwrap();
            let seen =
                region.place_slice(4, |_| [const { std::sync::atomic::AtomicU64::new(0) }; 500]);
            let (seen, done) = (seen.unwrap(), region.place(Counter::new("senders done")).unwrap());
            let each = if capacity == 1 { EACH / 10 } else { EACH };
            let work = |seat: usize, _: &Seats| {
                let mut rng = Rng::new(seed ^ seat as u64);
                if seat < 4 {
                    let mut next = 0;
                    while next < each {
                        let count = (rng.below(5) + 1).min(each - next);
                        let burst: Vec<_> =
                            (next..next + count).map(|n| [seat as u64, n]).collect();
                        match rng.below(4) {
                            0 => queue.send_many(&burst).unwrap(),
                            1 => queue.producer().send_many(&burst).unwrap(),
                            _ => burst.iter().for_each(|message| queue.send(*message).unwrap()),
                        }
                        next += count;
                    }
                    if done.add(1) == 3 {
                        queue.close();
                    }
                    return;
                }
                let mut last = [None; 4];
                let mut got = Vec::new();
                loop {
                    got.clear();
                    let received = match rng.below(4) {
                        0 => queue.recv_many(&mut got, 5).map(drop),
                        1 => queue.consumer().recv_many(&mut got, 3).map(drop),
                        _ => queue.recv().map(|message| got.push(message)),
                    };
                    if received.is_err() {
                        break;
                    }
                    for &[sender, n] in &got {
                        let last = &mut last[sender as usize];
                        assert!(last.is_none_or(|last| last < n), "{sender}: {last:?}, then {n}");
                        *last = Some(n);
                        let bit = 1 << (n % 64);
                        let word = &seen[sender as usize][n as usize / 64];
                        let before = word.fetch_or(bit, std::sync::atomic::Ordering::Relaxed);
                        assert!(before & bit == 0, "{sender}: {n} twice");
                    }
                }
            };
            crew(by, 8, work, |_| ());
            let count = |words: &[std::sync::atomic::AtomicU64; 500]| -> u32 {
                words
                    .iter()
                    .map(|word| word.load(std::sync::atomic::Ordering::Relaxed).count_ones())
                    .sum()
            };
            assert!(seen.iter().all(|words| u64::from(count(words)) == each));
        }
    });
}

/// `close` races with senders: whatever a send has accepted is received before the receivers' end.
pub(crate) fn close_loses_nothing_that_was_accepted() {
    const ROUNDS: usize = 3_000;
    let seed = seed();
    By::each(|by| {
        let region = Region::new(ROUNDS * 1100 + 4096).unwrap();
        let queues: Vec<_> =
            (0..ROUNDS).map(|n| RingQueue::<u64>::in_region(&region, n % 7 + 1).unwrap()).collect();
        let sums = Region::new(ROUNDS * 16 + 64).unwrap();
        let sums: Shared<[[std::sync::atomic::AtomicU64; 2]]> =
            sums.place_slice(ROUNDS, |_| Default::default()).unwrap();
        let arrived = Shared::new(Counter::new("arrived")).unwrap();
        let work = |seat: usize, _: &Seats| {
            let mut rng = Rng::new(seed ^ seat as u64);
            for (round, queue) in queues.iter().enumerate() {
                // All start a round together.
                arrived.add(1);
                assert!(until(|| arrived.get() >= 6 * (round as u64 + 1), crate::floors::LONG));
                let add = |side: usize, count: u64| {
                    sums[round][side].fetch_add(count, std::sync::atomic::Ordering::SeqCst)
                };
                match seat {
                    0 => {
                        while queue.send(1).is_ok() {
                            add(0, 1);
                        }
                    }
                    1 => {
                        let mut producer = queue.producer();
                        while producer.send(1).is_ok() {
                            add(0, 1);
                            if rng.one_in(9) {
                                drop(producer);
                                producer = queue.producer();
                            }
                        }
                    }
                    2 => loop {
                        match queue.send_many(&[1, 1, 1]) {
                            Ok(()) => add(0, 3),
                            Err(error) => {
                                let _ = add(0, error.sent() as u64);
                                break;
                            }
                        };
                    },
                    3 => queue.iter().for_each(|one| {
                        let _ = add(1, one);
                    }),
                    4 => {
                        let mut got = Vec::new();
                        loop {
                            let received = match rng.one_in(2) {
                                true => queue.consumer().recv_many(&mut got, 3),
                                false => queue.recv_many(&mut got, 3),
                            };
                            let Ok(count) = received else { break };
                            add(1, count as u64);
                        }
                    }
                    _ => {
                        for _ in 0..rng.below(2_000) {
                            std::hint::spin_loop();
                        }
                        queue.close();
                    }
                }
            }
        };
        crew(by, 6, work, |_| ());
        for (round, [sent, received]) in sums.iter().enumerate() {
            let load =
                |sum: &std::sync::atomic::AtomicU64| sum.load(std::sync::atomic::Ordering::SeqCst);
            assert_eq!(load(sent), load(received), "round {round}: sent and received");
            assert!(queues[round].is_empty());
        }
    });
}

/// Nobody closes a queue by dying.
pub(crate) fn dead_senders_leave_it_open() {
    let queue = RingQueue::<u8>::new(2).unwrap();
    let kid = Kid::fork(|| queue.send(1).unwrap());
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!((queue.recv(), queue.try_recv()), (Ok(1), Err(TryRecvError::Empty)));
    assert!(!queue.is_closed());
}
