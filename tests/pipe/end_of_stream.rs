//! The end of a stream arrives, although fork copies every descriptor. A stream that does not end is a case that hangs.

use offspring::queue::pipe::{Obstacle, RecvError};
use offspring::{
    Builder, Child, Connection, Exit, Receiver, Sender, Shared, Signal, pipe, scope, simplex, spawn,
};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::floors::LONG;
use crate::support::{has_ended, until};

/// A child that was given nothing, and lives until it is killed.
fn bystander() -> Child<()> {
    spawn(|| -> () {
        loop {
            std::thread::park()
        }
    })
    .unwrap()
}

/// The same, but its closure owns something.
fn owner() -> Child<()> {
    let text = String::from("mine");
    spawn(move || -> () {
        loop {
            std::thread::park();
            assert_eq!(text, "mine");
        }
    })
    .unwrap()
}

fn kill(child: Child<()>) {
    child.kill().unwrap();
    assert_eq!(child.join().unwrap_err().exit(), Some(&Exit::Signal(Signal::KILL)));
}

/// Counts the messages until the end of the stream.
fn drain(end: &Connection<u32>) -> u32 {
    let mut count = 0;
    loop {
        match end.recv() {
            Ok(_) => count += 1,
            Err(RecvError::EndOfStream) => return count,
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn arrives_in_the_child() {
    let (here, there) = pipe::<u32>().unwrap();
    let child = spawn(move || drain(&there)).unwrap();
    here.send(1).unwrap();
    here.send(2).unwrap();
    drop(here);
    assert_eq!(child.join().unwrap(), 2);
}

pub(crate) fn arrives_in_the_parent() {
    for ends_by_itself in [true, false] {
        let (here, there) = pipe::<u32>().unwrap();
        let child = spawn(move || {
            there.send(1).unwrap();
            if !ends_by_itself {
                let _ = there.recv();
            }
        })
        .unwrap();
        assert_eq!(here.recv().unwrap(), 1);
        if ends_by_itself {
            assert!(here.recv().unwrap_err().is_end_of_stream());
            child.join().unwrap();
        } else {
            kill(child);
            assert!(here.recv().unwrap_err().is_end_of_stream());
        }
        let error = here.send(1).unwrap_err();
        assert!(matches!(error.obstacle(), Obstacle::Disconnected));
    }
}

/// Siblings that were forked before and after, with and without something in their closures, and living on.
pub(crate) fn siblings_hold_nothing_back() {
    let (early, early_there) = pipe::<u32>().unwrap();
    let before = [bystander(), owner()];
    let (here, there) = pipe::<u32>().unwrap();
    let between = [bystander(), owner()];
    let child = spawn(move || {
        let count = drain(&there);
        // The other direction: the parent is waiting for this end.
        drop(there);
        count
    })
    .unwrap();
    let early_child = spawn(move || drain(&early_there)).unwrap();
    let after = [bystander(), owner()];
    here.send(5).unwrap();
    let watched = here.try_clone().unwrap();
    drop(here);
    let late = [bystander(), owner()];
    drop(watched);
    assert_eq!(child.join().unwrap(), 1);
    drop(early);
    assert_eq!(early_child.join().unwrap(), 0);

    let (here, there) = pipe::<u32>().unwrap();
    let child = spawn(move || there.send(7).unwrap()).unwrap();
    let latest = [bystander(), owner()];
    assert_eq!(drain(&here), 1);
    child.join().unwrap();
    for sibling in before.into_iter().chain(between).chain(after).chain(late).chain(latest) {
        assert!(sibling.is_alive());
        kill(sibling);
    }
}

/// Each of two children has one end, the parent none.
pub(crate) fn between_siblings() {
    for is_killed in [false, true] {
        let (a, b) = pipe::<u32>().unwrap();
        let reader = spawn(move || drain(&b)).unwrap();
        let writer = spawn(move || -> () {
            a.send(1).unwrap();
            if is_killed {
                loop {
                    std::thread::park();
                }
            }
        })
        .unwrap();
        if is_killed {
            writer.kill().unwrap();
        }
        // A writer that was killed early has sent nothing.
        assert!(reader.join().unwrap() <= 1);
        assert_eq!(writer.join().is_ok(), !is_killed);
    }
}

/// The child gives its end to a child of its own, which has a sibling too.
pub(crate) fn nested_children() {
    let (here, there) = pipe::<u32>().unwrap();
    let child = spawn(move || {
        let (up, down) = pipe::<u32>().unwrap();
        let before = bystander();
        let grandchild = spawn(move || drain(&there) + drain(&down)).unwrap();
        let after = owner();
        up.send(3).unwrap();
        drop(up);
        let count = grandchild.join().unwrap();
        kill(before);
        kill(after);
        count
    })
    .unwrap();
    here.send(1).unwrap();
    drop(here);
    assert_eq!(child.join().unwrap(), 2);
}

pub(crate) fn arrives_when_the_parent_is_killed() {
    let count = Shared::new(AtomicU32::new(0)).unwrap();
    let parent = spawn(|| -> () {
        let (here, there) = pipe::<u32>().unwrap();
        let count = &count;
        let _child = Builder::new()
            .outlive_parent(true)
            .spawn(move || {
                count.store(1, Ordering::SeqCst);
                let drained = drain(&there);
                count.store(100 + drained, Ordering::SeqCst);
            })
            .unwrap();
        here.send(1).unwrap();
        loop {
            std::thread::park();
        }
    })
    .unwrap();
    assert!(until(|| count.load(Ordering::SeqCst) == 1, LONG));
    kill(parent);
    assert!(until(|| count.load(Ordering::SeqCst) == 101, LONG), "the orphan still waits");
}

pub(crate) fn moved_in_containers() {
    let mut all: Vec<(Connection<u32>, Connection<u32>)> =
        (0..6).map(|_| pipe().unwrap()).collect();
    let mut next = || all.pop().unwrap();
    let ((a, in_box), (b, in_arc), (c, in_vec), (d, in_option), (e, in_rc)) =
        (next(), next(), next(), next(), next());
    let kept = Arc::new(next());
    let also_here = Arc::clone(&kept);
    let in_box: Box<dyn Fn() -> u32> = Box::new(move || drain(&in_box));
    let in_arc = Arc::new(Mutex::new(Some(in_arc)));
    let (in_vec, in_option, in_rc) = (vec![in_vec], Some(in_option), Rc::new(in_rc));
    let child = spawn(move || {
        // What the parent keeps, too, was not moved.
        assert!(matches!(kept.0.recv(), Err(RecvError::NotMoved)));
        let locked = in_arc.lock().unwrap();
        in_box()
            + drain(locked.as_ref().unwrap())
            + drain(&in_vec[0])
            + drain(&in_option.unwrap())
            + drain(&in_rc)
    })
    .unwrap();
    for end in [a, b, c, d, e] {
        end.send(1).unwrap();
    }
    assert_eq!(child.join().unwrap(), 5);
    also_here.0.send(3).unwrap();
    assert_eq!(also_here.1.recv().unwrap(), 3);
}

pub(crate) fn in_a_scope() {
    let total = scope(|s| {
        let (to_first, first) = pipe::<u32>().unwrap();
        let (to_second, second) = pipe::<u32>().unwrap();
        let children =
            [s.spawn(move || drain(&first)).unwrap(), s.spawn(move || drain(&second)).unwrap()];
        to_first.send(1).unwrap();
        to_second.send(1).unwrap();
        drop((to_first, to_second));
        children.into_iter().map(|child| child.join().unwrap()).sum::<u32>()
    });
    assert_eq!(total, 2);
}

pub(crate) fn using_what_was_not_moved_says_so() {
    let (here, there) = pipe::<u32>().unwrap();
    let (sender, receiver): (Sender<u32>, Receiver<u32>) = simplex().unwrap();
    let cloned = there.try_clone().unwrap();
    let forgotten = std::mem::ManuallyDrop::new(pipe::<u32>().unwrap());
    let child = spawn(|| {
        let error = there.recv().unwrap_err();
        assert!(matches!(error, RecvError::NotMoved));
        assert!(error.to_string().contains("spawn(move || …)"), "{error}");
        let error = there.send(8).unwrap_err();
        assert!(matches!(error.obstacle(), Obstacle::NotMoved));
        assert!(error.to_string().contains("try_clone"), "{error}");
        assert!(there.poll(LONG), "nothing to wait for: the next call tells");
        assert!(matches!(receiver.recv_bytes(), Err(RecvError::NotMoved)));
        assert!(matches!(receiver.recv_bytes_into(&mut [0; 9]), Err(RecvError::NotMoved)));
        assert!(matches!(receiver.recv_fd(), Err(RecvError::NotMoved)));
        assert!(matches!(receiver.recv_timeout(LONG), Err(RecvError::NotMoved)));
        assert!(matches!(sender.send_bytes(b"x").unwrap_err().obstacle(), Obstacle::NotMoved));
        let big = vec![0; 100_000];
        assert!(matches!(sender.send_bytes(&big).unwrap_err().obstacle(), Obstacle::NotMoved));
        assert!(matches!(
            sender.send_fd(sender.as_fd()).unwrap_err().obstacle(),
            Obstacle::NotMoved
        ));
        assert!(matches!(there.try_clone().unwrap().recv(), Err(RecvError::NotMoved)));
        assert!(matches!(forgotten.0.recv(), Err(RecvError::NotMoved)));
        // A child's own pipes are as good as ever.
        let (a, b) = pipe::<u32>().unwrap();
        a.send(4).unwrap();
        b.recv().unwrap()
    })
    .unwrap();
    assert_eq!(child.join().unwrap(), 4);
    // The clone that is moved works, and the one that stays too.
    let child = spawn(move || cloned.recv().unwrap()).unwrap();
    here.send(9).unwrap();
    assert_eq!(child.join().unwrap(), 9);
    here.send(10).unwrap();
    assert_eq!(there.recv().unwrap(), 10);
}

/// A borrowed descriptor is a promise that its number stays open. In the child it is, and is no longer the pipe.
pub(crate) fn a_borrowed_number_never_names_something_else() {
    let (here, there) = pipe::<u32>().unwrap();
    let borrowed = there.as_fd();
    let child = spawn(|| {
        let files: Vec<_> = (0..20).map(|_| UnixStream::pair().unwrap()).collect();
        let numbers = files.iter().flat_map(|(a, b)| [a.as_raw_fd(), b.as_raw_fd()]);
        assert!(!numbers.collect::<Vec<_>>().contains(&borrowed.as_raw_fd()));
        nix::fcntl::fcntl(borrowed, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        let (mut a, mut b) = UnixStream::pair().unwrap();
        a.write_all(b"x").unwrap();
        b.read_exact(&mut [0]).unwrap();
    });
    child.unwrap().join().unwrap();
    drop((here, there));
}

struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("in a drop");
    }
}

struct Spawns(Option<Connection<u32>>);

impl Drop for Spawns {
    fn drop(&mut self) {
        // In the parent only: the child never drops what it was given.
        let end = self.0.take().unwrap();
        spawn(move || drain(&end)).unwrap().join().unwrap();
    }
}

pub(crate) fn a_drop_that_panics_or_spawns() {
    let (here, there) = pipe::<u32>().unwrap();
    let (report, reported) = simplex::<u32>().unwrap();
    let spawned = catch_unwind(AssertUnwindSafe(|| {
        let bomb = Panics;
        spawn(move || {
            let count = drain(&there);
            report.send(count).unwrap();
            std::mem::forget(bomb);
        })
    }));
    assert!(spawned.is_err(), "the drop panicked here");
    here.send(1).unwrap();
    drop(here);
    assert_eq!(reported.recv().unwrap(), 1);

    // An end that was moved twice: into the child, and out of the parent's copy into another. Both have it.
    let (here, there) = pipe::<u32>().unwrap();
    let (other, other_there) = pipe::<u32>().unwrap();
    drop(here);
    let wrapped = Spawns(Some(there));
    let child = spawn(move || {
        let count = drain(wrapped.0.as_ref().unwrap()) + drain(&other_there);
        std::mem::forget(wrapped);
        count
    })
    .unwrap();
    other.send(1).unwrap();
    drop(other);
    assert_eq!(child.join().unwrap(), 1);
}

pub(crate) fn many_ends() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(20_000), hard).unwrap();
    // More than fit into one packet of those that tell the child.
    let count = if hard >= 20_000 { 4_500 } else { 100 };
    let (mine, its): (Vec<_>, Vec<_>) = (0..count).map(|_| pipe::<u32>().unwrap()).unzip();
    let child = spawn(move || its.iter().map(drain).sum::<u32>()).unwrap();
    mine.iter().for_each(|end| end.send(1).unwrap());
    drop(mine);
    assert_eq!(child.join().unwrap(), count);
}

pub(crate) fn a_child_that_is_killed_before_it_is_told() {
    /// Kills the newest child of this process when it is dropped, and waits for its death.
    struct Kills;
    impl Drop for Kills {
        fn drop(&mut self) {
            let children = offspring::children();
            let newest = children.iter().max_by_key(|child| child.name().to_owned()).unwrap();
            let pid = nix::unistd::Pid::from_raw(newest.pid() as i32);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            assert!(until(|| has_ended(pid.as_raw()), LONG));
        }
    }
    let (here, there) = pipe::<u32>().unwrap();
    let kills = Kills;
    let child = spawn(move || {
        std::mem::forget(kills);
        drain(&there)
    })
    .unwrap();
    assert_eq!(child.join().unwrap_err().exit(), Some(&Exit::Signal(Signal::KILL)));
    assert!(here.recv().unwrap_err().is_end_of_stream());
}
