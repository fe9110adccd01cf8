//! What each operation promises, nobody dying.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use offspring::Queue;
use offspring::queue::{NotReceived, NotSent};
use serde::{Deserialize, Serialize, Serializer};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, until};

const SHORT: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Order {
    Stop,
    Move { name: String, by: (i32, f64) },
    Many(BTreeMap<String, Vec<Option<u8>>>),
}

pub(crate) fn values_of_many_types() {
    let orders = [
        Order::Stop,
        Order::Move { name: "knight".into(), by: (-1, 2.5) },
        Order::Many([("a".to_string(), vec![Some(1), None])].into()),
        Order::Many((0..500).map(|n| (format!("key {n}"), vec![None; n % 7])).collect()),
    ];
    let queue = Queue::<Order>::new().unwrap();
    let kid = Kid::fork(|| orders.iter().for_each(|order| queue.send(order.clone()).unwrap()));
    for order in &orders {
        assert_eq!(&queue.recv().unwrap(), order);
    }
    assert_eq!(kid.join(), Ended::Exited(0));
    let texts = Queue::<String>::new().unwrap();
    for bytes in [0, 1, 15, 16, 17, 2040, 2048, 2049, 3000, 70_000] {
        texts.send("é".repeat(bytes / 2)).unwrap();
        assert_eq!(texts.recv().unwrap(), "é".repeat(bytes / 2));
    }
    assert_eq!((texts.used_bytes(), texts.len()), (0, 0));
}

struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

pub(crate) fn errors_give_the_message_back() {
    let queue = Queue::<Refuses>::new().unwrap();
    let unsent = queue.send(Refuses).unwrap_err();
    assert!(matches!(unsent.reason(), NotSent::Encode { .. }), "{unsent}");
    assert!(unsent.to_string().contains("Refuses"), "{unsent}");
    let Refuses = unsent.into_inner();
    assert_eq!(queue.len(), 0);

    let queue = Queue::<String>::with_capacity_bytes(4000).unwrap();
    queue.send("x".repeat(3000)).unwrap();
    let unsent = queue.try_send("y".repeat(2000)).unwrap_err();
    assert_eq!(unsent.reason(), &NotSent::Full);
    assert_eq!(unsent.into_inner().len(), 2000);
    queue.close();
    let unsent = queue.send("z".into()).unwrap_err();
    assert_eq!(unsent.reason(), &NotSent::Closed);
    assert_eq!(unsent.into_inner(), "z");
}

pub(crate) fn too_large_names_both_sizes() {
    let queue = Queue::<Vec<u8>>::with_capacity_bytes(4000).unwrap();
    assert_eq!((queue.capacity_bytes(), queue.max_message_bytes()), (4096, 4080));
    let unsent = queue.send(vec![1; 5000]).unwrap_err();
    assert_eq!(unsent.reason(), &NotSent::TooLarge { message_bytes: 5002, max_bytes: 4080 });
    let text = unsent.to_string();
    assert!(text.contains("5002") && text.contains("4080"), "{text}");
    assert_eq!(unsent.into_inner(), [1; 5000]);
    queue.send_bytes(&[7; 4080]).unwrap();
    assert_eq!(queue.recv_bytes().unwrap(), [7; 4080]);
    assert!(matches!(queue.send_bytes(&[7; 4081]), Err(NotSent::TooLarge { .. })));
}

pub(crate) fn decoding_error_consumes_that_message_alone() {
    let queue = Queue::<String>::new().unwrap();
    for bad in [&[200, 200][..], &[1, 0xff], &[1, b'x', b'y'], &[0xff; 5000]] {
        queue.send_bytes(bad).unwrap();
        queue.send("good".into()).unwrap();
        let error = queue.recv().unwrap_err();
        assert!(matches!(error, NotReceived::Decode { .. }), "{error}");
        assert!(error.to_string().contains("String"), "{error}");
        assert_eq!(queue.recv().unwrap(), "good");
    }
    assert_eq!(queue.used_bytes(), 0);
}

