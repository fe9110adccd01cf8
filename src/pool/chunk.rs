//! Several items in one task: how they lie in its argument, and their results in its result.
//!
//! Argument: the number of items (four bytes), then the items, one encoded behind the other. Result: for each item a byte that says how it
//! went, and the encoded result, the encoded report of the panic, or a text.

use crate::pool::error::TaskError;
use crate::pool::job::{Done, Job, captures_nothing, fail, function};
use crate::pool::wire;
use crate::pool::worker::encode_panic;
use crate::process::PanicReport;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};

const VALUE: u8 = 0;
const PANICKED: u8 = 1;
const UNENCODABLE: u8 = 2;

/// Bytes before the first item.
const HEAD: usize = size_of::<u32>();

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

    pub(super) fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// Adds an item; if it cannot be encoded, why.
    #[inline]
    pub(super) fn push<A: Serialize>(&mut self, item: &A) -> Result<(), String> {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&[0; HEAD]);
        }
        let before = self.bytes.len();
        match wire::encode(item, &mut self.bytes) {
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

    /// The argument.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.bytes[..HEAD].copy_from_slice(&self.count.to_ne_bytes());
        &self.bytes
    }
}

/// The job that calls an `F` for each item of a chunk.
pub(super) fn call_each<F, A, R>() -> Job
where
    F: Fn(A) -> R + Copy,
    A: DeserializeOwned,
    R: Serialize,
{
    const { captures_nothing::<F>() };
    |argument, output| {
        let Some((count, mut items)) = argument.split_first_chunk::<HEAD>() else {
            return fail(Done::Undecodable, "decode a chunk: it has no head", output);
        };
        for _ in 0..u32::from_ne_bytes(*count) {
            let item: A = match wire::decode(items) {
                Ok((item, rest)) => {
                    items = &items[items.len() - rest..];
                    item
                }
                Err(error) => {
                    let text = format!("decode a {}: {error}", type_name::<A>());
                    return fail(Done::Undecodable, &text, output);
                }
            };
            call_one::<F, A, R>(item, output);
        }
        Done::Value
    }
}

/// Calls the function, and appends what came of it.
#[inline]
fn call_one<F, A, R>(item: A, output: &mut Vec<u8>)
where
    F: Fn(A) -> R + Copy,
    R: Serialize,
{
    let before = output.len();
    output.push(VALUE);
    let called = catch_unwind(AssertUnwindSafe(|| {
        let result = function::<F>()(item);
        wire::encode(&result, output)
    }));
    match called {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let text = format!("encode a {}: {error}", type_name::<R>());
            replace(output, before, UNENCODABLE, text.as_bytes());
        }
        Err(payload) => replace(output, before, PANICKED, &encode_panic(payload)),
    }
}

#[cold]
fn replace(output: &mut Vec<u8>, before: usize, tag: u8, bytes: &[u8]) {
    output.truncate(before);
    output.push(tag);
    output.extend_from_slice(&(bytes.len() as u64).to_ne_bytes());
    output.extend_from_slice(bytes);
}

/// Hands the results of a chunk to `each`, in order; `Err` if that is not what the bytes are.
pub(super) fn open<R: DeserializeOwned>(
    mut bytes: &[u8],
    count: u32,
    mut each: impl FnMut(Result<R, TaskError>),
) -> Result<(), String> {
    for _ in 0..count {
        let Some((&tag, rest)) = bytes.split_first() else {
            return Err("decode a chunk: it ends too early".to_owned());
        };
        if tag == VALUE {
            match wire::decode::<R>(rest) {
                Ok((value, left)) => {
                    bytes = &rest[rest.len() - left..];
                    each(Ok(value));
                }
                // Where the next one would begin is not known.
                Err(error) => return Err(format!("decode a {}: {error}", type_name::<R>())),
            }
            continue;
        }
        let (length, rest) = rest.split_first_chunk().ok_or("decode a chunk: no length")?;
        let length = usize::try_from(u64::from_ne_bytes(*length)).unwrap_or(usize::MAX);
        let (body, rest) = rest.split_at_checked(length).ok_or("decode a chunk: no report")?;
        bytes = rest;
        each(Err(match tag {
            PANICKED => match postcard::from_bytes::<PanicReport>(body) {
                Ok(report) => TaskError::Panicked(report),
                Err(error) => TaskError::Decode(error.to_string()),
            },
            _ => TaskError::Encode(String::from_utf8_lossy(body).into_owned()),
        }));
    }
    Ok(())
}
