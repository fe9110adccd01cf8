//! The first steps of a fork server's child: from a function's address back to a function, from bytes back to its arguments.
//!
//! Each [`Land`] is a function of this program, made by the compiler for one type of function, argument and result. The client
//! sends its address. The server is a fork of the client and looks whether it has code there, too; so the address means the same
//! in the child.

#![expect(unsafe_code, reason = "makes functions of addresses, and values of no bytes")]

use crate::process::family::Family;
use crate::process::seat::Seat;
use crate::sys::parcel::Parcel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::MutexGuard;

/// What a child finds when it comes into being.
pub(super) struct Landing {
    pub(super) seat: Seat,
    /// The lock that the server held across the fork.
    pub(super) family: MutexGuard<'static, Family>,
    pub(super) cargo: Cargo,
    /// For the landing's own use.
    pub(super) target: usize,
}

/// What an order brings to its child.
pub(super) struct Cargo {
    /// The arguments, if they do not come as a parcel.
    pub(super) bytes: Vec<u8>,
    pub(super) parcel: Option<Parcel>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Lives a child's life.
pub(super) type Land = fn(Landing) -> !;

/// A function of an address that a client has sent; lives the child's life.
///
/// # Safety
/// `address` is that of a [`Land`] in the client, and this process is a fork of the client in which the same code is there.
pub(super) unsafe fn land_at(address: usize, landing: Landing) -> ! {
    let address = std::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the caller's promise. Pointers to functions and to data have one size here (64-bit Linux).
    let land = unsafe { std::mem::transmute::<*const (), Land>(address) };
    land(landing)
}

/// Calls an `F` with the decoded arguments.
pub(super) fn land<F, A, R>(landing: Landing) -> !
where
    F: FnOnce(A) -> R + Copy,
    A: DeserializeOwned,
    R: Serialize,
{
    let Landing { seat, family, cargo, .. } = landing;
    seat.run_ordered(family, || Ok(conjured::<F>()(cargo.decode()?.0)))
}

/// Calls an `F` with the decoded arguments, and with the descriptors.
pub(super) fn land_with_fds<F, A, R>(landing: Landing) -> !
where
    F: FnOnce(A, Vec<OwnedFd>) -> R + Copy,
    A: DeserializeOwned,
    R: Serialize,
{
    let Landing { seat, family, cargo, .. } = landing;
    seat.run_ordered(family, || {
        let (args, descriptors) = cargo.decode()?;
        Ok(conjured::<F>()(args, descriptors))
    })
}

/// The entry of a child whose function is known by its address alone.
pub(crate) type Entry = fn(&[u8], Vec<OwnedFd>);

/// Calls the [`Entry`] that is the target, with the bytes as they are.
pub(super) fn land_raw(landing: Landing) -> ! {
    let Landing { seat, family, cargo, target } = landing;
    let target = std::ptr::with_exposed_provenance::<()>(target);
    // SAFETY: as in `land_at`: whoever sends `land_raw` as a landing sends an `Entry` as its target.
    let entry = unsafe { std::mem::transmute::<*const (), Entry>(target) };
    seat.run_ordered(family, || {
        let (bytes, descriptors) = cargo.unpack()?;
        entry(&bytes, descriptors);
        Ok(())
    })
}

impl Cargo {
    fn unpack(self) -> Result<(Vec<u8>, Vec<OwnedFd>), String> {
        let bytes = match self.parcel {
            None => self.bytes,
            Some(mut parcel) => parcel.unpack().map_err(|errno| errno.to_string())?,
        };
        Ok((bytes, self.descriptors))
    }

    fn decode<A: DeserializeOwned>(self) -> Result<(A, Vec<OwnedFd>), String> {
        let (bytes, descriptors) = self.unpack()?;
        let args = postcard::from_bytes(&bytes).map_err(|error| error.to_string())?;
        Ok((args, descriptors))
    }
}

/// Another copy of the `F` that the client has, which has no bytes to be sent.
fn conjured<F: Copy>() -> F {
    const {
        assert!(
            size_of::<F>() == 0,
            "a `ForkServer` calls functions, and closures that capture nothing: what a closure captures is not in the server, \
             which was forked earlier. Pass it as the arguments. (A function pointer is not enough: name the function itself)"
        );
    }
    // SAFETY: F has no bytes (asserted), so any aligned place holds one; one F exists, since the client gave it to `spawn`, and F is
    // Copy: this is one more copy of that one.
    unsafe { NonNull::<F>::dangling().read() }
}
