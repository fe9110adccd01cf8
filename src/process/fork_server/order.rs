//! What a client and its fork server say to each other: an order, a packet of this head and of the arguments; and a reply, two words.
//! Both are of one program at one version, so nothing here is for the ages.

use crate::error::{Error, ErrorKind};
use crate::sys::Errno;
use serde::{Deserialize, Serialize};

/// The largest packet. What is longer travels as a file.
pub(super) const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Which child is wanted. Descriptors lie beside it: the parcel with the arguments if there is one, then those for the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order<'a> {
    /// Address of a [`Land`](super::landing::Land), the same in both processes.
    pub(super) landing: usize,
    /// For the landing's own use.
    pub(super) target: usize,
    /// The child's place on the client's board.
    pub(super) cell: u32,
    pub(super) outlive: bool,
    pub(super) has_parcel: bool,
    pub(super) name: &'a str,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// There is a child with this pid.
    Born(u32),
    /// There is none.
    Refused(Refusal, Errno),
}

/// Where an order failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Refusal {
    Fork = 1,
    /// The child's cell could not be mapped.
    Room = 2,
    /// There is no descriptor for its lifeline.
    Leash = 3,
    /// Descriptors, or the packet's end, did not arrive.
    Cut = 4,
    /// There is no code at the landing's address.
    NoCode = 5,
    /// It is no order.
    Garbled = 6,
}

impl Reply {
    pub(super) const BYTES: usize = 8;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let (word, number) = match self {
            Reply::Born(pid) => (0, pid),
            Reply::Refused(refusal, errno) => (refusal as u32, (errno as i32).cast_unsigned()),
        };
        (u64::from(word) << 32 | u64::from(number)).to_ne_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Reply {
        let both = u64::from_ne_bytes(bytes);
        let number = both as u32;
        let refusal = match both >> 32 {
            0 => return Reply::Born(number),
            1 => Refusal::Fork,
            2 => Refusal::Room,
            3 => Refusal::Leash,
            4 => Refusal::Cut,
            5 => Refusal::NoCode,
            _ => Refusal::Garbled,
        };
        Reply::Refused(refusal, Errno::from_raw(number.cast_signed()))
    }
}

impl Refusal {
    /// As the client's error about the child `name`.
    pub(super) fn error(self, name: &str, errno: Errno) -> Error {
        let name = name.to_owned();
        match self {
            Refusal::Fork => Error::os("fork", name, errno),
            Refusal::Room => Error::os("make room for", name, errno),
            Refusal::Leash => Error::os("open, in the fork server, the lifeline of", name, errno),
            Refusal::Cut => Error::os("hand, to the fork server, the descriptors of", name, errno),
            Refusal::NoCode => {
                let detail = "the function is not where it was when the fork server started: in a library that was \
                              loaded later?";
                Error::new(ErrorKind::InvalidInput, "spawn", name, detail)
            }
            Refusal::Garbled => Error::os("tell the fork server about", name, errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_survive_the_way() {
        let refusals = [
            Refusal::Fork,
            Refusal::Room,
            Refusal::Leash,
            Refusal::Cut,
            Refusal::NoCode,
            Refusal::Garbled,
        ];
        let refused = refusals.map(|refusal| Reply::Refused(refusal, Errno::EMFILE));
        for reply in refused.into_iter().chain([Reply::Born(4_194_304), Reply::Born(1)]) {
            assert_eq!(Reply::from_bytes(reply.to_bytes()), reply);
        }
    }
}
