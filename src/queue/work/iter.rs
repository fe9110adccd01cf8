//! Items as iterators.

use crate::queue::message_error::NotReceived;
use crate::queue::work::delivery::Delivery;
use crate::queue::work::joinable::JoinableQueue;
use crate::queue::work::queue::WorkQueue;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Receives until the queue is closed and all is done with; blocks in between. See [`WorkQueue::iter`].
#[derive(Debug)]
pub struct Deliveries<'a, T> {
    queue: &'a WorkQueue<T>,
}

/// Receives until the queue is closed and all is done with; blocks in between. See [`JoinableQueue::iter`].
#[derive(Debug)]
pub struct Tasks<'a, T> {
    queue: &'a JoinableQueue<T>,
}

impl<T: Serialize + DeserializeOwned> WorkQueue<T> {
    /// An iterator over deliveries: it ends when [`recv`](Self::recv) would say [`Closed`](NotReceived::Closed), and blocks in between.
    /// An item is an error if what was sent is no `T` ([`Decode`](NotReceived::Decode)): that is a dead letter now.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs = offspring::WorkQueue::<u32>::new(8)?;
    /// (1..=3).for_each(|n| jobs.send(n).unwrap());
    /// jobs.close();
    /// for job in &jobs {
    ///     println!("{}", job?.ack());
    /// }
    /// assert_eq!(jobs.unfinished(), 0);
    /// # Ok(()) }
    /// ```
    pub fn iter(&self) -> Deliveries<'_, T> {
        Deliveries { queue: self }
    }
}

impl<T: Serialize + DeserializeOwned> JoinableQueue<T> {
    /// An iterator over what [`recv`](Self::recv) returns, until that is [`Closed`](NotReceived::Closed); it blocks in between. Each item
    /// has to be finished by [`task_done`](Self::task_done), except errors ([`Decode`](NotReceived::Decode)): those are dead letters now.
    pub fn iter(&self) -> Tasks<'_, T> {
        Tasks { queue: self }
    }
}

fn until_closed<T>(received: Result<T, NotReceived>) -> Option<Result<T, NotReceived>> {
    match received {
        Err(NotReceived::Closed) => None,
        received => Some(received),
    }
}

impl<'a, T: Serialize + DeserializeOwned> Iterator for Deliveries<'a, T> {
    type Item = Result<Delivery<'a, T>, NotReceived>;

    fn next(&mut self) -> Option<Self::Item> {
        until_closed(self.queue.recv())
    }
}

impl<T: Serialize + DeserializeOwned> Iterator for Tasks<'_, T> {
    type Item = Result<T, NotReceived>;

    fn next(&mut self) -> Option<Self::Item> {
        until_closed(self.queue.recv())
    }
}

impl<'a, T: Serialize + DeserializeOwned> IntoIterator for &'a WorkQueue<T> {
    type Item = Result<Delivery<'a, T>, NotReceived>;
    type IntoIter = Deliveries<'a, T>;

    fn into_iter(self) -> Deliveries<'a, T> {
        self.iter()
    }
}

impl<'a, T: Serialize + DeserializeOwned> IntoIterator for &'a JoinableQueue<T> {
    type Item = Result<T, NotReceived>;
    type IntoIter = Tasks<'a, T>;

    fn into_iter(self) -> Tasks<'a, T> {
        self.iter()
    }
}
