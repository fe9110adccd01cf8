//! Processes that stand still (SIGSTOP), and signals in the middle of a wait.
#![expect(unsafe_code, reason = "installs a signal handler")]

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use offspring::queue::{NotReceived, NotSent, QueueJoinError};
use offspring::{JoinableQueue, WorkQueue};

use crate::floors::LONG;
use crate::support::{Ended, Kid, asleep, until};
use crate::work::deaths::{drain, holder};

const SHORT: Duration = Duration::from_millis(20);

/// It is slow, not dead: nobody takes its item. When it is killed, somebody does.
pub(crate) fn stopped_holder_keeps_its_item() {
    let queue = WorkQueue::new(4).unwrap();
    queue.send(1).unwrap();
    let victim = holder(&queue, 1);
    victim.signal(Signal::SIGSTOP);
    assert_eq!(queue.recv_timeout(SHORT).map(drop), Err(NotReceived::Timeout));
    assert_eq!((queue.len(), queue.in_delivery()), (0, 1));
    victim.kill();
    assert_eq!(drain(&queue), [(1, 2)]);
}

pub(crate) fn timeouts_in_time_beside_a_stopped_process() {
    let queue = WorkQueue::new(1).unwrap();
    let tasks = JoinableQueue::<u32>::new(1).unwrap();
    let sleeper = Kid::fork(|| _ = queue.recv());
    assert!(until(|| asleep(sleeper.pid()), LONG));
    sleeper.signal(Signal::SIGSTOP);
    let start = Instant::now();
    tasks.send(1).unwrap();
    queue.send(1).unwrap();
    assert_eq!(queue.send_timeout(2, SHORT).unwrap_err().reason(), &NotSent::Timeout);
    assert_eq!(queue.recv_timeout(SHORT).unwrap().ack(), 1);
    assert_eq!(queue.recv_timeout(SHORT).map(drop), Err(NotReceived::Timeout));
    assert_eq!(tasks.join_timeout(SHORT), Err(QueueJoinError::Timeout));
    // A stopped process has no clock of its own; this is to tell "in time" from "never".
    assert!(start.elapsed() < LONG);
    queue.send(3).unwrap();
    sleeper.signal(Signal::SIGCONT);
    assert_eq!(sleeper.join(), Ended::Exited(0));
}

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_signal(_: i32) {
    SIGNALS.fetch_add(1, SeqCst);
}

/// A handler without SA_RESTART runs during each blocking call, which then goes on to wait.
pub(crate) fn signals_interrupt_nothing() {
    let action =
        SigAction::new(SigHandler::Handler(count_signal), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does one atomic addition.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    let queue = WorkQueue::<u32>::new(1).unwrap();
    let tasks = JoinableQueue::<u32>::new(1).unwrap();
    let interrupted = |blocked: &dyn Fn(), release: &dyn Fn()| {
        let kid = Kid::fork(|| {
            blocked();
            assert!(SIGNALS.load(SeqCst) > 0);
        });
        for _ in 0..3 {
            assert!(until(|| asleep(kid.pid()), LONG));
            kid.signal(Signal::SIGUSR1);
        }
        release();
        assert_eq!(kid.join(), Ended::Exited(0));
    };
    interrupted(&|| assert_eq!(queue.recv().unwrap().ack(), 1), &|| queue.send(1).unwrap());
    queue.send(2).unwrap();
    interrupted(&|| queue.send(3).unwrap(), &|| assert_eq!(queue.recv().unwrap().ack(), 2));
    assert_eq!(queue.recv().unwrap().ack(), 3);
    tasks.send(4).unwrap();
    interrupted(&|| tasks.join().unwrap(), &|| {
        assert_eq!(tasks.recv(), Ok(4));
        tasks.task_done().unwrap();
    });
}
