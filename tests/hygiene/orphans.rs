//! Who dies with whom: a killed parent takes its tree with it.

use super::*;

/// Waits until nobody holds the pipe's write end any more: all who inherited it are dead.
pub(crate) fn all_dead_within_a_second(pipe: &PipeReader) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::from(1000u16)).unwrap() == 1
}

pub(crate) fn read_byte(mut pipe: &PipeReader) {
    pipe.read_exact(&mut [0]).unwrap();
}

pub(crate) fn killed_parent_takes_its_tree() {
    let (witness, held) = pipe().unwrap();
    let mut word = held.try_clone().unwrap();
    let parent: Child<()> = spawn(|| {
        let _child: Child<()> = spawn(|| {
            let _grandchild: Child<()> = spawn(|| {
                word.write_all(&[1]).unwrap();
                park()
            })
            .unwrap();
            park()
        })
        .unwrap();
        let _second: Child<()> = spawn(|| park()).unwrap();
        park()
    })
    .unwrap();
    drop((held, word));
    read_byte(&witness);
    parent.kill().unwrap();
    assert!(all_dead_within_a_second(&witness));
}

pub(crate) fn killed_parent_takes_the_tree_of_its_second_thread() {
    let (witness, held) = pipe().unwrap();
    let (door, mut key) = pipe().unwrap();
    let mut word = held.try_clone().unwrap();
    let parent: Child<()> = spawn(|| {
        let thread = std::thread::spawn(move || {
            // SAFETY: the other thread does nothing but wait for this one, and holds no lock.
            let builder = unsafe { Builder::new().allow_threads() };
            let child = builder.spawn(move || {
                let _grandchild: Child<()> = spawn(|| {
                    // Only after the thread that spawned its parent has ended: that is no death of a parent.
                    read_byte(&door);
                    word.write_all(&[1]).unwrap();
                    park()
                })
                .unwrap();
                park()
            });
            std::mem::forget::<Child<()>>(child.unwrap());
        });
        thread.join().unwrap();
        key.write_all(&[1]).unwrap();
        park()
    })
    .unwrap();
    drop(held);
    read_byte(&witness);
    assert!(parent.is_alive());
    parent.kill().unwrap();
    assert!(all_dead_within_a_second(&witness));
}

pub(crate) fn parent_killed_at_any_moment_takes_its_tree() {
    for round in 0..300 {
        let (witness, held) = pipe().unwrap();
        let mut word = held.try_clone().unwrap();
        let parent: Child<()> = spawn(|| {
            word.write_all(&[1]).unwrap();
            loop {
                let _child: Child<()> = spawn(|| {
                    let _grandchild: Child<()> = spawn(|| park()).unwrap();
                    park()
                })
                .unwrap();
            }
        })
        .unwrap();
        drop((held, word));
        read_byte(&witness);
        (0..round * 200).for_each(|_| std::hint::spin_loop());
        parent.kill().unwrap();
        assert!(parent.join().is_err());
        assert!(all_dead_within_a_second(&witness), "round {round}");
    }
}

pub(crate) fn child_that_may_outlives_its_parent() {
    let (mut reader, mut writer) = pipe().unwrap();
    let parent: Child<()> = spawn(|| {
        let parent = std::process::id();
        let body = || {
            writer.write_all(b"I live").unwrap();
            assert!(support::until(|| std::os::unix::process::parent_id() != parent, LONG));
            writer.write_all(b" on").unwrap();
        };
        drop(Builder::new().outlive_parent(true).spawn(body).unwrap());
        park()
    })
    .unwrap();
    drop(writer);
    let mut said = [0; 6];
    reader.read_exact(&mut said).unwrap();
    parent.kill().unwrap();
    assert!(parent.join().is_err());
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, " on");
}

/// Forks as a library would that knows nothing of this crate.
pub(crate) fn foreign_fork(child: impl FnOnce()) -> nix::unistd::Pid {
    // SAFETY: a case has one thread.
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Parent { child } => child,
        nix::unistd::ForkResult::Child => {
            child();
            // SAFETY: no precondition.
            unsafe { libc::_exit(0) }
        }
    }
}

pub(crate) fn foreign_fork_does_not_keep_orphans_alive() {
    let (witness, held) = pipe().unwrap();
    let mut word = held.try_clone().unwrap();
    let parent: Child<()> = spawn(|| {
        let mut copy = word.try_clone().unwrap();
        let _child: Child<()> = spawn(|| {
            copy.write_all(&[1]).unwrap();
            park()
        })
        .unwrap();
        // It has a copy of every descriptor, but must not hold the lifeline; of the pipe it lets go.
        foreign_fork(|| {
            word.write_all(&[2]).unwrap();
            drop((held, word, copy));
            park()
        });
        park()
    })
    .unwrap();
    read_byte(&witness);
    read_byte(&witness);
    parent.kill().unwrap();
    assert!(all_dead_within_a_second(&witness));
}
