//! tracing's events, with the spans around them, as records of this crate's logger.

use crate::error::Result;
use crate::observe::logger::{Sink, sink_or_stderr};
use log::Record;
use std::fmt::{self, Write};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record as Values};
use tracing_core::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// A layer for `tracing`'s subscribers: each event becomes a record, as if it had been logged by `log`, and goes where records of its process
/// go: standard error, or what [`log_to`](crate::log_to) has set, or [through a queue](crate::log_through).
///
/// The message is `outer{key=1}:inner: what the event says other=2`: the spans that the event is in, with their fields, then its own. In
/// a child these are also the spans that were open at the fork. Without `log_to_stderr` or `log_to` before, the layer writes to standard
/// error as `log_to_stderr` does. Which levels and targets are wanted is the subscriber's to say; `log`'s level plays no part.
///
/// What the runtime itself has to say comes through `log`, at `log`'s level.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tracing_subscriber::layer::SubscriberExt;
/// let layer = offspring::observe::ProcessLayer::new()?;
/// tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))?;
/// let span = tracing::info_span!("order", id = 7);
/// let _in_span = span.enter();
/// offspring::spawn(|| tracing::info!(items = 3, "packed"))?.join()?; // [INFO/child-1] order{id=7}: packed items=3
/// # Ok(()) }
/// ```
pub struct ProcessLayer {
    sink: &'static Sink,
}

/// The fields of a span, as text.
struct Fields(String);

impl ProcessLayer {
    /// The layer.
    ///
    /// # Errors
    /// As [`Shared::new`](crate::Shared::new).
    pub fn new() -> Result<ProcessLayer> {
        Ok(ProcessLayer { sink: sink_or_stderr()? })
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for ProcessLayer {
    fn on_new_span(&self, values: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = String::new();
            values.record(&mut Text(&mut fields));
            span.extensions_mut().insert(Fields(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Values<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(Fields(fields)) = span.extensions_mut().get_mut()
        {
            values.record(&mut Text(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut text = String::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            match extensions.get::<Fields>().map(|fields| fields.0.as_str()) {
                None | Some("") => _ = write!(text, "{}:", span.name()),
                Some(fields) => _ = write!(text, "{}{{{fields}}}:", span.name()),
            }
        }
        let mut own = String::new();
        event.record(&mut Text(&mut own));
        if !text.is_empty() && !own.is_empty() {
            text.push(' ');
        }
        text.push_str(&own);
        let about = event.metadata();
        let level = match *about.level() {
            Level::ERROR => log::Level::Error,
            Level::WARN => log::Level::Warn,
            Level::INFO => log::Level::Info,
            Level::DEBUG => log::Level::Debug,
            Level::TRACE => log::Level::Trace,
        };
        let mut record = Record::builder();
        record.level(level).target(about.target()).module_path(about.module_path());
        record.file(about.file()).line(about.line());
        self.sink.take(&record.args(format_args!("{text}")).build());
    }
}

/// Writes fields behind each other, the message first and without its name.
struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let space = if self.0.is_empty() { "" } else { " " };
            let rest = std::mem::take(self.0);
            // A string takes whatever it is given; a `Debug` that fails leaves a beginning.
            let _ = write!(self.0, "{value:?}{space}{rest}");
            return;
        }
        let space = if self.0.is_empty() { "" } else { " " };
        let _ = write!(self.0, "{space}{}={value:?}", field.name());
    }
}

impl fmt::Debug for ProcessLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessLayer").finish_non_exhaustive()
    }
}
