//! Connections between processes: messages of any size, file descriptors, and an end of stream that arrives. See [`pipe`].

mod connection;
mod end;
mod error;
mod methods;
mod patience;
pub(crate) mod registry;
mod values;

pub use self::{
    connection::{Connection, Receiver, Sender, pipe, simplex},
    error::{Obstacle, Payload, RecvError, SendError},
};
