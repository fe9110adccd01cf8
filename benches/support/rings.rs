//! Message queues, ours and the peers', behind pairs of closures; how many messages a crowd moves, and who gets them.
#![expect(unsafe_code, reason = "a pipe's read and write")]

use super::Figures;
use super::arena::arena;
use super::crowd::{self, Kind, Quota};
use super::kernel;
use super::ours;
use super::stats::min_max_share;
use std::hint::black_box;
use std::sync::Mutex;
use std::thread::yield_now;

/// Messages that a queue holds at most, on every side.
pub(crate) const CAPACITY: usize = 1024;

/// Messages per call where calls take many.
const BURST: usize = 64;

/// What the queues carry: arrays of words.
pub(crate) trait Message: bytemuck::Pod + Send + Sync {
    /// A message with `word` in it.
    fn with(word: u64) -> Self;
    /// The word.
    fn word(&self) -> u64;
}

impl<const WORDS: usize> Message for [u64; WORDS]
where
    [u64; WORDS]: bytemuck::Pod,
{
    #[inline(always)]
    fn with(word: u64) -> Self {
        [word; WORDS]
    }

    #[inline(always)]
    fn word(&self) -> u64 {
        self[WORDS - 1]
    }
}

/// The queues that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// `RingQueue::send` and `recv`.
    Ours,
    /// `RingQueue::send_many` and `recv_many`, 64 messages a call.
    OursBurst,
    /// `Producer::send` and `Consumer::recv`.
    OursHeld,
    /// `crossbeam_channel::bounded`.
    Crossbeam,
    /// `std::sync::mpsc::sync_channel`; one consumer only.
    StdSync,
    /// `rtrb`, both ends polling; one to one only.
    Rtrb,
    /// A Unix pipe, one message a call.
    Pipe,
}

impl Which {
    /// The name in tables and plots.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::Ours => "offspring",
            Which::OursBurst => "offspring-burst",
            Which::OursHeld => "offspring-held",
            Which::Crossbeam => "crossbeam",
            Which::StdSync => "std-sync",
            Which::Rtrb => "rtrb",
            Which::Pipe => "pipe",
        }
    }

    /// Who moves the messages.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Which::Crossbeam | Which::StdSync | Which::Rtrb => Kind::Threads,
            _ => Kind::Processes,
        }
    }
}

/// How many send and how many receive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
}

impl Shape {
    /// As many consumers as producers.
    pub(crate) fn pairs(count: usize) -> Shape {
        Shape { producers: count, consumers: count }
    }
}

/// Messages per second, and the smallest consumer's share over the biggest's. A quota of operations is per producer.
pub(crate) fn flow<T: Message>(which: Which, shape: Shape, quota: Quota) -> Figures {
    arena(|| match which {
        Which::Ours => {
            let queue = ours::queue::<T>(CAPACITY);
            let sender = || |message| queue.send(message).is_ok();
            let receiver = || || queue.recv().ok().map(consume);
            run(which, shape, quota, sender, receiver, || queue.close())
        }
        Which::OursBurst => {
            let queue = ours::queue::<T>(CAPACITY);
            let sender = || |message: T| queue.send_many(&[message; BURST]).is_ok();
            let receiver = || {
                let mut burst = Vec::with_capacity(BURST);
                let queue = &queue;
                move || {
                    burst.clear();
                    queue.recv_many(&mut burst, BURST).ok()?;
                    Some(burst.iter().copied().map(consume).sum())
                }
            };
            run(which, shape, quota, sender, receiver, || queue.close())
        }
        Which::OursHeld => {
            let queue = ours::queue::<T>(CAPACITY);
            let sender = || {
                let mut producer = queue.producer();
                move |message| producer.send(message).is_ok()
            };
            let receiver = || {
                let mut consumer = queue.consumer();
                move || consumer.recv().ok().map(consume)
            };
            run(which, shape, quota, sender, receiver, || queue.close())
        }
        Which::Crossbeam => {
            let (sender, receiver) = crossbeam_channel::bounded::<T>(CAPACITY);
            let root = Mutex::new(Some(sender));
            let sender = || {
                let sender = root.lock().expect("not poisoned").clone().expect("still open");
                move |message| sender.send(message).is_ok()
            };
            let receiver = || || receiver.recv().ok().map(consume);
            run(which, shape, quota, sender, receiver, || drop(take(&root)))
        }
        Which::StdSync => {
            let (sender, receiver) = std::sync::mpsc::sync_channel::<T>(CAPACITY);
            let (root, end) = (Mutex::new(Some(sender)), Mutex::new(Some(receiver)));
            let sender = || {
                let sender = root.lock().expect("not poisoned").clone().expect("still open");
                move |message| sender.send(message).is_ok()
            };
            let receiver = || {
                let receiver = take(&end);
                move || receiver.recv().ok().map(consume)
            };
            run(which, shape, quota, sender, receiver, || drop(take(&root)))
        }
        Which::Rtrb => {
            let (producer, consumer) = rtrb::RingBuffer::<T>::new(CAPACITY);
            let (producer, consumer) = (Mutex::new(Some(producer)), Mutex::new(Some(consumer)));
            // Of no pause, one, eight and a yield per try, the yield serves rtrb best: ends that chase each other
            // closely drag the cache line to and fro for every message.
            let sender = || {
                let mut producer = take(&producer);
                move |message| {
                    while producer.push(message).is_err() {
                        yield_now();
                    }
                    true
                }
            };
            let receiver = || {
                let mut consumer = take(&consumer);
                move || {
                    loop {
                        if let Ok(message) = consumer.pop() {
                            return Some(consume(message));
                        }
                        // Abandoned and still empty: what was pushed before the drop is visible by then.
                        if consumer.is_abandoned() && consumer.is_empty() {
                            return None;
                        }
                        yield_now();
                    }
                }
            };
            run(which, shape, quota, sender, receiver, || ())
        }
        Which::Pipe => {
            let pipe = PipeEnds::new();
            let sender = || |message: T| pipe.write(&message);
            let receiver = || || pipe.read::<T>().filter(|m| m.word() != u64::MAX).map(consume);
            // A last message for each consumer: ends of file would need every inherited end closed.
            let finish =
                || (0..shape.consumers).for_each(|_| assert!(pipe.write(&T::with(u64::MAX))));
            run(which, shape, quota, sender, receiver, finish)
        }
    })
}

