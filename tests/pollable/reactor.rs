//! mio: edge-triggered epoll over queues, a pipe and a child.

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use offspring::queue::{NotReceived, Pollable, TryRecvError};
use offspring::{Queue, RingQueue, WorkQueue, simplex, spawn};
use std::os::fd::{AsFd, AsRawFd};

use crate::support::{Ended, Kid, Rng, seed, until};

use crate::floors::LONG;

fn watch(poll: &Poll, token: usize, source: &impl AsFd) {
    let fd = source.as_fd().as_raw_fd();
    poll.registry()
        .register(&mut SourceFd(&fd), Token(token), Interest::READABLE)
        .expect("register a descriptor");
}

/// Four senders with pauses of random lengths, so that the reactor sleeps often; each message, and its sender's end, arrives.
pub(crate) fn queues_pipe_and_child() {
    const COUNT: u64 = 3000;
    const SENDERS: u64 = 4;
    let seed = seed();
    let ring = Pollable::<RingQueue<u64>>::new(4).unwrap();
    let bytes = Pollable::<Queue<()>>::with_capacity_bytes(16_000).unwrap();
    let (pipe, piped) = simplex::<u64>().unwrap();
    let senders: Vec<Kid> = (0..SENDERS)
        .map(|sender| {
            let (ring, bytes) = (&ring, &bytes);
            Kid::fork(move || {
                let mut rng = Rng::new(seed ^ sender);
                for n in 0..COUNT {
                    match rng.below(3) {
                        0 => ring.send(n).unwrap(),
                        1 => bytes.send_bytes(&[0; 20]).unwrap(),
                        _ => bytes.send_bytes(&[0; 3000]).unwrap(),
                    }
                    (0..rng.below(2000)).for_each(|_| std::hint::spin_loop());
                }
            })
        })
        .collect();
    let child = spawn(move || (0..10).for_each(|n| pipe.send(n).unwrap())).unwrap();
    let mut poll = Poll::new().unwrap();
    watch(&poll, 0, &ring);
    watch(&poll, 1, &bytes);
    watch(&poll, 2, &piped);
    watch(&poll, 3, &child);
    let mut events = Events::with_capacity(8);
    let (mut got, mut words, mut ended, mut wakes) = (0, 0, false, 0);
    while got < COUNT * SENDERS || words < 10 || !ended {
        poll.poll(&mut events, None).unwrap();
        wakes += 1;
        for event in &events {
            match event.token() {
                Token(0) => got += std::iter::from_fn(|| ring.try_recv().ok()).count() as u64,
                Token(1) => loop {
                    match bytes.try_recv_view() {
                        Ok(view) => got += u64::from(matches!(view.len(), 20 | 3000)),
                        Err(NotReceived::Empty) => break,
                        Err(error) => panic!("{error}"),
                    }
                },
                Token(2) => words += std::iter::from_fn(|| piped.try_recv().ok()).count(),
                _ => ended = true,
            }
        }
    }
    println!("{got} messages, {wakes} wake-ups");
    for sender in senders {
        assert_eq!(sender.join(), Ended::Exited(0));
    }
    child.join().unwrap();
    assert_eq!(ring.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(bytes.try_recv(), Err(NotReceived::Empty));
}

/// Two processes with an epoll of their own share the work; whenever senders pause, nothing is left.
pub(crate) fn two_reactors() {
    let queue = Pollable::<RingQueue<u64>>::new(64).unwrap();
    let counts = RingQueue::<u64>::new(2).unwrap();
    let reactor = || {
        Kid::fork(|| {
            let mut poll = Poll::new().unwrap();
            watch(&poll, 0, &queue);
            let mut events = Events::with_capacity(8);
            let mut got = 0;
            loop {
                poll.poll(&mut events, None).unwrap();
                let end = loop {
                    match queue.try_recv() {
                        Ok(_) => got += 1,
                        Err(end) => break end,
                    }
                };
                if end == TryRecvError::Closed {
                    return counts.send(got).unwrap();
                }
            }
        })
    };
    let reactors = [reactor(), reactor()];
    let mut sent = 0;
    for round in 0..2000 {
        (0..round % 7).for_each(|n| queue.send(n).unwrap());
        sent += round % 7;
        assert!(until(|| queue.is_empty(), LONG), "a message for which nobody is woken");
    }
    queue.close();
    for reactor in reactors {
        assert_eq!(reactor.join(), Ended::Exited(0));
    }
    assert_eq!(counts.recv().unwrap() + counts.recv().unwrap(), sent);
}

/// tokio on one thread: a queue, a work queue and a timer in one loop.
pub(crate) fn tokio_async_fd() {
    use tokio::io::unix::AsyncFd;
    const COUNT: u64 = 500;
    let words = Pollable::<Queue<u64>>::new().unwrap();
    let jobs = Pollable::<WorkQueue<u64>>::new(8).unwrap();
    let mut rng = Rng::new(seed());
    let senders = [0, 1].map(|which| {
        let mut rng = Rng::new(rng.next_u64());
        let (words, jobs) = (&words, &jobs);
        Kid::fork(move || {
            for n in 0..COUNT {
                match which {
                    0 => words.send(n).unwrap(),
                    _ => jobs.send(n).unwrap(),
                }
                (0..rng.below(2000)).for_each(|_| std::hint::spin_loop());
            }
            match which {
                0 => words.close(),
                _ => jobs.close(),
            }
        })
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (got, done) = runtime.block_on(async {
        #[expect(
            deprecated,
            reason = "tokio's other spelling is unsafe; a Pollable keeps the promise"
        )]
        let (words, jobs) = (AsyncFd::new(words).unwrap(), AsyncFd::new(jobs).unwrap());
        let receive = async {
            let mut got = Vec::new();
            loop {
                let mut ready = words.readable().await.unwrap();
                match words.get_ref().try_recv() {
                    Ok(number) => got.push(number),
                    Err(NotReceived::Empty) => ready.clear_ready(),
                    Err(_) => return got,
                }
            }
        };
        let work = async {
            let mut done = Vec::new();
            loop {
                let mut ready = jobs.readable().await.unwrap();
                match jobs.get_ref().try_recv() {
                    Ok(delivery) => done.push(delivery.ack()),
                    Err(NotReceived::Empty) => ready.clear_ready(),
                    Err(_) => return done,
                }
            }
        };
        tokio::join!(receive, work)
    });
    assert!(got.iter().copied().eq(0..COUNT) && done.iter().copied().eq(0..COUNT));
    for sender in senders {
        assert_eq!(sender.join(), Ended::Exited(0));
    }
}
