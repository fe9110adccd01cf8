//! Several items in one task: how they lie in its argument, and their results in its result.
//!
//! Argument: a head with the number of items (four bytes), then the items, one encoded behind the other; numbers are their bytes.
//!
//! Result, of numbers: a head with how many failed (eight bytes), all results (zero for those that failed), then the failures: which one
//! (four bytes), and as below. Of others: for each item a byte that says how it went, then the encoded result, or the length (eight bytes) of what
//! follows: the encoded report of the panic, or a text.

use crate::pool::error::TaskError;
use crate::pool::job::{self, Done, Job, captures_nothing, fail, function};
use crate::pool::wire;
use crate::pool::worker::encode_panic;
use crate::process::PanicReport;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const VALUE: u8 = 0;
const PANICKED: u8 = 1;
const UNENCODABLE: u8 = 2;

/// Bytes before the first item, and before the first of results that are numbers: a cache line, so that on the stage no vector of
/// them lies on two.
pub(super) const HEAD: usize = 64;

/// An argument that is being put together.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    count: u32,
}

impl Chunk {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0; HEAD]);
        self.count = 0;
    }

    /// Adds an item; if it cannot be encoded, why.
    #[inline]
    pub(super) fn push<A: Serialize>(&mut self, item: A) -> Result<(), String> {
        if wire::is_number::<A>() {
            wire::extend_by_numbers(&mut self.bytes, &mut std::iter::once(item), 1);
            self.count += 1;
            return Ok(());
        }
        let before = self.bytes.len();
        match wire::encode(&item, &mut self.bytes) {
            Ok(()) => {
                self.count += 1;
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(before);
                Err(format!("encode a {}: {error}", type_name::<A>()))
            }
        }
    }

    /// Adds items, until there are so many or about so many bytes; false if there are no more. If one cannot be encoded it is the
    /// last, and is not in the chunk.
    pub(super) fn extend<A: Serialize>(
        &mut self,
        items: &mut impl Iterator<Item = A>,
        size: usize,
        bytes_max: usize,
    ) -> Result<bool, String> {
        if wire::is_number::<A>() {
            let most = size.min(bytes_max.div_ceil(size_of::<A>()));
            let count = wire::extend_by_numbers(&mut self.bytes, items, most);
            self.count += count as u32;
            return Ok(count == most);
        }
        while (self.count as usize) < size && self.bytes.len() < bytes_max {
            let Some(item) = items.next() else { return Ok(false) };
            self.push(item)?;
        }
        Ok(true)
    }

    /// The argument.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.bytes[..size_of::<u32>()].copy_from_slice(&self.count.to_ne_bytes());
        &self.bytes
    }
}

/// Puts an argument of at most so many numbers together in a place that has room for them; how many there are, and its bytes.
pub(super) fn fill<A>(
    place: &mut [u8],
    items: &mut impl Iterator<Item = A>,
    size: usize,
) -> (u32, usize) {
    let (head, numbers) = place.split_at_mut(HEAD);
    let most = size.min(numbers.len() / size_of::<A>());
    let count = wire::write_numbers(&mut numbers[..most * size_of::<A>()], items);
    head[..size_of::<u32>()].copy_from_slice(&(count as u32).to_ne_bytes());
    (count as u32, HEAD + count * size_of::<A>())
}

