//! The client's side of the slots: which are free, and who waits for what is in the others. Private memory of one process: if it dies,
//! the pool dies with it, so nothing here has to outlive anybody.

use crate::deadline::Deadline;
use crate::pool::Pacer;
use crate::pool::error::{TaskError, WorkerDeath};
use crate::pool::future::Callback;
use crate::pool::owner::Owner;
use crate::pool::shop::{Mode, Shop};
use crate::pool::slot::{Part, Slot};
use crate::pool::watch::WatchAll;
use crate::pool::word::{GENERATIONS, Kind, Word};
use crate::process::PanicReport;
use crate::shm::roster;
use crate::sync::linux::Linux;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// See the top of the file.
pub(super) struct Desk {
    pub(super) shop: Arc<Shop>,
    pub(super) pacer: Pacer,
    owner: Owner,
    books: Mutex<Books>,
    /// How many threads wait for a free slot.
    waiting_for_room: AtomicU32,
    /// [`PLENTY_WITHIN`], but where no clock may decide what happens.
    plenty_within: Duration,
}

struct Books {
    free: Vec<u32>,
    /// Of tasks that are over, and whose slot somebody may still write into, or find in the ring (P3).
    resting: Vec<u32>,
    tenants: Vec<Option<Arc<Ticket>>>,
    /// Of tasks whose slot was needed, and whose future or callback is still to be called.
    due: Vec<Arc<Ticket>>,
}

/// A task, as the client knows it.
pub(super) struct Ticket {
    pub(super) index: u32,
    pub(super) generation: u32,
    pub(super) notes: Mutex<Notes>,
}

/// What a ticket changes.
#[derive(Default)]
pub(super) struct Notes {
    /// What was in the slot, if that was needed for another task.
    outcome: Option<Outcome>,
    /// Nobody will ask.
    is_forgotten: bool,
    pub(super) waker: Option<Waker>,
    pub(super) callback: Option<Callback>,
}

impl Notes {
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.outcome, Some(Err(_)))
    }

    /// Whether somebody wants to be called.
    fn is_due(&self) -> bool {
        self.waker.is_some() || self.callback.is_some()
    }
}

/// So long a submitter that finds no free slot sleeps until half of what is queued has been taken. From then on it goes on with the first slot.
pub(super) const PLENTY_WITHIN: Duration = Duration::from_millis(2);

/// What came of a task: the encoded result, or an error.
pub(super) type Outcome = Result<Vec<u8>, TaskError>;

/// No slot, for the pool takes nothing any more.
#[derive(Debug)]
pub(super) struct Closed;

/// A slot that goes back when its outcome has been read, also if the user's code panicked as it decoded that.
struct Reading<'a> {
    desk: &'a Desk,
    index: u32,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.desk.release(self.index);
    }
}

impl Desk {
    pub(super) fn new(shop: Arc<Shop>, owner: Owner, plenty_within: Duration) -> Desk {
        let count = shop.slots.len() as u32;
        let tenants = (0..count).map(|_| None).collect();
        let books = Books {
            free: (0..count).rev().collect(),
            resting: Vec::new(),
            tenants,
            due: Vec::new(),
        };
        Desk {
            shop,
            pacer: Pacer::default(),
            owner,
            books: Mutex::new(books),
            waiting_for_room: AtomicU32::new(0),
            plenty_within,
        }
    }

    /// Whether the calling process is the client, and no copy of it.
    pub(super) fn is_own(&self) -> bool {
        self.owner.is_this()
    }

