//! A log record on its way from one process to another.

use crate::observe::logger::{process_name, sink};
use crate::process::ProcessInfo;
use crate::sys::signal;
use log::{Level, Record, RecordBuilder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A log record of a process below, as [`log_through`](crate::log_through) brings it: with the name and the pid of that process, and the time.
///
/// `Display` gives `name (pid 12) 19:45:12.345678Z: message`, the time in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// 1 (error) to 5 (trace).
    level: u8,
    target: String,
    message: String,
    module: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    process: ProcessInfo,
    /// Since 1970.
    time: Duration,
}

impl LogRecord {
    /// Of this process, now.
    pub(super) fn of(record: &Record<'_>) -> LogRecord {
        LogRecord {
            level: record.level() as u8,
            target: record.target().to_owned(),
            message: record.args().to_string(),
            module: record.module_path().map(str::to_owned),
            file: record.file().map(str::to_owned),
            line: record.line(),
            process: ProcessInfo::new(signal::pid(), process_name()),
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// Its level.
    pub fn level(&self) -> Level {
        Level::iter().find(|level| *level as u8 == self.level).unwrap_or(Level::Error)
    }

    /// Its target: the module, unless the record said otherwise.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What it says.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The file and the line in the source, if they are known.
    pub fn location(&self) -> Option<(&str, u32)> {
        self.file.as_deref().zip(self.line)
    }

    /// Which process logged it. At most 32 bytes of the name are kept.
    pub fn process(&self) -> &ProcessInfo {
        &self.process
    }

    /// When it was logged, by the machine's clock.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + self.time
    }

    /// Gives it to this process's own logger, the one that [`log_to_stderr`](crate::log_to_stderr) or [`log_to`](crate::log_to) has set:
    /// standard error as if it had been logged here under the name of its process, another logger with the `Display` of this as its message.
    /// Nothing happens where neither was called.
    pub fn forward(&self) {
        if let Some(sink) = sink() {
            sink.take_from(self);
        }
    }

    /// All but the message.
    pub(super) fn builder(&self) -> RecordBuilder<'_> {
        let mut builder = Record::builder();
        builder
            .level(self.level())
            .target(&self.target)
            .module_path(self.module.as_deref())
            .file(self.file.as_deref())
            .line(self.line);
        builder
    }
}

impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.time.as_secs(), self.time.subsec_micros());
        let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
        write!(f, "{} {hours:02}:{minutes:02}:{:02}.{micros:06}Z: ", self.process, seconds % 60)?;
        f.write_str(&self.message)
    }
}
