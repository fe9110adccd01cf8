//! Arguments and results as bytes: as the queues encode them, but numbers in chunks and vectors of numbers travel as they are.

#![expect(unsafe_code, reason = "treats a T as the vector of numbers that it is")]

use crate::queue::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::mem::{ManuallyDrop, MaybeUninit};

/// The length of such a vector comes first, in bytes.
const HEAD: usize = size_of::<u64>();

/// Appends the encoded value.
#[inline]
pub(super) fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> postcard::Result<()> {
    match numbers(value) {
        Some(bytes) => {
            buffer.extend_from_slice(&(bytes.len() as u64).to_ne_bytes());
            buffer.extend_from_slice(bytes);
            Ok(())
        }
        None => codec::encode(value, buffer).map(drop),
    }
}

/// Decodes a value, and says how many bytes are left over.
#[inline]
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<(T, usize)> {
    if !is_numbers::<T>() {
        return codec::decode(bytes);
    }
    let end = postcard::Error::DeserializeUnexpectedEnd;
    let Some((length, rest)) = bytes.split_first_chunk::<HEAD>() else { return Err(end) };
    let length = usize::try_from(u64::from_ne_bytes(*length)).unwrap_or(usize::MAX);
    let Some((content, rest)) = rest.split_at_checked(length) else { return Err(end) };
    from_numbers(content).map(|value| (value, rest.len())).ok_or(end)
}

/// Appends the bytes of at most so many items, which are [numbers](is_number); how many there were.
#[inline]
pub(super) fn extend_by_numbers<T>(
    buffer: &mut Vec<u8>,
    items: &mut impl Iterator<Item = T>,
    most: usize,
) -> usize {
    assert!(is_number::<T>(), "asked before");
    let (before, size) = (buffer.len(), size_of::<T>());
    buffer.reserve(most * size);
    let mut count = 0;
    for place in buffer.spare_capacity_mut().chunks_exact_mut(size).take(most) {
        let Some(item) = items.next() else { break };
        // SAFETY: there is room for one. Private memory of this process, borrowed mutably.
        unsafe { place.as_mut_ptr().cast::<T>().write_unaligned(item) };
        count += 1;
    }
    // SAFETY: so many places were written above, without a gap.
    unsafe { buffer.set_len(before + count * size) };
    count
}

/// Fills the front of `bytes` with the items, which are [numbers](is_number), as far as there are items and room; how many there were.
#[inline]
pub(super) fn write_numbers<T>(bytes: &mut [u8], items: impl Iterator<Item = T>) -> usize {
    let mut count = 0;
    for (place, item) in bytes.chunks_exact_mut(size_of::<T>()).zip(items) {
        write_number(place, item);
        count += 1;
    }
    count
}

/// Writes a [number](is_number) to a place of its size.
#[inline(always)]
pub(super) fn write_number<T>(place: &mut [u8], number: T) {
    assert!(is_number::<T>() && place.len() == size_of::<T>(), "asked before");
    // SAFETY: there is room (asserted), and a number needs no drop. Private memory of this process, borrowed mutably.
    unsafe { place.as_mut_ptr().cast::<T>().write_unaligned(number) };
}

/// The [number](is_number) at a place of its size.
#[inline(always)]
pub(super) fn read_number<T>(place: &[u8]) -> T {
    assert!(is_number::<T>() && place.len() == size_of::<T>(), "asked before");
    // SAFETY: inside the slice (asserted), and any bytes are a number.
    unsafe { place.as_ptr().cast::<T>().read_unaligned() }
}

/// Fills places with [numbers](is_number) of these bytes.
pub(super) fn fill_by_numbers<T>(places: &mut [MaybeUninit<T>], bytes: &[u8]) {
    assert!(is_number::<T>() && size_of_val(places) == bytes.len(), "asked before");
    let first = places.as_mut_ptr().cast::<u8>();
    // SAFETY: there is room (asserted), and the places are borrowed mutably, so they are not where the bytes are.
    unsafe { first.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
}

/// Fills places with [numbers](is_number) that are zero.
pub(super) fn fill_by_zeros<T>(places: &mut [MaybeUninit<T>]) {
    assert!(is_number::<T>(), "asked before");
    places.fill_with(MaybeUninit::zeroed);
}

/// The [numbers](is_number) in places that are filled, all of them.
pub(super) fn filled<T>(places: Vec<MaybeUninit<T>>) -> Vec<T> {
    assert!(is_number::<T>(), "asked before");
    let mut places = ManuallyDrop::new(places);
    let (first, len, capacity) = (places.as_mut_ptr(), places.len(), places.capacity());
    // SAFETY: the vector's own parts, which it does not free any more; the caller says that all are filled, and where it should be
    // wrong about that, its own memory is taken for numbers, which any bytes are.
    unsafe { Vec::from_raw_parts(first.cast::<T>(), len, capacity) }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        /// Whether T is a number, which is its bytes; known when the code is compiled.
        #[inline(always)]
        pub(super) fn is_number<T>() -> bool {
            $(is::<T, $number>())||* || is::<T, u8>()
        }

        /// Whether T is a vector of numbers; known when the code is compiled.
        #[inline(always)]
        fn is_numbers<T>() -> bool {
            $(is::<T, Vec<$number>>())||*
        }

        /// The bytes of a vector of numbers, if that is what it is.
        #[inline(always)]
        fn numbers<T>(value: &T) -> Option<&[u8]> {
            $(if let Some(numbers) = seen_as::<T, Vec<$number>>(value) {
                return Some(bytemuck::cast_slice(numbers));
            })*
            None
        }

        /// A vector of numbers from its bytes.
        #[inline(always)]
        fn from_numbers<T>(bytes: &[u8]) -> Option<T> {
            $(if is::<T, Vec<$number>>() {
                let count = bytes.len() / size_of::<$number>();
                let mut numbers = vec![<$number>::default(); count];
                let place: &mut [u8] = bytemuck::cast_slice_mut(&mut numbers);
                if place.len() != bytes.len() {
                    return None;
                }
                place.copy_from_slice(bytes);
                return Some(taken_as(numbers));
            })*
            None
        }
    };
}
// Not u8: the queues' codec has a way for that.
numbers!(i8, u16, i16, u32, i32, u64, i64, u128, i128, usize, isize, f32, f64);

/// Whether two types are the same.
#[inline(always)]
fn is<T, U>() -> bool {
    typeid::of::<T>() == typeid::of::<U>()
}

#[inline(always)]
fn seen_as<T, U: 'static>(value: &T) -> Option<&U> {
    let value = std::ptr::from_ref(value).cast::<U>();
    // SAFETY: equal ids are the same type but for lifetimes, and the vectors above have none. Private memory of this process.
    is::<T, U>().then(|| unsafe { &*value })
}

#[inline(always)]
fn taken_as<U: 'static, T>(value: U) -> T {
    assert!(is::<T, U>(), "asked before");
    let (value, mut place) = (ManuallyDrop::new(value), MaybeUninit::<T>::uninit());
    let from = std::ptr::from_ref(&*value).cast::<T>();
    // SAFETY: T is U (asserted), so its place has room for it; `value` is not used or dropped after this.
    unsafe { place.as_mut_ptr().copy_from_nonoverlapping(from, 1) };
    // SAFETY: written in the line above.
    unsafe { place.assume_init() }
}
