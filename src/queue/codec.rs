//! Values as bytes: postcard's format, with a short way for `Vec<u8>`, whose elements serde hands over one by one.

#![expect(unsafe_code, reason = "treats a T as the Vec<u8> that it is")]

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::mem::MaybeUninit;

/// Encodes `value` into `buffer`, which is empty, and returns the bytes.
#[inline]
pub(crate) fn encode<'a, T: Serialize>(
    value: &T,
    buffer: &'a mut Vec<u8>,
) -> postcard::Result<&'a [u8]> {
    if let Some(bytes) = as_bytes(value) {
        let mut length = bytes.len();
        while length >= 0x80 {
            buffer.push(length as u8 | 0x80);
            length >>= 7;
        }
        buffer.push(length as u8);
        buffer.extend_from_slice(bytes);
        return Ok(buffer);
    }
    postcard::serialize_with_flavor(value, Appender(buffer))
}

/// Decodes a value, and says how many bytes are left over.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<(T, usize)> {
    if is_bytes::<T>() {
        let (length, rest) = postcard::take_from_bytes::<usize>(bytes)?;
        let Some((content, rest)) = rest.split_at_checked(length) else {
            return Err(postcard::Error::DeserializeUnexpectedEnd);
        };
        return Ok((from_bytes(content.to_vec()), rest.len()));
    }
    let (value, rest) = postcard::take_from_bytes(bytes)?;
    Ok((value, rest.len()))
}

/// Whether T is `Vec<u8>`; known when the code is compiled.
#[inline(always)]
fn is_bytes<T>() -> bool {
    typeid::of::<T>() == typeid::of::<Vec<u8>>()
}

#[inline(always)]
fn as_bytes<T>(value: &T) -> Option<&Vec<u8>> {
    let value = std::ptr::from_ref(value).cast::<Vec<u8>>();
    // SAFETY: equal ids are the same type but for lifetimes, and `Vec<u8>` has none: so T is `Vec<u8>`, and the reference lives
    // as long as the one it comes from. Nothing shared with other processes is touched.
    is_bytes::<T>().then(|| unsafe { &*value })
}

/// The vector as a T, which it is.
#[inline(always)]
fn from_bytes<T>(bytes: Vec<u8>) -> T {
    assert!(is_bytes::<T>(), "asked before");
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: T is `Vec<u8>` (asserted; see `as_bytes`), so its place is one for such a vector.
    unsafe { value.as_mut_ptr().cast::<Vec<u8>>().write(bytes) };
    // SAFETY: written in the line above.
    unsafe { value.assume_init() }
}

/// Takes postcard's bytes, one by one.
struct Appender<'a>(&'a mut Vec<u8>);

impl<'a> Flavor for Appender<'a> {
    type Output = &'a [u8];

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<&'a [u8]> {
        Ok(self.0)
    }
}
