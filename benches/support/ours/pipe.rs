//! Both ends of a pipe.

use crate::support::turns::{End, MESSAGE_BYTES, Message};
use offspring::{Connection, pipe};

/// The message as a value: serde's arrays end at 32.
type Value = [[u8; MESSAGE_BYTES / 2]; 2];

/// An end that sends and receives values.
pub(crate) struct Typed(Connection<Value>);

/// An end that sends and receives bytes.
pub(crate) struct Bytes(Connection<()>);

pub(crate) fn typed() -> (Typed, Typed) {
    let (near, far) = pipe().expect("a pipe");
    (Typed(near), Typed(far))
}

pub(crate) fn bytes() -> (Bytes, Bytes) {
    let (near, far) = pipe().expect("a pipe");
    (Bytes(near), Bytes(far))
}

impl End for Typed {
    fn send(&mut self, message: &Message) {
        self.0.send(bytemuck::cast(*message)).expect("the other end lives");
    }

    fn receive(&mut self) -> Message {
        bytemuck::cast(self.0.recv().expect("the other end lives"))
    }
}

impl End for Bytes {
    fn send(&mut self, message: &Message) {
        self.0.send_bytes(message).expect("the other end lives");
    }

    fn receive(&mut self) -> Message {
        let mut message = [0; MESSAGE_BYTES];
        let length = self.0.recv_bytes_into(&mut message).expect("the other end lives");
        assert_eq!(length, MESSAGE_BYTES, "a message's length");
        message
    }
}
