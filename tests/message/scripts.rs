//! Random scripts against a `VecDeque`, and records that run over the end of the ring at every place.

use std::collections::VecDeque;

use offspring::Queue;
use offspring::queue::{NotReceived, NotSent, View};

use crate::support::{Rng, seed};

fn message(rng: &mut Rng, longest: usize) -> Vec<u8> {
    let most = [0, 1, 40, 600, 2100, longest][rng.below(6) as usize].min(longest);
    let first = rng.next_u64() as u8;
    (0..rng.below(most as u64 + 1)).map(|n| first.wrapping_add(n as u8)).collect()
}

/// Room that a message takes.
fn room(bytes: usize) -> usize {
    16 + bytes.next_multiple_of(16)
}

pub(crate) fn against_a_model() {
    let mut rng = Rng::new(seed());
    for bytes in [1, 5000, 20_000] {
        let queue = Queue::<()>::with_capacity_bytes(bytes).unwrap();
        let longest = queue.max_message_bytes();
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        let mut views: Vec<(View<'_>, Vec<u8>)> = Vec::new();
        // What was received behind a message that was put back takes room until that one is received.
        let mut holes = false;
        for _ in 0..8000 {
            match rng.below(9) {
                0..=3 => {
                    let bytes = message(&mut rng, longest);
                    match queue.try_send_bytes(&bytes) {
                        Ok(()) => model.push_back(bytes),
                        Err(error) => {
                            assert_eq!(error, NotSent::Full);
                            let used: usize = model.iter().map(|message| room(message.len())).sum();
                            let fits = used + room(bytes.len()) <= queue.capacity_bytes();
                            assert!(!fits || holes || !views.is_empty(), "{used} are used");
                        }
                    }
                }
                4 => {
                    assert_eq!(queue.try_recv_bytes(), model.pop_front().ok_or(NotReceived::Empty))
                }
                5 => {
                    let mut buffer = vec![0; rng.below(4000) as usize];
                    match (queue.try_recv_bytes_into(&mut buffer), model.front()) {
                        (Err(NotReceived::Empty), None) => {}
                        (Ok(bytes), Some(front)) => {
                            assert_eq!(&buffer[..bytes], front);
                            model.pop_front();
                        }
                        (Err(NotReceived::TooLarge { message_bytes, .. }), Some(front)) => {
                            assert_eq!(message_bytes, front.len());
                        }
                        other => panic!("{other:?}"),
                    }
                }
                6 if views.len() < 4 => match queue.try_recv_view() {
                    Ok(view) => views.push((view, model.pop_front().unwrap())),
                    Err(error) => assert!(error == NotReceived::Empty && model.is_empty()),
                },
                7 if !views.is_empty() => {
                    let (view, expected) =
                        views.swap_remove(rng.below(views.len() as u64) as usize);
                    assert_eq!(&*view, &*expected);
                    // One that is older than all others, put back, is the next one.
                    if views.is_empty() && rng.one_in(3) {
                        view.put_back();
                        model.push_front(expected);
                        holes = true;
                    }
                }
                _ => {}
            }
            assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
            holes &= !model.is_empty();
            if views.is_empty() && !holes {
                let used: usize = model.iter().map(|message| room(message.len())).sum();
                assert_eq!(queue.used_bytes(), used);
            }
        }
        for (view, expected) in views {
            assert_eq!(&*view, &*expected);
        }
        assert!(model.into_iter().all(|expected| queue.recv_bytes() == Ok(expected)));
        assert_eq!(queue.used_bytes(), 0);
    }
}

pub(crate) fn wraps_around_at_every_offset() {
    let queue = Queue::<()>::with_capacity_bytes(1).unwrap();
    let capacity = queue.capacity_bytes();
    let longest = queue.max_message_bytes();
    for start in 0..capacity / 16 {
        for bytes in [0, 1, 15, 16, 17, 500, 2049, longest - 1, longest] {
            let message: Vec<u8> = (0..bytes).map(|n| (n * 7 + start) as u8).collect();
            queue.send_bytes(&message).unwrap();
            match bytes % 3 {
                0 => assert_eq!(queue.recv_bytes().unwrap(), message),
                1 => assert_eq!(&*queue.recv_view().unwrap(), &*message),
                _ => {
                    let mut buffer = vec![0; bytes];
                    assert_eq!(
                        (queue.recv_bytes_into(&mut buffer), &buffer),
                        (Ok(bytes), &message)
                    );
                }
            }
            // All but one unit round again: the next one starts where this one did.
            let rest = capacity - room(bytes);
            if rest > 0 {
                queue.send_bytes(&vec![0; rest - 16]).unwrap();
                queue.recv_bytes().unwrap();
            }
        }
        queue.send_bytes(&[]).unwrap();
        queue.recv_bytes().unwrap();
    }
}