    /// Panics in a process that inherited it.
    #[inline]
    pub(super) fn insist_own(&self) {
        assert!(
            self.is_own(),
            "expected a task that this process submitted; this one was inherited by fork, and is the parent's"
        );
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a free slot, waiting for one; `None` at the deadline.
    pub(super) fn take(&self, deadline: Deadline) -> Result<Option<u32>, Closed> {
        loop {
            if self.shop.mode() != Mode::Open || self.shop.failure().is_some() {
                return Err(Closed);
            }
            if let Some(index) = self.try_take() {
                return Ok(Some(index));
            }
            let has_room = || {
                let books = self.books();
                !books.free.is_empty() || self.can_clear(&books)
            };
            let over = || self.shop.mode() != Mode::Open || self.shop.has_failed();
            self.waiting_for_room.fetch_add(1, Ordering::SeqCst);
            // At first for room in plenty: who is woken for each slot takes the CPU from a worker each time.
            let soon = deadline.or_after(self.plenty_within);
            let low = (self.shop.slots.len() / 2).max(1) as u32;
            let has_plenty = || {
                self.shop.head.low_water.fetch_max(low, Ordering::SeqCst);
                self.shop.ring.len() < u64::from(low) && has_room()
            };
            let mut is_time = !self.plenty_within.is_zero()
                && self.shop.await_any(soon, || has_plenty() || over());
            if !is_time {
                let _watch = WatchAll::new(&self.shop);
                is_time = self.shop.await_any(deadline, || has_room() || over());
            }
            self.waiting_for_room.fetch_sub(1, Ordering::SeqCst);
            if !is_time {
                return Ok(None);
            }
        }
    }

    /// Takes a free slot if there is one, or can be one.
    pub(super) fn try_take(&self) -> Option<u32> {
        let mut books = self.books();
        if books.free.is_empty() {
            self.clear(&mut books);
        }
        books.free.pop()
    }

    fn can_clear(&self, books: &Books) -> bool {
        let is_done = |index: &u32| self.shop.slot(*index).word().kind.is_outcome();
        let tenants = books.tenants.iter().enumerate().filter(|(_, tenant)| tenant.is_some());
        tenants.map(|(index, _)| index as u32).any(|index| is_done(&index))
            || books.resting.iter().any(|&index| self.is_at_rest(index))
    }

    /// Makes slots free whose tasks are over.
    #[cold]
    fn clear(&self, books: &mut Books) {
        for index in std::mem::take(&mut books.resting) {
            self.free(books, index);
        }
        for index in 0..books.tenants.len() {
            let word = self.shop.slot(index as u32).word();
            if word.kind.is_outcome()
                && let Some(ticket) = books.tenants[index].take()
            {
                let mut notes = ticket.notes.lock().unwrap_or_else(PoisonError::into_inner);
                if !notes.is_forgotten {
                    notes.outcome = Some(self.outcome(index as u32, word, <[u8]>::to_vec));
                }
                if notes.is_due() {
                    books.due.push(Arc::clone(&ticket));
                    self.shop.told.ring();
                }
                self.free(books, index as u32);
            }
        }
    }

    /// Whether nobody can write into the slot, or find its number in the ring.
    fn is_at_rest(&self, index: u32) -> bool {
        let slot = self.shop.slot(index);
        let word = slot.word();
        let may_be_written = matches!(word.kind, Kind::Cancelled | Kind::TimedOut | Kind::Broken)
            && word.holder != 0
            && !roster::is_dead(word.holder)
            && !mutant!("pool-free-robbed");
        // SeqCst: the last look of one who has announced that it waits for room (P5).
        let in_ring = slot.in_ring.load(Ordering::SeqCst) != 0 && !mutant!("pool-free-in-ring");
        !in_ring && !may_be_written
    }

    fn free(&self, books: &mut Books, index: u32) {
        if !self.is_at_rest(index) {
            return books.resting.push(index);
        }
        let slot = self.shop.slot(index);
        slot.discard(&self.shop.annex, index);
        slot.set(Word::free((slot.word().generation + 1) % GENERATIONS));
        books.free.push(index);
    }

    /// Gives back a slot whose outcome has been read, or that was never queued.
    pub(super) fn release(&self, index: u32) {
        self.free(&mut self.books(), index);
        if self.waiting_for_room.load(Ordering::SeqCst) != 0 {
            self.shop.head.done.ring_all(&Linux);
        }
    }

    /// The same for several.
    pub(super) fn release_all(&self, slots: &[u32]) {
        let mut books = self.books();
        slots.iter().for_each(|&index| self.free(&mut books, index));
        drop(books);
        if self.waiting_for_room.load(Ordering::SeqCst) != 0 {
            self.shop.head.done.ring_all(&Linux);
        }
    }

    /// A ticket for a slot that is about to be queued.
    pub(super) fn issue(&self, index: u32, callback: Option<Callback>) -> Arc<Ticket> {
        let generation = self.shop.slot(index).word().generation;
        let notes = Mutex::new(Notes { callback, ..Notes::default() });
        let ticket = Arc::new(Ticket { index, generation, notes });
        self.books().tenants[index as usize] = Some(Arc::clone(&ticket));
        ticket
    }

    /// The slot of a ticket's task; it may have another tenant by now.
    pub(super) fn slot_of(&self, ticket: &Ticket) -> &Slot {
        self.shop.slot(ticket.index)
    }

    /// Whether the task has an outcome.
    pub(super) fn is_done(&self, ticket: &Ticket) -> bool {
        let word = self.slot_of(ticket).word();
        word.generation != ticket.generation || word.kind.is_outcome()
    }

    /// Takes the outcome of a task that has one; `read` gets the encoded result.
    pub(super) fn collect<T>(
        &self,
        ticket: &Arc<Ticket>,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, TaskError> {
        let mut books = self.books();
        let tenant = &mut books.tenants[ticket.index as usize];
        if tenant.as_ref().is_some_and(|tenant| Arc::ptr_eq(tenant, ticket)) {
            *tenant = None;
            drop(books);
            let _reading = Reading { desk: self, index: ticket.index };
            let word = self.slot_of(ticket).word();
            return self.outcome(ticket.index, word, read)?.map_err(TaskError::Decode);
        }
        drop(books);
        read(&self.kept_outcome(ticket)?).map_err(TaskError::Decode)
    }

    /// The outcome that was taken out of the slot.
    fn kept_outcome(&self, ticket: &Ticket) -> Outcome {
        let mut outcome = None;
        self.note(ticket, |notes| outcome = notes.outcome.take());
        outcome.unwrap_or(Err(TaskError::Taken))
    }

    /// Changes a ticket's notes.
    pub(super) fn note(&self, ticket: &Ticket, change: impl FnOnce(&mut Notes)) {
        change(&mut ticket.notes.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Nobody will ask for the outcome.
    pub(super) fn forget(&self, ticket: &Arc<Ticket>) {
        let mut books = self.books();
        ticket.notes.lock().unwrap_or_else(PoisonError::into_inner).is_forgotten = true;
        let tenant = &mut books.tenants[ticket.index as usize];
        let is_ours = tenant.as_ref().is_some_and(|tenant| Arc::ptr_eq(tenant, ticket));
        if is_ours && self.is_done(ticket) {
            let ticket = tenant.take();
            self.free(&mut books, ticket.map_or(0, |ticket| ticket.index));
        }
    }

    /// What is in a slot whose task has an outcome; `read` gets an encoded result.
    #[inline]
    pub(super) fn outcome<T>(
        &self,
        index: u32,
        word: Word,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, TaskError> {
        if word.kind != Kind::Value {
            return Err(self.failure(index, word));
        }
        let mut buffer = Vec::new();
        let slot = self.shop.slot(index);
        slot.read(&self.shop.annex, index, Part::Result, &mut buffer, read).map_err(no_memory)
    }

    /// The error in a slot whose task has one.
    #[cold]
    fn failure(&self, index: u32, word: Word) -> TaskError {
        let slot = self.shop.slot(index);
        let told = |tell: fn(&[u8]) -> TaskError| {
            let read = slot.read(&self.shop.annex, index, Part::Result, &mut Vec::new(), tell);
            read.unwrap_or_else(no_memory)
        };
        match word.kind {
            Kind::Panicked => told(|bytes| match postcard::from_bytes::<PanicReport>(bytes) {
                Ok(report) => TaskError::Panicked(report),
                Err(_) => TaskError::Decode("the report of a panic".to_owned()),
            }),
            Kind::Unencodable => told(|bytes| TaskError::Encode(text_of(bytes))),
            Kind::Undecodable => told(|bytes| TaskError::Decode(text_of(bytes))),
            Kind::Unwritable => told(TaskError::unwritable),
            Kind::Died => {
                let task = slot.task();
                let death = WorkerDeath::new(&self.shop, word.holder, word.attempts, task);
                TaskError::WorkerDied(death)
            }
            Kind::TimedOut => TaskError::TimedOut,
            Kind::Cancelled => TaskError::Cancelled,
            Kind::Broken => TaskError::pool_failed(&self.shop),
            // Those of a task whose outcome somebody else has taken; a value is none of these.
            Kind::Value | Kind::Free | Kind::Queued | Kind::Running => TaskError::Taken,
        }
    }

    /// All tasks that have an outcome, for those who wait by descriptor.
    pub(super) fn done_tickets(&self) -> Vec<Arc<Ticket>> {
        let mut books = self.books();
        let mut tickets = std::mem::take(&mut books.due);
        let tenants = books.tenants.iter().flatten();
        tickets.extend(tenants.filter(|ticket| self.is_done(ticket)).map(Arc::clone));
        tickets
    }
}

fn no_memory(errno: crate::sys::Errno) -> TaskError {
    TaskError::OutOfMemory(errno.to_string())
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