pub(crate) fn buffer_too_small_leaves_the_message() {
    let queue = Queue::<()>::new().unwrap();
    for bytes in [100, 10_000] {
        queue.send_bytes(&vec![3; bytes]).unwrap();
        let error = queue.recv_bytes_into(&mut [0; 99]).unwrap_err();
        assert_eq!(error, NotReceived::TooLarge { message_bytes: bytes, buffer_bytes: 99 });
        assert_eq!(queue.len(), 1);
        let mut buffer = vec![0; bytes + 1];
        assert_eq!(queue.recv_bytes_into(&mut buffer), Ok(bytes));
        assert!(buffer.starts_with(&vec![3; bytes]) && buffer[bytes] == 0);
    }
}

pub(crate) fn views_lend_and_consume() {
    let queue = Queue::<()>::new().unwrap();
    for bytes in [0usize, 5, 3000] {
        queue.send_bytes(&vec![bytes as u8; bytes]).unwrap();
    }
    let first = queue.recv_view().unwrap();
    let second = queue.try_recv_view().unwrap();
    assert_eq!((first.len(), &*second, queue.len()), (0, &[5; 5][..], 1));
    assert!(queue.used_bytes() > 3000);
    drop(first);
    let third = queue.recv_view_timeout(LONG).unwrap();
    assert_eq!((&*third, queue.len()), (&vec![3000usize as u8; 3000][..], 0));
    assert_eq!(queue.try_recv_view().unwrap_err(), NotReceived::Empty);
    drop(third);
    assert!(queue.used_bytes() > 3000, "the second one is before it");
    drop(second);
    assert_eq!(queue.used_bytes(), 0);
}

pub(crate) fn view_put_back_is_next() {
    let queue = Queue::<()>::new().unwrap();
    (1..=3).for_each(|n| queue.send_bytes(&[n; 10]).unwrap());
    let view = queue.recv_view().unwrap();
    assert_eq!(queue.recv_bytes().unwrap(), [2; 10]);
    view.put_back();
    assert_eq!((queue.len(), queue.is_empty()), (2, false));
    assert_eq!(queue.recv_bytes().unwrap(), [1; 10]);
    assert_eq!(queue.recv_bytes().unwrap(), [3; 10]);
    assert_eq!((queue.used_bytes(), queue.is_empty()), (0, true));
}

/// Thousands of messages pass behind a view, and the room behind it is all that it costs.
pub(crate) fn view_does_not_hold_up_others() {
    let queue = Queue::<u32>::with_capacity_bytes(60_000).unwrap();
    queue.send_bytes(&[9; 100]).unwrap();
    let view = queue.recv_view().unwrap();
    for n in 0..1500 {
        queue.send(n).unwrap();
        assert_eq!((queue.len(), queue.recv(), queue.len()), (1, Ok(n), 0));
    }
    while queue.try_send(7).is_ok() {}
    assert_eq!(view[..], [9; 100]);
    drop(view);
    queue.send(8).unwrap();
    assert!(queue.try_iter().last() == Some(Ok(8)) && queue.used_bytes() == 0);
}

