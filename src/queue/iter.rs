//! Messages as iterators.

use crate::queue::{Plain, RingQueue};

/// Receives until the queue is closed and empty; blocks in between. See [`RingQueue::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: Plain> {
    pub(crate) queue: &'a RingQueue<T>,
}

impl<T: Plain> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.queue.recv().ok()
    }
}

/// Receives what is there now; never waits for more. See [`RingQueue::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T: Plain> {
    pub(crate) queue: &'a RingQueue<T>,
}

impl<T: Plain> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.queue.try_recv().ok()
    }
}

impl<'a, T: Plain> IntoIterator for &'a RingQueue<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
