//! Deadlines, signals, and waiting for several things.
#![expect(unsafe_code, reason = "a signal handler and a timer")]

use offspring::queue::pipe::{Obstacle, RecvError};
use offspring::{
    Child, Counter, ErrorKind, Exit, Shared, Signal, pipe, simplex, spawn, try_wait_any, wait_any,
    wait_any_deadline, wait_any_timeout,
};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::floors::LONG;
use crate::support::{processes, until};

const SHORT: Duration = Duration::from_millis(3);

/// Every operation with a timeout, on a pipe whose other side does nothing: it returns, and says why.
pub(crate) fn timeouts_while_the_other_side_is_stopped() {
    let (here, there) = pipe::<u32>().unwrap();
    let (ready, is_ready) = simplex::<()>().unwrap();
    let child = spawn(move || -> () {
        ready.send(()).unwrap();
        loop {
            let n = there.recv().unwrap();
            there.send(n).unwrap();
        }
    })
    .unwrap();
    is_ready.recv().unwrap();
    child.signal(Signal::STOP).unwrap();
    let is_stopped =
        || processes().iter().any(|process| process.id == child.pid() && process.state == 'T');
    assert!(until(is_stopped, LONG));

    let at = || Instant::now() + SHORT;
    let mut buffer = [0; 8];
    let results: [Result<(), RecvError>; 8] = [
        here.recv_timeout(SHORT).map(drop),
        here.recv_deadline(at()).map(drop),
        here.recv_bytes_timeout(SHORT).map(drop),
        here.recv_bytes_deadline(at()).map(drop),
        here.recv_bytes_into_timeout(&mut buffer, SHORT).map(drop),
        here.recv_bytes_into_deadline(&mut buffer, at()).map(drop),
        here.recv_fd_timeout(SHORT).map(drop),
        here.recv_fd_deadline(at()).map(drop),
    ];
    assert!(results.iter().all(|result| matches!(result, Err(RecvError::Timeout))), "{results:?}");
    assert!(!here.poll(SHORT) && !here.is_ready());
    assert_eq!(wait_any_timeout(&[&here, &child], SHORT).unwrap(), [0usize; 0]);
    assert_eq!(wait_any_deadline(&[&here, &child], at()).unwrap(), [0usize; 0]);
    assert!(child.join_timeout(SHORT).is_none());

    // Fill the pipe.
    while here.try_send(1).is_ok() {}
    let big = vec![0; 1 << 20];
    let results = [
        here.send_timeout(1, SHORT).map_err(drop_message),
        here.send_deadline(1, at()).map_err(drop_message),
        here.send_bytes_timeout(b"x", SHORT).map_err(drop_message),
        here.send_bytes_deadline(b"x", at()).map_err(drop_message),
        here.send_bytes_timeout(&big, SHORT).map_err(drop_message),
        here.send_bytes_deadline(&big, at()).map_err(drop_message),
        here.send_fd_timeout(here.as_fd(), SHORT).map_err(drop_message),
        here.send_fd_deadline(here.as_fd(), at()).map_err(drop_message),
    ];
    assert!(results.iter().all(|result| *result == Err(true)), "{results:?}");
    child.signal(Signal::CONT).unwrap();
    assert_eq!(here.recv().unwrap(), 1, "it goes on");
    child.kill().unwrap();
    child.join().unwrap_err();
}

/// Whether it was a timeout.
fn drop_message<T>(error: offspring::queue::pipe::SendError<T>) -> bool {
    matches!(error.obstacle(), Obstacle::Timeout)
}

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn on_alarm(_signal: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// SIGALRM every 200 µs, without SA_RESTART, in this process (a fork does not inherit the timer).
fn signals_from_now_on() {
    let handler = on_alarm as extern "C" fn(i32) as libc::sighandler_t;
    // SAFETY: plain data, filled below.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: the handler only adds to an atomic.
    let set = unsafe { libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) };
    assert_eq!(set, 0);
    let often = libc::timeval { tv_sec: 0, tv_usec: 200 };
    let timer = libc::itimerval { it_interval: often, it_value: often };
    // SAFETY: reads the timer's values.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) }, 0);
}

/// Waits until `count` more signals have come, and so the other side has slept through them.
fn await_signals(seen: &Counter, count: u64) {
    let from = seen.get();
    assert!(until(|| seen.get() >= from + count, LONG));
}

