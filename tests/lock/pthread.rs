//! Robust pthread mutexes in the same thread: both kinds are entries of one list that the kernel walks at the thread's death.

use std::sync::atomic::AtomicU64;

use offspring::{Counter, LockError, Mutex, Region, Shared};

use crate::floors::LONG;
use crate::support::{Ended, Kid, Rng, seed, until};

const SHARED: i32 = libc::PTHREAD_PROCESS_SHARED;
const ROBUST: i32 = libc::PTHREAD_MUTEX_ROBUST;

/// A robust, process-shared pthread mutex.
struct Robust(Shared<[AtomicU64]>);

impl Robust {
    fn new(region: &Region) -> Robust {
        let words = size_of::<libc::pthread_mutex_t>().div_ceil(8);
        let robust = Robust(region.place_slice(words, |_| AtomicU64::new(0)).unwrap());
        let mut attributes = std::mem::MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: initialises the attributes, which live on this stack.
        assert_eq!(unsafe { libc::pthread_mutexattr_init(attributes) }, 0);
        // SAFETY: initialised above.
        let shared = unsafe { libc::pthread_mutexattr_setpshared(attributes, SHARED) };
        // SAFETY: initialised above.
        let is_robust = unsafe { libc::pthread_mutexattr_setrobust(attributes, ROBUST) };
        assert_eq!((shared, is_robust), (0, 0));
        // SAFETY: the words are room for a mutex, aligned to 8, and nobody uses it yet.
        assert_eq!(unsafe { libc::pthread_mutex_init(robust.raw(), attributes) }, 0);
        robust
    }

    fn raw(&self) -> *mut libc::pthread_mutex_t {
        self.0.as_ptr().cast_mut().cast()
    }

    /// 0, or EOWNERDEAD, after which the mutex is made consistent.
    fn lock(&self) -> i32 {
        // SAFETY: an initialised mutex that stays mapped.
        let errno = unsafe { libc::pthread_mutex_lock(self.raw()) };
        if errno == libc::EOWNERDEAD {
            // SAFETY: locked by this thread.
            assert_eq!(unsafe { libc::pthread_mutex_consistent(self.raw()) }, 0);
        }
        errno
    }

    fn unlock(&self) {
        // SAFETY: locked by this thread.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(self.raw()) }, 0);
    }
}

/// A process locks and unlocks both kinds in any order, takes its roster entry somewhere in between, and is killed: what it
/// held then, and nothing else, has a dead owner.
pub(crate) fn robust_mutexes_and_ours_in_any_order() {
    const COUNT: usize = 3;
    let mut rng = Rng::new(seed());
    for _ in 0..150 {
        let region = Region::new(4096).unwrap();
        let theirs: Vec<Robust> = (0..COUNT).map(|_| Robust::new(&region)).collect();
        let ours = region.place_slice(COUNT, |_| Mutex::new(0u64)).unwrap();
        let ready = region.place(Counter::new("ready")).unwrap();
        let script: Vec<usize> = (0..12).map(|_| rng.below(2 * COUNT as u64) as usize).collect();
        let mut held = [false; 2 * COUNT];
        script.iter().for_each(|&which| held[which] = !held[which]);
        let kid = Kid::fork(|| {
            let mut guards = [const { None }; COUNT];
            let mut locked = [false; COUNT];
            for &which in &script {
                if which < COUNT {
                    match locked[which] {
                        true => theirs[which].unlock(),
                        false => assert_eq!(theirs[which].lock(), 0),
                    }
                    locked[which] = !locked[which];
                } else {
                    let guard = &mut guards[which - COUNT];
                    *guard = match guard.take() {
                        Some(_) => None,
                        None => Some(ours[which - COUNT].lock().unwrap()),
                    };
                }
            }
            ready.add(1);
            loop {
                std::thread::park();
            }
        });
        assert!(until(|| ready.get() == 1, LONG));
        let pid = kid.pid() as u32;
        kid.kill();
        for (robust, held) in theirs.iter().zip(held) {
            assert_eq!(robust.lock() == libc::EOWNERDEAD, held, "{script:?}");
            robust.unlock();
        }
        for (lock, held) in ours.iter().zip(&held[COUNT..]) {
            match lock.try_lock() {
                Ok(_) => assert!(!held, "{script:?}"),
                Err(LockError::OwnerDied(died)) => {
                    assert!(*held && died.owner().pid() == Some(pid), "{script:?}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    // And it goes on working in a thread that lives.
    let region = Region::new(4096).unwrap();
    let (theirs, ours) = (Robust::new(&region), Mutex::new(0u8));
    for _ in 0..100 {
        let guard = ours.lock().unwrap();
        assert_eq!(theirs.lock(), 0);
        drop(guard);
        theirs.unlock();
    }
    let kid = Kid::fork(|| assert_eq!(theirs.lock(), 0));
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(theirs.lock(), libc::EOWNERDEAD);
}
