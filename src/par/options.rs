//! The options of a parallel call.

#![expect(unsafe_code, reason = "passes on the contract of `allow_threads`")]

use crate::par::crew::Staff;
use crate::par::plan::Plan;
use crate::process::{Builder, available_workers};

/// How a parallel call is carried out: by how many workers, in which chunks, and whether the calling process is one of them.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use offspring::Par;
/// let lengths = Par::new().workers(3).chunk(1).map(&["a", "bc", ""], |text| text.len())?;
/// assert_eq!(lengths, [1, 2, 0]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until `map`, `reduce`, …"]
pub struct Par {
    workers: Option<usize>,
    chunk: Option<usize>,
    caller_works: bool,
    builder: Builder,
}

impl Par {
    /// [`available_workers`] children, in chunks that get smaller towards the end.
    pub fn new() -> Par {
        Par::default()
    }

    /// How many work. There are never more than chunks.
    ///
    /// # Panics
    /// For 0.
    pub fn workers(mut self, workers: usize) -> Par {
        assert!(workers > 0, "expected at least one worker");
        self.workers = Some(workers);
        self
    }

    /// How many items are claimed at once. By default a 32nd of a worker's share at first, and single items at the end.
    ///
    /// A bigger chunk means fewer claims, and more items that are lost with a worker that dies. Where chunks begin and end
    /// depends on nothing but the count of items, the count of workers (only if no chunk is set here) and this: so a
    /// reduction gives the same result in each run, of floats too.
    ///
    /// # Panics
    /// For 0.
    pub fn chunk(mut self, items: usize) -> Par {
        assert!(items > 0, "expected at least one item in a chunk");
        self.chunk = Some(items);
        self
    }

    /// Whether the calling process is one of the workers. By default it only waits.
    ///
    /// That saves a fork. But its items are not fenced off: what they change is changed here, an abort or an overflow of the stack
    /// in one ends this process, and a panic is printed by this process's hook before it becomes an error like the others (whose
    /// report then has no location). With one worker nothing is forked at all.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use offspring::{Par, SharedVec};
    /// let words = ["to", "be", "or"];
    /// let two = Par::new().workers(2).caller_works(true);
    /// assert_eq!(two.map_plain(&words, |word| word.len())?, [2, 2, 2]);
    /// assert_eq!(two.reduce(&words, || 0, |sum, word| sum + word.len(), |a, b| a + b)?, 6);
    /// let mut squares = SharedVec::<u64>::zeroed(4)?;
    /// two.for_each_chunk_mut(&mut squares, 1, |index, chunk| chunk[0] = (index * index) as u64)?;
    /// assert_eq!(squares[..], [0, 1, 4, 9]);
    /// # Ok(()) }
    /// ```
    pub fn caller_works(mut self, caller_works: bool) -> Par {
        self.caller_works = caller_works;
        self
    }

    /// Forks although this process has other threads.
    ///
    /// # Safety
    /// That of [`Builder::allow_threads`], for all workers.
    pub unsafe fn allow_threads(mut self) -> Par {
        // SAFETY: the caller's promise.
        self.builder = unsafe { self.builder.allow_threads() };
        self
    }

    /// Who works, and on what.
    pub(super) fn staff(&self, items: usize) -> (Staff, Plan) {
        let workers = self.workers.unwrap_or_else(available_workers);
        let plan = Plan::new(items, workers, self.chunk);
        let (caller_works, builder) = (self.caller_works, self.builder.clone());
        (Staff { workers, caller_works, builder }, plan)
    }
}
