//! Deaths in the middle of a copy, and with a view.

use nix::sys::signal::Signal;
use offspring::Queue;
use offspring::queue::{NotReceived, NotSent};

use crate::floors::LONG;
use crate::message::pages;
use crate::message::python::stopped;
use crate::support::{Ended, Kid, asleep, until};

const BYTES: usize = pages::BYTES;

fn killed(kid: Kid) {
    assert_eq!(kid.join(), Ended::Killed(Signal::SIGSEGV));
}

/// Its claim is void: the others' messages pass, and it does not count.
pub(crate) fn sender_dies_in_its_copy() {
    let queue = Queue::<u32>::with_capacity_bytes(60_000).unwrap();
    queue.send(1).unwrap();
    for _ in 0..3 {
        killed(Kid::fork(|| drop(queue.send_bytes(pages::deadly()))));
    }
    queue.send(2).unwrap();
    assert_eq!(queue.len(), 2);
    assert_eq!((queue.recv(), queue.len()), (Ok(1), 1));
    assert_eq!((queue.recv(), queue.len()), (Ok(2), 0));
    assert_eq!(queue.try_recv(), Err(NotReceived::Empty));
    queue.close();
    assert_eq!(queue.recv(), Err(NotReceived::Closed));
}

/// Nobody receives, and still the room of void claims is there for the next sender.
pub(crate) fn voids_leave_room_for_a_sender_alone() {
    let queue = Queue::<u32>::with_capacity_bytes(16_000).unwrap();
    for _ in 0..5 {
        killed(Kid::fork(|| drop(queue.send_bytes(pages::deadly()))));
    }
    queue.try_send_bytes(&[1; 16_000]).unwrap();
    assert_eq!((queue.len(), queue.recv_bytes().unwrap().len()), (1, 16_000));
    killed(Kid::fork(|| drop(queue.send_bytes(pages::deadly()))));
    queue.send_bytes(&[1; 16_000]).unwrap();
    assert_eq!(queue.len(), 1);
}

/// It had not returned: the message is the next one's, in its old place.
pub(crate) fn receiver_dies_in_its_copy() {
    let queue = Queue::<u32>::with_capacity_bytes(60_000).unwrap();
    for n in 1..=3 {
        queue.send_bytes(&[n; BYTES]).unwrap();
    }
    for _ in 0..3 {
        killed(Kid::fork(|| drop(queue.recv_bytes_into(pages::deadly()))));
        assert_eq!(queue.len(), 3);
    }
    for n in 1..=3 {
        assert_eq!(queue.recv_bytes().unwrap(), [n; BYTES]);
    }
    assert_eq!((queue.len(), queue.used_bytes()), (0, 0));
}

pub(crate) fn receiver_dies_in_its_copy_while_others_sleep() {
    for _ in 0..20 {
        let queue = Queue::<u32>::with_capacity_bytes(60_000).unwrap();
        let victim = Kid::fork(|| drop(queue.recv_bytes_into(pages::deadly())));
        let other = Kid::fork(|| assert_eq!(queue.recv_bytes().unwrap(), [1; BYTES]));
        assert!(until(|| asleep(victim.pid()) && asleep(other.pid()), LONG));
        queue.send_bytes(&[1; BYTES]).unwrap();
        // Whichever of them is woken first: the one that does not die has it in the end.
        assert_eq!(other.join(), Ended::Exited(0));
        let _ = queue.try_send_bytes(&[2; BYTES]);
        killed(victim);
        assert_eq!(queue.len(), 1);
    }
}

