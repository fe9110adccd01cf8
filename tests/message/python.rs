//! What users of Python's `multiprocessing.Queue` ran into.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use offspring::queue::{NotReceived, NotSent};
use offspring::{Queue, Shared};
use serde::{Deserialize, Deserializer, Serialize};

use crate::floors::LONG;
use crate::message::pages;
use crate::support::{Ended, Kid, asleep, until};

/// There a process that sends much and exits before anybody reads cannot be joined: a thread of its own feeds a pipe.
pub(crate) fn megabyte_sent_exited_joined_then_read() {
    let queue = Queue::<Vec<u8>>::new().unwrap();
    let kid = Kid::fork(|| queue.send(vec![7; 1_000_000]).unwrap());
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!((queue.len(), queue.recv().unwrap()), (1, vec![7; 1_000_000]));
}

/// There `qsize` and `empty` are not reliable: what was put is not there yet.
pub(crate) fn len_right_after_a_send_elsewhere() {
    let queue = Queue::<Vec<u8>>::new().unwrap();
    let sent = Shared::new(AtomicU32::new(0)).unwrap();
    let kid = Kid::fork(|| {
        for n in 1..=200 {
            queue.send(vec![1; if n % 2 == 0 { 10 } else { 4000 }]).unwrap();
            sent.store(n, Ordering::SeqCst);
            assert!(until(|| sent.load(Ordering::SeqCst) == 0, LONG));
        }
    });
    for n in 1..=200 {
        assert!(until(|| sent.load(Ordering::SeqCst) == n, LONG));
        assert_eq!((queue.len(), queue.is_empty()), (1, false));
        queue.try_recv().unwrap();
        assert_eq!((queue.len(), queue.is_empty()), (0, true));
        sent.store(0, Ordering::SeqCst);
    }
    assert_eq!(kid.join(), Ended::Exited(0));
}

pub(crate) fn zero_length() {
    let queue = Queue::<()>::new().unwrap();
    let kid = Kid::fork(|| {
        queue.send_bytes(&[]).unwrap();
        queue.send(()).unwrap();
        queue.send_bytes(&[]).unwrap();
    });
    assert_eq!(queue.recv_bytes().unwrap(), []);
    assert_eq!(queue.recv(), Ok(()));
    assert_eq!(queue.recv_view().unwrap().len(), 0);
    assert_eq!(queue.try_recv_bytes(), Err(NotReceived::Empty));
    assert_eq!(kid.join(), Ended::Exited(0));
}

pub(crate) fn three_stay_three() {
    let queue = Queue::<()>::new().unwrap();
    let kid = Kid::fork(|| {
        [3, 5000, 1].iter().for_each(|&n| queue.send_bytes(&vec![n as u8; n]).unwrap())
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(queue.len(), 3);
    for n in [3, 5000, 1] {
        assert_eq!(queue.recv_bytes().unwrap(), vec![n as u8; n]);
    }
    assert!(queue.is_empty());
}

/// Takes its time when it is decoded in a child: for ever.
#[derive(Serialize, Debug, PartialEq)]
struct Sticky(Vec<u8>);

static PARENT: AtomicU32 = AtomicU32::new(0);

impl<'de> Deserialize<'de> for Sticky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sticky, D::Error> {
        let bytes = Vec::deserialize(deserializer)?;
        while std::process::id() != PARENT.load(Ordering::Relaxed) {
            std::thread::park();
        }
        Ok(Sticky(bytes))
    }
}

/// There nobody else ever reads again.
pub(crate) fn reader_killed_inside_recv() {
    PARENT.store(std::process::id(), Ordering::Relaxed);
    let queue = Queue::<Sticky>::new().unwrap();
    queue.send(Sticky(vec![1; 5000])).unwrap();
    queue.send(Sticky(vec![2; 5000])).unwrap();
    let kid = Kid::fork(|| drop(queue.recv()));
    assert!(until(|| asleep(kid.pid()) && queue.len() == 1, LONG), "parked while it decodes");
    kid.kill();
    assert_eq!(queue.len(), 2);
    assert_eq!(queue.recv(), Ok(Sticky(vec![1; 5000])));
    assert_eq!(queue.recv(), Ok(Sticky(vec![2; 5000])));
    assert_eq!((queue.len(), queue.used_bytes()), (0, 0));
}

/// Signals with a handler, hundreds of them, during each blocking call.
pub(crate) fn signals_during_blocking_calls() {
    extern "C" fn ignore(_: nix::libc::c_int) {}
    let action = SigAction::new(SigHandler::Handler(ignore), SaFlags::empty(), SigSet::empty());
    #[expect(unsafe_code, reason = "the handler does nothing")]
    // SAFETY: it does nothing.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    let queue = Queue::<u32>::with_capacity_bytes(4000).unwrap();
    let pester = |kid: &Kid| {
        for _ in 0..300 {
            kid.signal(Signal::SIGUSR1);
            std::thread::yield_now();
        }
    };
    let kid = Kid::fork(|| assert_eq!(queue.recv(), Ok(1)));
    assert!(until(|| asleep(kid.pid()), LONG));
    pester(&kid);
    queue.send(1).unwrap();
    assert_eq!(kid.join(), Ended::Exited(0));
    queue.send_bytes(&[0; 4080]).unwrap();
    let kid = Kid::fork(|| queue.send(2).unwrap());
    assert!(until(|| asleep(kid.pid()), LONG));
    pester(&kid);
    queue.recv_bytes().unwrap();
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(queue.recv(), Ok(2));
}

/// Every call with a timeout returns although a sender or a receiver is stopped in the middle of its copy, or anywhere.
pub(crate) fn timeouts_beside_stopped_processes() {
    let short = Duration::from_millis(20);
    let queue = Queue::<u32>::with_capacity_bytes(16_000).unwrap();
    let sender = Kid::fork(|| queue.send_bytes(pages::stopping()).unwrap());
    assert!(until(|| stopped(&sender), LONG));
    let receiver = {
        let blocked = Queue::<u32>::with_capacity_bytes(8192).unwrap();
        blocked.send_bytes(&[1; pages::BYTES]).unwrap();
        let receiver = Kid::fork(|| drop(blocked.recv_bytes_into(pages::stopping())));
        assert!(until(|| stopped(&receiver), LONG));
        assert_eq!((blocked.len(), blocked.try_recv()), (0, Err(NotReceived::Empty)));
        let start = Instant::now();
        assert_eq!(blocked.send_bytes_timeout(&[1; pages::BYTES], short), Err(NotSent::Timeout));
        assert_eq!(blocked.recv_timeout(short), Err(NotReceived::Timeout));
        blocked.close();
        assert_eq!(blocked.recv_timeout(short), Err(NotReceived::Timeout), "it may come back");
        assert!(start.elapsed() >= 3 * short);
        receiver
    };
    assert_eq!((queue.len(), queue.is_empty()), (0, true));
    assert_eq!(queue.recv_timeout(short), Err(NotReceived::Timeout));
    assert_eq!(queue.try_recv(), Err(NotReceived::Empty));
    assert_eq!(queue.send_bytes_timeout(&[0; 9000], short), Err(NotSent::Timeout));
    queue.send(5).unwrap();
    assert_eq!((queue.len(), queue.recv()), (1, Ok(5)));
    for kid in [sender, receiver] {
        kid.signal(Signal::SIGCONT);
        assert_eq!(kid.join(), Ended::Exited(0));
    }
    assert_eq!(queue.recv_bytes().unwrap(), [5; pages::BYTES]);
}

pub(crate) fn stopped(kid: &Kid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", kid.pid())).unwrap();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}
