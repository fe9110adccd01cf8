//! What may travel through a ring as it is.

use bytemuck::{CheckedBitPattern, NoUninit};

/// A message of fixed size that is copied into and out of shared memory byte by byte: no padding, no pointers, and a way to
/// check bytes before they are taken for a value.
///
/// It is implemented for every type that has bytemuck's `NoUninit` and `CheckedBitPattern`: numbers, `bool`, `char`, arrays of
/// them, `Pod` structs, and structs and enums that derive the two.
///
/// ```
/// use bytemuck::{CheckedBitPattern, NoUninit};
///
/// #[derive(Clone, Copy, NoUninit, CheckedBitPattern)]
/// #[repr(u8)]
/// enum Order { Work, Stop }
///
/// # fn main() -> offspring::Result<()> {
/// let orders = offspring::RingQueue::<Order>::new(16)?;
/// orders.send(Order::Stop).unwrap();
/// assert!(matches!(orders.recv(), Ok(Order::Stop)));
/// # Ok(()) }
/// ```
///
/// What owns memory of one process does not compile:
///
/// ```compile_fail,E0277
/// let names = offspring::RingQueue::<String>::new(16);
/// ```
/// ```compile_fail,E0277
/// let numbers = offspring::RingQueue::<&'static u64>::new(16);
/// ```
pub trait Plain: NoUninit + CheckedBitPattern {}

impl<T: NoUninit + CheckedBitPattern> Plain for T {}
