//! `Queue`: values, and bytes in both ways of receiving them.

use crate::support::carriers::{Receiver, Sender, read_every_line};
use offspring::Queue;

/// Either end, for values.
pub(crate) struct Typed(Queue<Vec<u8>>);

/// Either end, for bytes; the receiver looks at them where they are.
pub(crate) struct Viewed(Queue<Vec<u8>>);

/// Either end, for bytes; the receiver copies them.
pub(crate) struct Copied(Queue<Vec<u8>>, Vec<u8>);

fn queue(capacity: usize) -> Queue<Vec<u8>> {
    Queue::with_capacity_bytes(capacity).expect("a queue")
}

pub(crate) fn typed(capacity: usize) -> (Typed, Typed) {
    let queue = queue(capacity);
    (Typed(queue.clone()), Typed(queue))
}

pub(crate) fn viewed(capacity: usize) -> (Viewed, Viewed) {
    let queue = queue(capacity);
    (Viewed(queue.clone()), Viewed(queue))
}

pub(crate) fn copied(capacity: usize, longest: usize) -> (Copied, Copied) {
    let queue = queue(capacity);
    (Copied(queue.clone(), Vec::new()), Copied(queue, vec![0; longest]))
}

impl Sender for Typed {
    fn send(&mut self, message: &[u8]) {
        self.0.send(message.to_vec()).expect("the queue is open");
    }
}

impl Receiver for Typed {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        look(&self.0.recv().expect("the queue is open"));
    }
}

impl Sender for Viewed {
    fn send(&mut self, message: &[u8]) {
        self.0.send_bytes(message).expect("the queue is open");
    }
}

impl Receiver for Viewed {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        let message = self.0.recv_view().expect("the queue is open");
        read_every_line(&message);
        look(&message);
    }
}

impl Sender for Copied {
    fn send(&mut self, message: &[u8]) {
        self.0.send_bytes(message).expect("the queue is open");
    }
}

impl Receiver for Copied {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        let length = self.0.recv_bytes_into(&mut self.1).expect("the queue is open");
        look(&self.1[..length]);
    }
}
