//! 2026-11-21: a thread that had waited for a lock, and then forgot the guard, left its pending pointer naming a word of the
//! lock. Once that memory was unmapped and used for something else, the thread's end made the kernel write into it: unsound,
//! from safe code alone. Alarms live in the roster since, where nothing is ever unmapped.

use crate::floors::LONG;
use crate::support::{asleep, until};
use offspring::{LockError, Mutex, RingQueue, Shared, spawn};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;

/// What a thread leaves behind that waits for something of `what`, gets it, forgets it, and drops its handle. `hold` has what the
/// thread waits for while it calls its argument.
fn left_behind<H: Send + Clone>(what: H, hold: fn(&H, &mut dyn FnMut()), take: fn(&H)) {
    let tid = AtomicU32::new(0);
    let (tell, told) = mpsc::channel::<()>();
    let (done, wait) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let (handle, tid) = (what.clone(), &tid);
        let number = || tid.load(Ordering::SeqCst);
        let mut body = Some(move || {
            tid.store(nix::unistd::gettid().as_raw() as u32, Ordering::SeqCst);
            take(&handle);
            drop(handle);
            done.send(()).unwrap();
            told.recv().unwrap();
        });
        let mut thread = None;
        hold(&what, &mut || {
            thread = body.take().map(|body| scope.spawn(body));
            assert!(until(|| number() != 0 && asleep(number()), LONG));
        });
        wait.recv().unwrap();
        drop(what); // unmapped: the next mapping takes its place
        let words = Shared::new([const { AtomicU32::new(0) }; 1024]).unwrap();
        words.iter().for_each(|word| word.store(number(), Ordering::SeqCst));
        tell.send(()).unwrap();
        thread.unwrap().join().unwrap();
        let changed = |index: &usize| words[*index].load(Ordering::SeqCst) != number();
        let changed: Vec<usize> = (0..1024).filter(changed).collect();
        assert!(changed.is_empty(), "the kernel changed unrelated memory at {changed:?}");
    });
}

pub(crate) fn guard_leaves_nothing_dangling() {
    let lock = Shared::new(Mutex::new(0u64)).unwrap();
    let hold = |lock: &Shared<Mutex<u64>>, meanwhile: &mut dyn FnMut()| {
        let _guard = lock.lock().unwrap();
        meanwhile();
    };
    left_behind(lock, hold, |lock| std::mem::forget(lock.lock().unwrap()));
}

pub(crate) fn end_of_a_queue_leaves_nothing_dangling() {
    let queue = RingQueue::<u64>::new(4).unwrap();
    let hold = |queue: &RingQueue<u64>, meanwhile: &mut dyn FnMut()| {
        let _producer = queue.producer();
        meanwhile();
    };
    left_behind(queue, hold, |queue| std::mem::forget(queue.producer()));
}

/// 2026-11-21: giving back a queue's end took back the pending pointer that a lock, waited for and got meanwhile, still needed.
/// Its owner was killed, and those who slept on the lock, and watched an earlier owner, were not woken.
pub(crate) fn end_given_back_while_a_lock_is_held_takes_no_alarm_with_it() {
    let lock = Shared::new(Mutex::new(0u64)).unwrap();
    let queue = RingQueue::<u64>::new(8).unwrap();
    let flags = Shared::new([const { AtomicBool::new(false) }; 3]).unwrap();
    let [held, go, got] = &*flags;
    let is = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
    let park = || -> () { while until(|| false, LONG) {} };

    let first = spawn(|| {
        let guard = lock.lock().unwrap();
        held.store(true, Ordering::SeqCst);
        assert!(until(|| is(go), LONG));
        drop(guard);
        park()
    })
    .unwrap();
    assert!(until(|| is(held), LONG));
    let second = spawn(|| {
        let end = queue.consumer();
        let _guard = lock.lock().unwrap();
        drop(end);
        got.store(true, Ordering::SeqCst);
        park()
    })
    .unwrap();
    assert!(until(|| asleep(second.pid()), LONG));
    let third = spawn(|| matches!(lock.lock(), Err(LockError::OwnerDied(_)))).unwrap();
    assert!(until(|| asleep(third.pid()), LONG));
    go.store(true, Ordering::SeqCst);
    assert!(until(|| is(got), LONG));
    second.kill().unwrap();
    // Sooner than the first one's end, which wakes those who still watch it: that would hide the fault.
    assert!(third.join_timeout(LONG / 4).expect("asleep on a dead owner's lock").unwrap());
    first.kill().unwrap();
}
