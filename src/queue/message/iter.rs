//! Messages as iterators.

use super::Queue;
use crate::queue::message_error::NotReceived;
use serde::de::DeserializeOwned;

/// Receives until the queue is closed and empty; blocks in between. See [`Queue::iter`].
#[derive(Debug)]
pub struct Messages<'a, T> {
    queue: &'a Queue<T>,
}

/// Receives what is there now; never waits for more. See [`Queue::try_iter`].
#[derive(Debug)]
pub struct MessagesNow<'a, T> {
    queue: &'a Queue<T>,
}

impl<T: DeserializeOwned> Queue<T> {
    /// An iterator that receives until the queue is closed and empty, and blocks in between. An item is an error if the message
    /// was no `T` ([`Decode`](NotReceived::Decode)).
    pub fn iter(&self) -> Messages<'_, T> {
        Messages { queue: self }
    }

    /// An iterator that receives what is there, and ends at the first moment when nothing is. Items as of [`iter`](Self::iter).
    pub fn try_iter(&self) -> MessagesNow<'_, T> {
        MessagesNow { queue: self }
    }
}

fn item<T>(received: Result<T, NotReceived>) -> Option<Result<T, NotReceived>> {
    match received {
        Err(NotReceived::Closed | NotReceived::Empty) => None,
        received => Some(received),
    }
}

impl<T: DeserializeOwned> Iterator for Messages<'_, T> {
    type Item = Result<T, NotReceived>;

    fn next(&mut self) -> Option<Self::Item> {
        item(self.queue.recv())
    }
}

impl<T: DeserializeOwned> Iterator for MessagesNow<'_, T> {
    type Item = Result<T, NotReceived>;

    fn next(&mut self) -> Option<Self::Item> {
        item(self.queue.try_recv())
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Queue<T> {
    type Item = Result<T, NotReceived>;
    type IntoIter = Messages<'a, T>;

    fn into_iter(self) -> Messages<'a, T> {
        self.iter()
    }
}