/// The job that calls an `F` for each item of a chunk.
pub(super) fn call_each<F, A, R>() -> Job
where
    F: Fn(A) -> R + Copy,
    A: DeserializeOwned,
    R: Serialize,
{
    const { captures_nothing::<F>() };
    let run: job::Run = |argument, output| {
        let Some((count, items)) = behind_head(argument) else {
            return fail(Done::Undecodable, "decode a chunk: it has no head", output);
        };
        let count = u32::from_ne_bytes(count) as usize;
        if wire::is_number::<A>() && items.len() != count * size_of::<A>() {
            return fail(Done::Undecodable, "decode a chunk: it has another length", output);
        }
        let mut run = Run::<A, R> {
            items,
            results: Results::new(output, count),
            count,
            nth: 0,
            is_decoding: false,
            _item: PhantomData,
        };
        while run.nth < count {
            match catch_unwind(AssertUnwindSafe(|| run.go(function::<F>()))) {
                Ok(Ok(())) => break,
                Ok(Err(Stop::Undecodable(text))) => return fail(Done::Undecodable, &text, output),
                Ok(Err(Stop::Unencodable(text))) => {
                    run.results.fail(run.nth, UNENCODABLE, text.as_bytes());
                }
                // Where the next item would begin is not known.
                Err(payload) if run.is_decoding => resume_unwind(payload),
                Err(payload) => run.results.fail(run.nth, PANICKED, &encode_panic(payload)),
            }
            run.nth += 1;
        }
        run.results.finish();
        Done::Value
    };
    Job { run, name: std::any::type_name::<F> }
}

/// A chunk that is being done.
struct Run<'a, A, R> {
    /// What has not been decoded yet; of numbers: all.
    items: &'a [u8],
    results: Results<'a, R>,
    count: usize,
    /// Which item it is about.
    nth: usize,
    is_decoding: bool,
    _item: PhantomData<fn(A)>,
}

/// Why an item has no result, if not by a panic.
enum Stop {
    Undecodable(String),
    Unencodable(String),
}

impl<A: DeserializeOwned, R: Serialize> Run<'_, A, R> {
    /// From the item where it stands to the last, or to the first one that fails.
    #[inline]
    fn go(&mut self, function: impl Fn(A) -> R) -> Result<(), Stop> {
        if wire::is_number::<A>() && wire::is_number::<R>() {
            let items = self.items.chunks_exact(size_of::<A>()).skip(self.nth);
            let places = self.results.output[HEAD..].chunks_exact_mut(size_of::<R>());
            let mut nth = self.nth;
            for (item, place) in items.zip(places.skip(self.nth)) {
                // For a panic's sake. Counting there would make each item wait for the store of the last.
                self.nth = nth;
                wire::write_number(place, function(wire::read_number(item)));
                nth += 1;
            }
            self.nth = nth;
            return Ok(());
        }
        while self.nth < self.count {
            self.is_decoding = true;
            let item = self.next().map_err(Stop::Undecodable)?;
            self.is_decoding = false;
            self.results.begin();
            let result = function(item);
            self.results.put(self.nth, result).map_err(Stop::Unencodable)?;
            self.nth += 1;
        }
        Ok(())
    }

    #[inline]
    fn next(&mut self) -> Result<A, String> {
        if wire::is_number::<A>() {
            let (item, rest) = self.items.split_at(size_of::<A>());
            self.items = rest;
            return Ok(wire::read_number(item));
        }
        let (item, rest) = wire::decode(self.items)
            .map_err(|error| format!("decode a {}: {error}", type_name::<A>()))?;
        self.items = &self.items[self.items.len() - rest..];
        Ok(item)
    }
}

/// A result that is being put together.
struct Results<'a, R> {
    output: &'a mut Vec<u8>,
    /// Where the item's part begins; not of numbers.
    before: usize,
    /// Of numbers.
    failures: Vec<u8>,
    failure_count: u64,
    _result: PhantomData<fn() -> R>,
}

