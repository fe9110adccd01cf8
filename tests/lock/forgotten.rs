//! 2026-11-21: a thread that had waited for a lock, and then forgot the guard, left its pending pointer naming a word of the
//! lock. Once that memory was unmapped and used for something else, the thread's end made the kernel write into it: unsound,
//! from safe code alone. Alarms live in the roster since, where nothing is ever unmapped.

use crate::floors::LONG;
use crate::support::{asleep, until};
use offspring::{Mutex, RingQueue, Shared};
use std::sync::atomic::{AtomicU32, Ordering};
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
