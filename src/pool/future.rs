//! Waiting without a thread: the pool is a file descriptor, and a task is a future.
//!
//! ```text
//!   poll of a task: not done ─▶ its waker is noted, POLLER in its slot      worker: outcome, sees POLLER, rings the descriptor
//!   event loop: the descriptor is readable ─▶ dispatch: silence it, then wake the wakers of what is done
//! ```
//!
//! A worker that dies between outcome and ringing is made up for by the supervisor, which rings after every death. The supervisor's own
//! death makes the descriptor readable, too: that is its pidfd, behind the same epoll descriptor.

use crate::pool::desk::{Desk, Ticket};
use crate::pool::error::TaskError;
use crate::pool::slot::POLLER;
use crate::pool::submit::{Pool, TaskOptions};
use crate::pool::task::Task;
use crate::pool::{job, word::Kind};
use crate::sys::epoll::AnyOf;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

/// What is called when a task is done.
pub(super) type Callback = Box<dyn FnOnce(&Desk, &Arc<Ticket>) + Send>;

impl<R: DeserializeOwned> Future for Task<R> {
    type Output = Result<R, TaskError>;

    /// Somebody must call [`Pool::dispatch`] when the pool's descriptor is readable: the event loop that polls this future, for instance.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_done() {
            return Poll::Ready(self.take());
        }
        self.desk.note(&self.ticket, |notes| notes.waker = Some(context.waker().clone()));
        self.desk.slot_of(&self.ticket).watched.fetch_or(POLLER, Ordering::SeqCst);
        match self.is_done() {
            true => Poll::Ready(self.take()),
            false => Poll::Pending,
        }
    }
}

impl AsFd for Pool {
    /// Readable when tasks have an outcome for which a future or a callback waits: call [`dispatch`](Pool::dispatch) then. It does not change as
    /// long as the pool lives.
    fn as_fd(&self) -> BorrowedFd<'_> {
        let told = self.desk.shop.told.as_fd();
        let news = self.news.get_or_init(|| {
            let supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
            // Where there is no descriptor left, the death of the supervisor is no news.
            supervisor.as_ref().and_then(|child| AnyOf::new(&[told, child.as_fd()]).ok())
        });
        news.as_ref().map_or(told, AnyOf::as_fd)
    }
}

impl Pool {
    /// Queues `f(argument)`; `callback` gets the outcome, in the thread that calls [`dispatch`](Self::dispatch) when it is there. Those whose
    /// outcomes come later than the last dispatch are called when the pool is dropped or shut down.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use std::sync::mpsc::channel;
    /// let pool = offspring::Pool::new(1)?;
    /// let (sender, receiver) = channel();
    /// pool.submit_then(|n: u32| n + 1, 1, move |result| sender.send(result.unwrap()).unwrap())?;
    /// offspring::wait_any(&[&pool])?;
    /// pool.dispatch();
    /// assert_eq!(receiver.try_recv(), Ok(2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`submit`](Self::submit); `callback` is dropped then.
    pub fn submit_then<F, A, R>(
        &self,
        f: F,
        argument: A,
        callback: impl FnOnce(Result<R, TaskError>) + Send + 'static,
    ) -> crate::error::Result<()>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let _ = f; // it has no bytes: its type says all
        self.check_owner()?;
        let callback: Callback = Box::new(move |desk, ticket| {
            callback(desk.collect(ticket, job::decode::<R>));
        });
        let (options, job) = (TaskOptions::new(), job::call::<F, A, R>());
        let submit = |bytes: &[u8]| self.submit_ticket(options, job, bytes, Some(callback));
        self.encoded(&argument, submit)?.map(drop)
    }

    /// Wakes the futures and calls the callbacks of tasks that are done; how many. Does not wait.
    pub fn dispatch(&self) -> usize {
        if !self.desk.is_own() {
            return 0;
        }
        // First, so that what comes from now on rings again.
        self.desk.shop.told.silence();
        self.desk.shop.look_at_all();
        if self.desk.shop.failure().is_some()
            && let Some(Some(news)) = self.news.get()
            && let Ok(supervisor) = self.supervisor.try_lock()
            && let Some(supervisor) = supervisor.as_ref()
        {
            // It is dead, and would be news for ever.
            news.leave_out(supervisor.as_fd());
        }
        let mut count = 0;
        for ticket in self.desk.done_tickets() {
            let (mut waker, mut callback) = (None, None);
            self.desk.note(&ticket, |notes| {
                waker = notes.waker.take();
                callback = notes.callback.take();
            });
            count += usize::from(waker.is_some()) + usize::from(callback.is_some());
            if let Some(waker) = waker {
                waker.wake();
            }
            if let Some(callback) = callback {
                callback(&self.desk, &ticket);
            }
        }
        count
    }
}

impl Desk {
    /// Whether the task is done and has no value.
    pub(super) fn has_failed(&self, ticket: &Arc<Ticket>) -> bool {
        let word = self.slot_of(ticket).word();
        if word.generation == ticket.generation {
            return word.kind.is_outcome() && word.kind != Kind::Value;
        }
        let mut has_failed = false;
        self.note(ticket, |notes| has_failed = notes.has_failed());
        has_failed
    }
}