/// Those who slept before the view was taken hear of its holder's death, whatever that one did in between.
pub(crate) fn view_holder_dies_while_others_sleep() {
    for closes in [false, true] {
        let (queue, other) = (Queue::<u32>::new().unwrap(), Queue::<u32>::new().unwrap());
        let sleeper = |n: u8| {
            let queue = &queue;
            Kid::fork(move || match queue.recv_bytes() {
                Ok(bytes) => assert_eq!(bytes, [1; 10]),
                Err(error) => assert_eq!((error, n), (NotReceived::Closed, n)),
            })
        };
        let holder = Kid::fork(|| {
            let view = queue.recv_view().unwrap();
            // Its pending pointer names something else now, and then nothing.
            other.send(1).unwrap();
            drop(other.recv());
            std::thread::park();
            drop(view);
        });
        assert!(until(|| asleep(holder.pid()), LONG));
        let sleepers = [sleeper(1), sleeper(2)];
        // The holder is the oldest sleeper, and the only one that looks when this message comes.
        assert!(until(|| sleepers.iter().all(|kid| asleep(kid.pid())), LONG));
        queue.send_bytes(&[1; 10]).unwrap();
        assert!(until(
            || queue.used_bytes() == 0 || !other.is_empty() || asleep(holder.pid()),
            LONG
        ));
        if closes {
            queue.close();
        }
        assert!(until(|| asleep(holder.pid()), LONG));
        holder.kill();
        if !closes {
            // One of them has it by now or will; the end is for the other.
            assert!(until(|| queue.is_empty() && queue.used_bytes() == 0, LONG));
            queue.close();
        }
        for sleeper in sleepers {
            assert_eq!(sleeper.join(), Ended::Exited(0));
        }
    }
}

/// The end is not reported while the message may come back; and it comes back.
pub(crate) fn view_holder_dies_on_a_closed_queue() {
    let queue = Queue::<u32>::new().unwrap();
    queue.send_bytes(&[1; 10]).unwrap();
    let holder = Kid::fork(|| {
        let _view = queue.recv_view().unwrap();
        std::thread::park();
    });
    assert!(until(|| asleep(holder.pid()) && queue.is_empty(), LONG));
    queue.close();
    let receiver = Kid::fork(|| {
        assert_eq!(queue.recv_bytes().unwrap(), [1; 10]);
        assert_eq!(queue.recv(), Err(NotReceived::Closed));
    });
    assert!(until(|| asleep(receiver.pid()), LONG));
    holder.kill();
    assert_eq!(receiver.join(), Ended::Exited(0));
}

/// What was sent behind one that is stopped in its copy arrives before it; its own message when it is there.
pub(crate) fn stopped_sender_is_overtaken() {
    let queue = Queue::<u32>::with_capacity_bytes(60_000).unwrap();
    let sender = Kid::fork(|| queue.send_bytes(pages::stopping()).unwrap());
    assert!(until(|| stopped(&sender), LONG));
    let receiver = Kid::fork(|| {
        for n in 1..=3 {
            assert_eq!(queue.recv(), Ok(n));
        }
        assert_eq!(queue.recv_bytes().unwrap(), [5; BYTES]);
        assert_eq!(queue.recv(), Ok(4));
    });
    for n in 1..=3 {
        queue.send(n).unwrap();
    }
    assert!(until(|| asleep(receiver.pid()) && queue.is_empty(), LONG));
    sender.signal(Signal::SIGCONT);
    assert_eq!(sender.join(), Ended::Exited(0));
    queue.send(4).unwrap();
    assert_eq!(receiver.join(), Ended::Exited(0));
    assert_eq!((queue.len(), queue.used_bytes()), (0, 0));
}

/// A sender that sleeps for room behind a view hears of its end and of its holder's death.
pub(crate) fn room_behind_a_dead_view() {
    let queue = Queue::<u32>::with_capacity_bytes(4000).unwrap();
    queue.send_bytes(&[1; 4000]).unwrap();
    let holder = Kid::fork(|| {
        let _view = queue.recv_view().unwrap();
        std::thread::park();
    });
    assert!(until(|| asleep(holder.pid()) && queue.is_empty(), LONG));
    assert_eq!(queue.try_send_bytes(&[2; 3000]), Err(NotSent::Full));
    let sender = Kid::fork(|| queue.send_bytes(&[2; 3000]).unwrap());
    assert!(until(|| asleep(sender.pid()), LONG));
    holder.kill();
    assert_eq!(queue.recv_bytes().unwrap(), [1; 4000]);
    assert_eq!(sender.join(), Ended::Exited(0));
    assert_eq!(queue.recv_bytes().unwrap(), [2; 3000]);
}
