//! The fork server: a small process that forks children for a big one, or for one with threads.
//!
//! [`handle`] is the client's side, [`server`] the server's, [`landing`] the child's; [`order`] is what they say to each other.
//! The picture, the deaths and what closes them are in the folder's README above.

mod error;
mod handle;
mod landing;
mod order;
mod server;

pub use error::SpawnError;
pub use handle::ForkServer;
