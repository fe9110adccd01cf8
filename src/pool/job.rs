//! What a worker runs for a task: decode the argument, call the function, encode the result.
//!
//! Client and workers are one image, made by fork, so the address of a function means the same in all of them. The function itself
//! has no bytes to send: it is a fn item, or a closure that captures nothing.

#![expect(
    unsafe_code,
    reason = "calls a function by its address, and makes values that have no bytes"
)]

use crate::pool::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// How a job went that has not panicked. What belongs to it is in the job's output: the encoded result, or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Value,
    /// The argument could not be decoded.
    Undecodable,
    /// The result could not be encoded.
    Unencodable,
}

/// The code of a job: argument in, output out. The output buffer is empty when it begins.
pub(super) type Run = fn(&[u8], &mut Vec<u8>) -> Done;

/// What is run, and the name of the user's function in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) run: Run,
    pub(super) name: Name,
}

/// Gives the name of a function's type.
pub(super) type Name = fn() -> &'static str;

impl Job {
    /// The addresses of code and name, as they are written into a slot.
    pub(super) fn addresses(self) -> [u64; 2] {
        [self.run as usize as u64, self.name as usize as u64]
    }
}

/// The code with this address.
///
/// # Safety
/// The address is the first of [`Job::addresses`], in a process of which this one is a fork, or the other way round.
pub(super) unsafe fn run_at(address: u64) -> Run {
    // SAFETY: a fork has the same code at the same addresses, and the caller says that the address is a Run's.
    unsafe { std::mem::transmute::<usize, Run>(address as usize) }
}

/// The name of the function of a job.
///
/// # Safety
/// As for [`run_at`], with the second address.
pub(super) unsafe fn name_at(address: u64) -> &'static str {
    // SAFETY: as in `run_at`, a Name's.
    let name = unsafe { std::mem::transmute::<usize, Name>(address as usize) };
    name()
}

/// The same for a function that takes and returns nothing.
pub(super) fn address_of_function(function: fn()) -> u64 {
    function as usize as u64
}

/// The function with this address, which takes and returns nothing.
///
/// # Safety
/// The address is that of a `fn()` in a process of which this one is a fork or a sibling, and the same code is there.
pub(super) unsafe fn function_at(address: u64) -> fn() {
    // SAFETY: the caller's promise.
    unsafe { std::mem::transmute::<usize, fn()>(address as usize) }
}

/// Calls the one `F` that there is, which has no bytes. Its address stands for it.
pub(super) fn call_existing<F: Fn() + Send + Sync + 'static>() {
    assert!(size_of::<F>() == 0, "of values with bytes there are many");
    // SAFETY: F has no bytes, so any aligned place holds one; it was given away for ever where this function was named.
    let f = unsafe { NonNull::<F>::dangling().as_ref() };
    f()
}

/// Compiles for functions only that have no bytes to send.
pub(super) const fn captures_nothing<F>() {
    assert!(
        size_of::<F>() == 0,
        "a pool's function is a fn item or a closure that captures nothing: its workers were forked before this call and do not \
         have what it would capture. Pass that as (a part of) the argument; or use `offspring::spawn`, whose child gets a copy of everything"
    );
}

/// The job that calls an `F`.
pub(super) fn call<F, A, R>() -> Job
where
    F: Fn(A) -> R + Copy,
    A: DeserializeOwned,
    R: Serialize,
{
    const { captures_nothing::<F>() };
    let run: Run = |argument, output| {
        let argument: A = match decode(argument) {
            Ok(argument) => argument,
            Err(text) => return fail(Done::Undecodable, &text, output),
        };
        let result = function::<F>()(argument);
        match wire::encode(&result, output) {
            Ok(()) => Done::Value,
            Err(error) => {
                fail(Done::Unencodable, &format!("encode a {}: {error}", type_name::<R>()), output)
            }
        }
    };
    Job { run, name: type_name::<F> }
}

/// Replaces the output by a text.
pub(super) fn fail(done: Done, text: &str, output: &mut Vec<u8>) -> Done {
    output.clear();
    output.extend_from_slice(text.as_bytes());
    done
}

/// A value of a type without bytes, of which the client has one.
pub(super) fn function<F: Copy>() -> F {
    const { captures_nothing::<F>() };
    let nothing = MaybeUninit::<F>::uninit();
    // SAFETY: F has no bytes to be initialised (asserted), the client had one when it sent the task, and `Copy` says that one is as
    // good as another.
    unsafe { nothing.assume_init() }
}

/// All of the bytes as one value, or why not.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match wire::decode(bytes) {
        Ok((value, 0)) => Ok(value),
        Ok((_, rest)) => Err(format!("decode a {}: {rest} bytes are left over", type_name::<T>())),
        Err(error) => Err(format!("decode a {}: {error}", type_name::<T>())),
    }
}