impl<'a, R: Serialize> Results<'a, R> {
    fn new(output: &'a mut Vec<u8>, count: usize) -> Results<'a, R> {
        if wire::is_number::<R>() {
            output.resize(HEAD + count * size_of::<R>(), 0);
        }
        let failures = Vec::new();
        Results { output, before: 0, failures, failure_count: 0, _result: PhantomData }
    }

    #[inline]
    fn begin(&mut self) {
        if !wire::is_number::<R>() {
            self.before = self.output.len();
        }
    }

    #[inline]
    fn put(&mut self, nth: usize, result: R) -> Result<(), String> {
        if wire::is_number::<R>() {
            let first = HEAD + nth * size_of::<R>();
            wire::write_number(&mut self.output[first..first + size_of::<R>()], result);
            return Ok(());
        }
        self.output.push(VALUE);
        wire::encode(&result, self.output)
            .map_err(|error| format!("encode a {}: {error}", type_name::<R>()))
    }

    #[cold]
    fn fail(&mut self, nth: usize, tag: u8, bytes: &[u8]) {
        let output = match wire::is_number::<R>() {
            true => {
                self.failure_count += 1;
                self.failures.extend_from_slice(&(nth as u32).to_ne_bytes());
                &mut self.failures
            }
            false => {
                self.output.truncate(self.before);
                &mut *self.output
            }
        };
        output.push(tag);
        output.extend_from_slice(&(bytes.len() as u64).to_ne_bytes());
        output.extend_from_slice(bytes);
    }

    fn finish(self) {
        if wire::is_number::<R>() {
            self.output[..size_of::<u64>()].copy_from_slice(&self.failure_count.to_ne_bytes());
            self.output.extend_from_slice(&self.failures);
        }
    }
}

/// What a head says, and what comes after it.
fn behind_head<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    head.first_chunk().map(|said| (*said, rest))
}

const TOO_SHORT: &str = "decode a chunk: it ends too early";

/// Hands the results of a chunk to `each`, in order; `Err` if that is not what the bytes are.
pub(super) fn open<R: DeserializeOwned>(
    mut bytes: &[u8],
    count: u32,
    mut each: impl FnMut(Result<R, TaskError>),
) -> Result<(), String> {
    if wire::is_number::<R>() {
        let (numbers, failures) = open_numbers::<R>(bytes, count)?;
        let mut failures = failures.into_iter().peekable();
        for (nth, number) in numbers.chunks_exact(size_of::<R>()).enumerate() {
            each(match failures.next_if(|&(failed, _)| failed == nth) {
                Some((_, error)) => Err(error),
                None => Ok(wire::read_number(number)),
            });
        }
        return Ok(());
    }
    for _ in 0..count {
        match bytes.split_first().ok_or(TOO_SHORT)? {
            (&VALUE, rest) => match wire::decode::<R>(rest) {
                Ok((value, left)) => {
                    bytes = &rest[rest.len() - left..];
                    each(Ok(value));
                }
                // Where the next one would begin is not known.
                Err(error) => return Err(format!("decode a {}: {error}", type_name::<R>())),
            },
            _ => each(Err(take_failure(&mut bytes)?)),
        }
    }
    Ok(())
}

/// Results that are numbers, as their bytes, and which of them failed and why, in their order.
#[expect(clippy::type_complexity, reason = "two things that are taken apart at once")]
pub(super) fn open_numbers<R>(
    bytes: &[u8],
    count: u32,
) -> Result<(&[u8], Vec<(usize, TaskError)>), String> {
    let (failure_count, rest) = behind_head(bytes).ok_or(TOO_SHORT)?;
    let numbers = count as usize * size_of::<R>();
    let (numbers, mut rest) = rest.split_at_checked(numbers).ok_or(TOO_SHORT)?;
    let mut failures = Vec::new();
    for _ in 0..u64::from_ne_bytes(failure_count) {
        let (nth, tagged) = rest.split_first_chunk().ok_or(TOO_SHORT)?;
        rest = tagged;
        failures.push((u32::from_ne_bytes(*nth) as usize, take_failure(&mut rest)?));
    }
    Ok((numbers, failures))
}

/// Takes a tag and what follows.
fn take_failure(bytes: &mut &[u8]) -> Result<TaskError, String> {
    let (tag, rest) = bytes.split_first().ok_or(TOO_SHORT)?;
    let (length, rest) = rest.split_first_chunk().ok_or(TOO_SHORT)?;
    let length = usize::try_from(u64::from_ne_bytes(*length)).unwrap_or(usize::MAX);
    let (body, rest) = rest.split_at_checked(length).ok_or(TOO_SHORT)?;
    *bytes = rest;
    Ok(match *tag {
        PANICKED => match postcard::from_bytes::<PanicReport>(body) {
            Ok(report) => TaskError::Panicked(report),
            Err(error) => TaskError::Decode(error.to_string()),
        },
        _ => TaskError::Encode(String::from_utf8_lossy(body).into_owned()),
    })
}
