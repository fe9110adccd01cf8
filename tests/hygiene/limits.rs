//! Few descriptors, foreign reapers and forks, a limit on file sizes.

use super::*;

pub(crate) fn few_descriptors_suffice() {
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let mut children = Vec::new();
    let error = loop {
        match spawn(|| 3u8) {
            Ok(child) => children.push(child),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
    assert!(children.len() >= 40, "{} children", children.len());
    for child in children {
        assert_eq!(child.join().unwrap(), 3);
    }
    assert!(no_child_is_left(), "of the one that was refused as well");
    let big = spawn(|| spawn(|| "x".repeat(1 << 20)).unwrap().join().unwrap()).unwrap();
    assert_eq!(big.join().unwrap().len(), 1 << 20);
}

pub(crate) fn ignored_sigchld_loses_only_what_it_must() {
    // SAFETY: ignoring runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    for number in 0..200 {
        assert_eq!(spawn(move || number).unwrap().join().unwrap(), number);
    }
    assert_eq!(exit_of::<()>(spawn(|| std::process::exit(3)).unwrap()), Exit::Code(3));
    assert!(spawn::<_, ()>(|| panic!("x")).unwrap().join().unwrap_err().panic().is_some());
    let child: Child<()> = spawn(|| park()).unwrap();
    child.kill().unwrap();
    let Err(JoinError::Failed(error)) = child.join() else { panic!("expected a failure") };
    assert_eq!(error.kind(), ErrorKind::ExitLost, "{error}");
}

pub(crate) fn foreign_wait_loses_only_what_it_must() {
    let steal = || nix::sys::wait::waitpid(None, None).unwrap();
    let child = spawn(|| 5).unwrap();
    steal();
    assert_eq!(child.join().unwrap(), 5);
    let child: Child<()> = spawn(|| std::process::exit(3)).unwrap();
    steal();
    assert_eq!(exit_of(child), Exit::Code(3));
    let child: Child<()> = spawn(|| park()).unwrap();
    child.kill().unwrap();
    steal();
    // Its pid is free for others by now; this reaches nobody.
    child.signal(Signal::KILL).unwrap();
    let Some(Err(JoinError::Failed(error))) = child.try_join() else {
        panic!("expected a failure")
    };
    assert_eq!(error.kind(), ErrorKind::ExitLost, "{error}");
}

pub(crate) fn foreign_fork_inside_a_closure_does_not_report() {
    let child = spawn(|| {
        // SAFETY: a child has one thread.
        match unsafe { nix::unistd::fork() }.unwrap() {
            nix::unistd::ForkResult::Child => "the copy".to_owned(),
            nix::unistd::ForkResult::Parent { child } => {
                nix::sys::wait::waitpid(child, None).unwrap();
                "the child".to_owned()
            }
        }
    });
    assert_eq!(child.unwrap().join().unwrap(), "the child");
}

pub(crate) fn file_size_limit_does_not_kill_a_result() {
    use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
    // What the first spawn makes is shared memory too, and is not what this is about.
    spawn(|| ()).unwrap().join().unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 1 << 20, RLIM_INFINITY).unwrap();
    assert_eq!(spawn(|| "x".repeat(4 << 20)).unwrap().join().unwrap().len(), 4 << 20);
    setrlimit(Resource::RLIMIT_FSIZE, 1 << 20, 1 << 20).unwrap();
    let Err(JoinError::Failed(error)) = spawn(|| "x".repeat(4 << 20)).unwrap().join() else {
        panic!("expected a failure")
    };
    assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::EFBIG as i32), "{error}");
}