pub(crate) fn signals_in_every_blocking_call() {
    let seen = Shared::new(Counter::new("signals")).unwrap();
    let (here, there) = pipe::<Vec<u8>>().unwrap();
    let seen_by_child = seen.clone();
    // The child waits for messages, and for room, while signals come.
    let child = spawn(move || {
        signals_from_now_on();
        let (count, stopped) = (seen_by_child.clone(), AtomicU32::new(0));
        let (other, other_there) = pipe::<Vec<u8>>().unwrap();
        // A second thread keeps the books, so that the waiting one does nothing but wait.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                nix::sys::signal::SigSet::all().thread_block().unwrap();
                while stopped.load(Ordering::Relaxed) == 0 {
                    let new = SIGNALS.swap(0, Ordering::Relaxed);
                    count.add(u64::from(new));
                    std::thread::yield_now();
                }
            });
            let run = || {
                assert_eq!(there.recv().unwrap(), [1]);
                assert_eq!(there.recv_timeout(LONG).unwrap(), [2]);
                assert_eq!(there.recv_bytes().unwrap(), [3]);
                assert_eq!(there.recv_bytes_into(&mut [0; 5]).unwrap(), 1);
                there.recv_fd().unwrap();
                assert!(there.poll(LONG));
                assert_eq!(wait_any(&[&there, &other]).unwrap(), [0]);
                assert_eq!(there.recv_bytes().unwrap().len(), 1 << 20);
                for n in 0..40 {
                    there.send(vec![n; 60_000]).unwrap();
                    there.send_bytes_timeout(&vec![n; 200_000], LONG).unwrap();
                }
                // A time limit is not made longer by signals.
                let started = Instant::now();
                assert!(other.recv_timeout(SHORT).is_err());
                assert!(!other_there.poll(SHORT));
                assert!(started.elapsed() >= 2 * SHORT);
            };
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            stopped.store(1, Ordering::Relaxed);
            assert!(ran.is_ok());
        });
    })
    .unwrap();
    let pause = || await_signals(&seen, 5);
    pause();
    here.send(vec![1]).unwrap();
    pause();
    here.send(vec![2]).unwrap();
    pause();
    here.send_bytes(&[3]).unwrap();
    pause();
    here.send_bytes(&[4]).unwrap();
    pause();
    here.send_fd(here.as_fd()).unwrap();
    pause();
    here.send_bytes(&vec![0; 1 << 20]).unwrap();
    pause();
    for n in 0..40 {
        assert_eq!(here.recv().unwrap(), [n; 60_000]);
        if n % 10 == 0 {
            pause();
        }
        assert_eq!(here.recv_bytes().unwrap(), [n; 200_000]);
    }
    child.join().unwrap();
}

pub(crate) fn wait_any_multiplexes() {
    const PRODUCERS: usize = 4;
    const MESSAGES: u32 = 10_000;
    let mut receivers = Vec::new();
    let mut children: Vec<Option<Child<()>>> = Vec::new();
    for _ in 0..PRODUCERS {
        let (sender, receiver) = simplex::<u32>().unwrap();
        receivers.push(Some(receiver));
        let produce = move || (0..MESSAGES).for_each(|n| sender.send(n).unwrap());
        children.push(Some(spawn(produce).unwrap()));
    }
    let mut next = [0; PRODUCERS];
    loop {
        let mut things: Vec<&dyn AsFd> = Vec::new();
        let mut names = Vec::new();
        for index in 0..PRODUCERS {
            if let Some(receiver) = &receivers[index] {
                things.push(receiver);
                names.push((index, false));
            }
            if let Some(child) = &children[index] {
                things.push(child);
                names.push((index, true));
            }
        }
        if things.is_empty() {
            break;
        }
        let ready = wait_any(&things).unwrap();
        assert!(!ready.is_empty() && ready.is_sorted());
        for (index, is_child) in ready.into_iter().map(|at| names[at]) {
            if is_child {
                children[index].take().unwrap().try_join().expect("it has ended").unwrap();
                continue;
            }
            match receivers[index].as_ref().unwrap().try_recv() {
                Ok(n) => {
                    assert_eq!(n, next[index]);
                    next[index] += 1;
                }
                Err(RecvError::EndOfStream) => receivers[index] = None,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(next, [MESSAGES; PRODUCERS]);
}

pub(crate) fn wait_any_forms() {
    let (a, b) = pipe::<u32>().unwrap();
    // Forked before the plain pipe, of whose writer it would keep a copy.
    let child = spawn(|| -> () {
        loop {
            std::thread::park();
        }
    })
    .unwrap();
    let (mut socket, other) = UnixStream::pair().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let reader = OwnedFd::from(reader);
    let things: [&dyn AsFd; 4] = [&b, &other, &reader, &child];
    assert_eq!(try_wait_any(&things).unwrap(), [0usize; 0]);
    a.send(1).unwrap();
    assert_eq!(wait_any(&things).unwrap(), [0]);
    socket.write_all(b"x").unwrap();
    assert_eq!(wait_any_timeout(&things, LONG).unwrap(), [0, 1]);
    drop(writer);
    assert_eq!(wait_any_deadline(&things, Instant::now() + LONG).unwrap(), [0, 1, 2]);
    assert_eq!(b.recv().unwrap(), 1);
    child.kill().unwrap();
    assert_eq!(wait_any(&[&child]).unwrap(), [0]);
    assert_eq!(try_wait_any(&things).unwrap(), [1, 2, 3]);
    drop(a);
    assert_eq!(try_wait_any(&things).unwrap(), [0, 1, 2, 3], "the end of a stream is ready");
    assert_eq!(child.join().unwrap_err().exit(), Some(&Exit::Signal(Signal::KILL)));

    assert_eq!(wait_any(&[]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(try_wait_any(&[]).unwrap(), [0usize; 0]);
    let started = Instant::now();
    assert_eq!(wait_any_timeout(&[], SHORT).unwrap(), [0usize; 0]);
    assert!(started.elapsed() >= SHORT);
}

/// Senders that wait for room, with and without a deadline, when the last receiver goes.
pub(crate) fn a_blocked_send_hears_of_the_end() {
    for endless in [true, false] {
        let (here, there) = pipe::<u32>().unwrap();
        let (full, is_full) = simplex::<()>().unwrap();
        let child = spawn(move || {
            while there.try_send(1).is_ok() {}
            full.send(()).unwrap();
            let sent = if endless { there.send(2) } else { there.send_timeout(2, LONG) };
            matches!(sent.unwrap_err().obstacle(), Obstacle::Disconnected)
        })
        .unwrap();
        is_full.recv().unwrap();
        let blocks =
            || processes().iter().any(|process| process.id == child.pid() && process.state == 'S');
        assert!(until(blocks, LONG));
        drop(here);
        assert!(child.join().unwrap());
    }
}