/// Uses every byte of a message; counts it.
#[inline(always)]
fn consume<T>(message: T) -> u64 {
    black_box(&message);
    1
}

fn take<T>(slot: &Mutex<Option<T>>) -> T {
    slot.lock().expect("not poisoned").take().expect("one party takes it")
}

fn run<T: Message, S: FnMut(T) -> bool, R: FnMut() -> Option<u64>>(
    which: Which,
    shape: Shape,
    quota: Quota,
    sender: impl Fn() -> S + Sync,
    receiver: impl Fn() -> R + Sync,
    finish: impl Fn() + Sync,
) -> Figures {
    let Shape { producers, consumers } = shape;
    let per_send = if which == Which::OursBurst { BURST as u64 } else { 1 };
    let quota = match quota {
        Quota::Ops(ops) => Quota::Ops(ops.div_ceil(per_send)),
        time => time,
    };
    // Sides that only poll lose whole time slices on one CPU: both get a CPU each, ours and the peer alike.
    let polls = matches!(which, Which::OursHeld | Which::Rtrb);
    let cpus = kernel::cpus();
    let outcome = crowd::run(which.kind(), producers + consumers, quota, |party| {
        if polls && cpus.len() > party.index {
            kernel::pin(cpus[party.index]);
        }
        if party.index < producers {
            let mut send = sender();
            let mut sent = 0;
            while party.goes_on() {
                if !send(black_box(T::with(sent))) {
                    break;
                }
                sent += 1;
            }
            drop(send);
            if party.is_last_to_finish(producers) {
                finish();
            }
            [sent * per_send, 0, 0, 0]
        } else {
            let mut receive = receiver();
            let mut received = 0;
            while let Some(count) = receive() {
                received += count;
            }
            [received, 0, 0, 0]
        }
    })?;
    let sent: u64 = outcome.counts(0..producers).iter().sum();
    let received = outcome.counts(producers..producers + consumers);
    let total: u64 = received.iter().sum();
    if sent != total {
        return Err(format!("{sent} messages were sent, {total} were received"));
    }
    Ok(vec![total as f64 / outcome.seconds, min_max_share(&received)])
}

/// Both ends of a Unix pipe; every party inherits both.
pub(crate) struct PipeEnds([libc::c_int; 2]);

impl PipeEnds {
    pub(crate) fn new() -> PipeEnds {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0, "pipe2");
        PipeEnds(ends)
    }

    /// Writes the message whole: up to PIPE_BUF bytes a pipe takes all or waits.
    pub(crate) fn write<T: Message>(&self, message: &T) -> bool {
        let bytes = bytemuck::bytes_of(message);
        // SAFETY: the buffer is valid for its length.
        let count = unsafe { libc::write(self.0[1], bytes.as_ptr().cast(), bytes.len()) };
        count == bytes.len() as isize
    }

    /// Reads one message.
    pub(crate) fn read<T: Message>(&self) -> Option<T> {
        let mut message = T::zeroed();
        let bytes = bytemuck::bytes_of_mut(&mut message);
        // SAFETY: the buffer is valid for its length.
        let count = unsafe { libc::read(self.0[0], bytes.as_mut_ptr().cast(), bytes.len()) };
        (count == bytes.len() as isize).then_some(message)
    }
}
