//! Processes that are killed at random moments of a send or a receive. (`tests/matrix/pipe.rs` kills at every instruction.)

use offspring::queue::pipe::RecvError;
use offspring::{simplex, spawn};
use std::time::{Duration, Instant};

use crate::support::{Rng, seed};

const ROUNDS: usize = 60;

/// Message number `n`: its length depends on the number, and every word is the number.
fn message(n: u64) -> Vec<u64> {
    let length = if n % 5 == 4 { 12_000 + n as usize % 1000 } else { n as usize % 50 };
    vec![n; length + 1]
}

fn number(message: &[u64]) -> u64 {
    let n = message[0];
    assert_eq!(message, self::message(n), "message {n} is torn");
    n
}

/// Busy for up to 300 µs.
fn linger(rng: &mut Rng) {
    let until = Instant::now() + Duration::from_nanos(rng.below(300_000));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

pub(crate) fn killed_senders_leave_whole_messages() {
    let mut rng = Rng::new(seed());
    for _ in 0..ROUNDS {
        let (sender, receiver) = simplex::<Vec<u64>>().unwrap();
        let child = spawn(move || {
            for n in 0.. {
                sender.send(message(n)).unwrap();
            }
        })
        .unwrap();
        let first = receiver.recv().unwrap();
        assert_eq!(number(&first), 0);
        linger(&mut rng);
        child.kill().unwrap();
        let mut next = 1;
        loop {
            match receiver.recv_timeout(Duration::from_secs(20)) {
                Ok(message) => assert_eq!(number(&message), next),
                Err(RecvError::EndOfStream) => break,
                Err(error) => panic!("{error} after message {next}"),
            }
            next += 1;
        }
        child.join().unwrap_err();
    }
}

pub(crate) fn killed_receivers_take_one_message_at_most() {
    let mut rng = Rng::new(seed());
    let (sender, receiver) = simplex::<Vec<u64>>().unwrap();
    let (done, progress) = simplex::<u64>().unwrap();
    let mut sent = 0;
    let mut next = 0;
    for _ in 0..ROUNDS {
        let (victims, done) = (receiver.try_clone().unwrap(), done.try_clone().unwrap());
        let child = spawn(move || {
            loop {
                done.send(number(&victims.recv().unwrap())).unwrap();
            }
            #[expect(unreachable_code, reason = "the type of the result")]
            ()
        })
        .unwrap();
        for _ in 0..rng.below(30) + 1 {
            sender.send(message(sent)).unwrap();
            sent += 1;
        }
        linger(&mut rng);
        child.kill().unwrap();
        child.join().unwrap_err();
        while let Ok(n) = progress.try_recv() {
            assert_eq!(n, next);
            next += 1;
        }
        // What it had not consumed is for the next; one message it may have had in its hands.
        sender.send(message(sent)).unwrap();
        sent += 1;
        let n = number(&receiver.recv().unwrap());
        assert!(n == next || n == next + 1, "{n} after {next}");
        next = n + 1;
        while let Ok(message) = receiver.try_recv() {
            assert_eq!(number(&message), next);
            next += 1;
        }
        assert_eq!(next, sent);
    }
}