pub(crate) fn inherited_view_panics_and_drops_quietly() {
    let queue = Queue::<()>::new().unwrap();
    queue.send_bytes(&[1; 5000]).unwrap();
    let view = queue.recv_view().unwrap();
    let kid = Kid::fork(|| {
        let view = &view;
        assert!(catch_unwind(AssertUnwindSafe(|| view[0])).is_err());
        assert_eq!(queue.try_recv_bytes(), Err(NotReceived::Empty));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(view[..], [1; 5000]);
}

pub(crate) fn timeouts() {
    let queue = Queue::<Vec<u8>>::with_capacity_bytes(4000).unwrap();
    let start = Instant::now();
    assert_eq!(queue.recv_timeout(SHORT), Err(NotReceived::Timeout));
    assert_eq!(queue.recv_deadline(Instant::now() + SHORT), Err(NotReceived::Timeout));
    assert_eq!(queue.try_recv(), Err(NotReceived::Empty));
    assert_eq!(queue.recv_bytes_timeout(SHORT), Err(NotReceived::Timeout));
    assert_eq!(queue.recv_bytes_into_timeout(&mut [], SHORT), Err(NotReceived::Timeout));
    assert!(start.elapsed() >= 4 * SHORT);
    queue.send_bytes(&[0; 4080]).unwrap();
    let start = Instant::now();
    assert_eq!(queue.send_timeout(vec![1], SHORT).unwrap_err().reason(), &NotSent::Timeout);
    assert_eq!(queue.send_bytes_deadline(&[1; 100], start + SHORT), Err(NotSent::Timeout));
    assert_eq!(queue.send_bytes_timeout(&[1; 3000], SHORT), Err(NotSent::Timeout));
    assert_eq!(queue.try_send_bytes(&[1; 100]), Err(NotSent::Full));
    assert!(start.elapsed() >= 2 * SHORT);
    assert_eq!(queue.len(), 1);
}

pub(crate) fn close_wakes_and_drains() {
    By::each(|by| {
        let (empty, full) =
            (Queue::<u8>::new().unwrap(), Queue::<u8>::with_capacity_bytes(4000).unwrap());
        full.send_bytes(&[1; 4080]).unwrap();
        let work = |seat, _: &Seats| match seat {
            0 => assert_eq!(empty.recv(), Err(NotReceived::Closed)),
            1 => assert_eq!(empty.recv_view().unwrap_err(), NotReceived::Closed),
            2 => assert_eq!(full.send(1).unwrap_err().reason(), &NotSent::Closed),
            _ => assert_eq!(full.send_bytes(&[2; 3000]), Err(NotSent::Closed)),
        };
        crew(by, 4, work, |seats| {
            seats.await_all_asleep();
            empty.close();
            full.close();
            full.close();
        });
        assert!(full.is_closed() && empty.is_closed());
        assert_eq!(full.recv_bytes().unwrap(), [1; 4080]);
        assert_eq!(full.recv(), Err(NotReceived::Closed));
        assert_eq!(full.try_recv(), Err(NotReceived::Closed));
        assert_eq!(full.iter().count(), 0);
    });
}

/// Nobody is told of the end while a message might come back; a view of one's own does not count.
pub(crate) fn closed_queue_waits_for_a_view_elsewhere() {
    By::each(|by| {
        let queue = Queue::<u8>::new().unwrap();
        queue.send_bytes(&[1; 10]).unwrap();
        let work = |_, _: &Seats| {
            while !queue.is_empty() {
                std::thread::yield_now(); // until it is viewed
            }
            assert_eq!(queue.recv(), Err(NotReceived::Closed));
        };
        crew(by, 1, work, |seats| {
            let view = queue.recv_view().unwrap();
            seats.await_all_asleep();
            queue.close();
            assert_eq!(queue.recv(), Err(NotReceived::Closed), "only its own is out");
            seats.await_all_asleep();
            drop(view);
        });
    });
}

pub(crate) fn capacity() {
    assert!(Queue::<u8>::with_capacity_bytes(0).is_err());
    assert!(Queue::<u8>::with_capacity_bytes(usize::MAX).is_err());
    let queue = Queue::<u8>::new().unwrap();
    assert_eq!((queue.capacity_bytes(), queue.max_message_bytes()), (1 << 20, (1 << 20) - 16));
    let queue = Queue::<u8>::with_capacity_bytes(1).unwrap();
    let mut sent = 0;
    while queue.try_send(1).is_ok() {
        sent += 1;
    }
    assert_eq!((sent * 32, queue.len()), (queue.capacity_bytes(), sent));
    assert_eq!(queue.used_bytes(), queue.capacity_bytes());
    assert!(until(|| queue.try_recv().is_err(), LONG));
}

/// `Vec<u8>` has a short way through the codec; what travels must be what serde would have written.
pub(crate) fn vectors_of_bytes_travel_as_postcard() {
    let queue = Queue::<Vec<u8>>::new().unwrap();
    for length in [0usize, 1, 127, 128, 129, 300, 16_383, 16_384, 70_000] {
        let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
        queue.send(bytes.clone()).unwrap();
        assert_eq!(queue.recv_bytes().unwrap(), postcard::to_stdvec(&bytes).unwrap());
        queue.send_bytes(&postcard::to_stdvec(&bytes).unwrap()).unwrap();
        assert_eq!(queue.recv().unwrap(), bytes);
    }
    // Too few, too many, no length, a length that is none.
    for wrong in [&[3u8, 1, 2][..], &[1, 1, 2], &[], &[0xff; 12]] {
        queue.send_bytes(wrong).unwrap();
        let error = queue.recv().unwrap_err();
        assert!(error.to_string().contains("Vec<u8>"), "{error}");
    }
    queue.send(vec![7]).unwrap();
    assert_eq!(queue.recv().unwrap(), [7]);
}
