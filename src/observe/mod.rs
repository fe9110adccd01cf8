#![doc = include_str!("README.md")]

mod logger;
mod record;
mod relay;
#[cfg(feature = "tracing")]
mod spans;

pub use self::logger::{log_to, log_to_stderr};
pub use self::record::LogRecord;
pub use self::relay::{LogRelay, log_through};
#[cfg(feature = "tracing")]
pub use self::spans::ProcessLayer;
