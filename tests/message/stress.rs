//! Many senders and receivers, small and large messages, at full speed; and the same with deaths.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use offspring::{Queue, Shared};

use crate::floors::{By, Seats, crew};
use crate::support::{Ended, Kid, Rng, seed};

/// A message: sender, number, filling that follows from both.
fn message(rng: &mut Rng, sender: u64, number: u64) -> Vec<u8> {
    let bytes = [0, 30, 500, 2100, 9000][rng.below(5) as usize];
    let mut message = [sender.to_le_bytes(), number.to_le_bytes()].concat();
    message.extend((0..bytes).map(|n| (sender * 31 + number + n) as u8));
    message
}

/// Sender and number, after a look at the filling.
fn read(message: &[u8]) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(message[at..at + 8].try_into().unwrap());
    let (sender, number) = (word(0), word(8));
    let mut filling = message[16..].iter().zip(0u64..);
    assert!(filling.all(|(&byte, n)| byte == (sender * 31 + number + n) as u8), "torn");
    (sender, number)
}

const SENDERS: usize = 3;
const RECEIVERS: usize = 3;

/// Receives in one of the ways.
fn receive(queue: &Queue<()>, way: u64) -> Option<(u64, u64)> {
    match way {
        0 => queue.recv_bytes().ok().map(|bytes| read(&bytes)),
        1 => queue.recv_view().ok().map(|view| read(&view)),
        _ => {
            let mut buffer = [0; 10_000];
            queue.recv_bytes_into(&mut buffer).ok().map(|bytes| read(&buffer[..bytes]))
        }
    }
}

pub(crate) fn order_and_exactly_once() {
    let seed = seed();
    By::each(|by| {
        let queue = Queue::<()>::with_capacity_bytes(30_000).unwrap();
        let [sum, left] = [0, SENDERS as u64].map(|n| Shared::new(AtomicU64::new(n)).unwrap());
        let each = 4000;
        let work = |seat: usize, _: &Seats| {
            let mut rng = Rng::new(seed + seat as u64);
            if seat < SENDERS {
                for number in 1..=each {
                    queue.send_bytes(&message(&mut rng, seat as u64, number)).unwrap();
                }
                if left.fetch_sub(1, SeqCst) == 1 {
                    queue.close();
                }
                return;
            }
            let mut last = HashMap::new();
            while let Some((sender, number)) = receive(&queue, rng.below(3)) {
                let before = last.insert(sender, number).unwrap_or(0);
                assert!(number > before, "{number} of {sender} after {before}");
                sum.fetch_add(number, SeqCst);
            }
        };
        crew(by, SENDERS + RECEIVERS, work, |_| ());
        assert_eq!(sum.load(SeqCst), SENDERS as u64 * each * (each + 1) / 2);
        assert_eq!((queue.len(), queue.used_bytes()), (0, 0));
    });
}

/// Senders and receivers are killed at random moments. A message whose send returned is received once, or was small and being
/// received at a death; what was being received as a view or large is never lost.
pub(crate) fn random_deaths() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let deaths = std::env::var("OFFSPRING_DEATHS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let queue = Queue::<()>::with_capacity_bytes(30_000).unwrap();
    // For each sender: numbers whose send has begun, and has returned. For each receiver: begun, and returned.
    let begun = Shared::new([const { AtomicU64::new(0) }; 4]).unwrap();
    let ended = Shared::new([const { AtomicU64::new(0) }; 4]).unwrap();
    let seen = offspring::Region::new(4 << 20).unwrap();
    let seen = seen.place_slice(2 << 18, |_| std::sync::atomic::AtomicU8::new(0)).unwrap();
    let at = |sender: u64, number: u64| &seen[(sender << 18 | number) as usize];
    let sit = |seat: usize, round: u64| {
        let mut rng = Rng::new(seed ^ round << 8 ^ seat as u64);
        loop {
            let number = begun[seat].load(SeqCst) + 1;
            if seat < 2 {
                let message = message(&mut rng, seat as u64, number);
                begun[seat].store(number, SeqCst);
                queue.send_bytes(&message).unwrap();
                ended[seat].store(number, SeqCst);
            } else {
                let way = rng.below(3);
                begun[seat].store(number, SeqCst);
                let note = |message: &[u8]| {
                    let (sender, number) = read(message);
                    let before = at(sender, number).fetch_add(1, SeqCst);
                    assert_eq!(before % 100, 0, "{number} of {sender} twice");
                };
                match way {
                    // Noted and then killed before the view is dropped, it comes back: note after the drop.
                    0 => {
                        let view = queue.recv_view().unwrap();
                        let copy = view.to_vec();
                        drop(view);
                        note(&copy);
                    }
                    _ => note(&queue.recv_bytes().unwrap()),
                }
                ended[seat].store(number, SeqCst);
            }
        }
    };
    let mut lost_at_most = 0;
    let mut kids: Vec<Kid> = (0..4).map(|seat| Kid::fork(|| sit(seat, 0))).collect();
    for round in 1..=deaths {
        let progress = || begun.iter().map(|n| n.load(SeqCst)).sum::<u64>();
        let (start, wait) = (progress(), rng.below(60));
        let moved = crate::support::until(|| progress() > start + wait, crate::floors::LONG);
        assert!(moved, "nobody gets anything done after {round} deaths");
        let seat = rng.below(4) as usize;
        let kid = kids.swap_remove(seat);
        assert_eq!(kid.kill(), Ended::Killed(nix::sys::signal::Signal::SIGKILL));
        if begun[seat].load(SeqCst) != ended[seat].load(SeqCst) {
            lost_at_most += u64::from(seat >= 2);
            // What was being sent may have arrived; its number is not used again.
            ended[seat].store(begun[seat].load(SeqCst), SeqCst);
            if seat < 2 {
                at(seat as u64, begun[seat].load(SeqCst)).fetch_add(100, SeqCst);
            }
        }
        kids.push(Kid::fork(|| sit(seat, round)));
        let last = kids.len() - 1;
        kids.swap(seat, last);
    }
    kids.drain(..2).for_each(|kid| _ = kid.kill());
    for seat in 0..2 {
        if begun[seat].load(SeqCst) != ended[seat].load(SeqCst) {
            at(seat as u64, begun[seat].load(SeqCst)).fetch_add(100, SeqCst);
        }
    }
    kids.drain(..).for_each(|kid| _ = kid.kill());
    lost_at_most += 2;
    while let Ok(bytes) = queue.try_recv_bytes() {
        let (sender, number) = read(&bytes);
        assert_eq!(at(sender, number).fetch_add(1, SeqCst) % 100, 0, "twice");
    }
    let mut missing = 0;
    for sender in 0..2 {
        for number in 1..=begun[sender as usize].load(SeqCst) {
            missing += u64::from(at(sender, number).load(SeqCst) == 0);
        }
    }
    println!("{deaths} deaths, {missing} messages missing, at most {lost_at_most}");
    assert!(missing <= lost_at_most, "{missing} messages are missing");
    assert_eq!((queue.len(), queue.is_empty()), (0, true));
}
