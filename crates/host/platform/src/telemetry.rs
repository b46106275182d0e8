//! Log events for people (text) and machines (JSON lines), on stderr; and what the process itself weighs.

use std::fs;
use std::io::{self, IsTerminal};
use std::panic;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::clock::Clock;
use crate::metrics::Metrics;

/// How log events are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// A line of text for people.
    #[default]
    Text,
    /// A JSON object a line for machines.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none.
    #[error(
        "{text:?} is no log level: use error, warn, info, debug or trace, or `info,smtp=debug`: {reason}"
    )]
    Level {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Logging is set up already.
    #[error("logging is set up already")]
    Twice,
}

/// Logging that is set up; changes its level while running.
#[derive(Clone, Debug)]
pub struct Logging(reload::Handle<EnvFilter, Registry>);

/// Sets up logging for the whole process: events from `level` on (such as `info`, or `info,mta=debug`; the lowest
/// one wins for each part) go to stderr, and panics become events too.
///
/// # Errors
/// [`TelemetryError`].
pub fn start_logging(format: LogFormat, level: &str) -> Result<Logging, TelemetryError> {
    let (filter, handle) = reload::Layer::new(parse_level(level)?);
    let events = event_layer(format, io::stderr().is_terminal(), io::stderr);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(filter).with(events))
        .map_err(|_| TelemetryError::Twice)?;
    log_panics();
    Ok(Logging(handle))
}

impl Logging {
    /// Changes the level, for a reload of the settings.
    ///
    /// # Errors
    /// [`TelemetryError::Level`].
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        let filter = parse_level(level)?;
        // Fails only when the subscriber is gone, and with it everything to filter.
        let _ = self.0.reload(filter);
        Ok(())
    }
}

/// Parts that warn of everything strangers send them: whoever answers our questions would fill the log. What matters
/// of it is told by the rooms that ask. A level that names one of them is heeded.
const TALKATIVE: &str = "hickory_net=error,hickory_proto=error,hickory_resolver=error";

fn parse_level(text: &str) -> Result<EnvFilter, TelemetryError> {
    let is_asked_for = text.is_empty() || text.contains("hickory");
    let directives = if is_asked_for { text.to_owned() } else { format!("{text},{TALKATIVE}") };
    EnvFilter::builder()
        .parse(directives)
        .map_err(|error| TelemetryError::Level { text: text.to_owned(), reason: error.to_string() })
}

/// How events are written, and where. Control characters from strangers are escaped, so that nobody forges a line
/// of our log or plays with the terminal that shows it; JSON does so by itself.
fn event_layer<S, W, M>(format: LogFormat, ansi: bool, writer: M) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: io::Write + 'static,
    M: Fn() -> W + Send + Sync + 'static,
{
    match format {
        LogFormat::Text => {
            let one_line = move || OneLine { writer: writer(), ansi };
            fmt::layer().with_ansi(ansi).with_writer(one_line).boxed()
        }
        LogFormat::Json => fmt::layer()
            .with_writer(writer)
            .with_ansi(false)
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    }
}

/// Writes each event, which comes as one piece with a line feed at its end, as one line.
struct OneLine<W> {
    writer: W,
    /// Colours are escape sequences; the formatter has then already made strangers' ones harmless.
    ansi: bool,
}

impl<W: io::Write> io::Write for OneLine<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(octets);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut shown = String::with_capacity(line.len() + 1);
        for character in line.chars() {
            if character.is_control() && !(self.ansi && character == '\x1b') {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        shown.push('\n');
        self.writer.write_all(shown.as_bytes())?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A panic becomes an event with its place; the supervisor adds which task it was.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = info.payload_as_str().unwrap_or("(no text)");
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("(no name)");
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(place, thread, %backtrace, "panic: {text}");
    }));
}

/// Registers what the process itself weighs: memory, open files, uptime.
pub fn register_process(metrics: &Metrics, clock: &Clock) {
    metrics.gauge_read("process_resident_memory_bytes", "Memory held in RAM, in octets.", &[], || {
        octets_resident().unwrap_or(0) as f64
    });
    metrics.gauge_read("process_open_fds", "Open file descriptors.", &[], || {
        // The directory itself is open while it is counted.
        fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1)) as f64
    });
    let start = clock.now().unix_millis() as f64 / 1000.0;
    metrics.gauge_read(
        "process_start_time_seconds",
        "When the process began, in seconds since 1970.",
        &[],
        move || start,
    );
    let (clock, begin) = (clock.clone(), clock.monotonic());
    metrics.gauge_read("mailstead_uptime_seconds", "How long the process runs.", &[], move || {
        clock.monotonic().since(begin).as_secs_f64()
    });
}

/// Octets of this process that lie in memory (proc_pid_statm(5)); `None` where the system does not tell.
#[must_use]
pub fn octets_resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_do_not_fill_the_log_through_a_library() {
        assert!(parse_level("info").unwrap().to_string().contains("hickory_net=error"));
        assert!(parse_level("info,mta=debug").unwrap().to_string().contains("mta=debug"));
        assert!(parse_level("info,hickory_net=debug").unwrap().to_string().contains("hickory_net=debug"));
    }
    use std::sync::Arc;

    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, level: &str, log: impl FnOnce()) -> String {
        let paper = Paper::default();
        let writer = paper.clone();
        let layer = event_layer(format, false, move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(parse_level(level).unwrap()).with(layer);
        tracing::subscriber::with_default(subscriber, log);
        let octets = paper.0.lock().clone();
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn text_is_one_line_without_colour_and_cannot_be_forged() {
        let text = written(LogFormat::Text, "info", || {
            let helo = "evil\r\n2026-01-01 INFO forged\x1b[2J";
            tracing::info!(connection = 7, ?helo, name = %helo, "greeting {helo}");
            tracing::debug!("too quiet to be written");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("greeting evil\\r\\n2026") && text.contains("connection=7"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = written(LogFormat::Json, "info", || {
            tracing::warn!(connection = 7, helo = "evil\r\n{\"forged\"", "greeting");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with('{') && text.ends_with("}\n"), "{text}");
        assert!(text.contains(r#""message":"greeting""#) && text.contains(r#""connection":7"#), "{text}");
    }

    #[test]
    fn a_level_can_be_set_for_one_room() {
        let text = written(LogFormat::Text, "warn,mta=debug", || {
            tracing::debug!(target: "mta", "shown");
            tracing::info!(target: "access", "hidden");
        });
        assert!(text.contains("shown") && !text.contains("hidden"), "{text}");
        assert!(matches!(parse_level("loud=noise"), Err(TelemetryError::Level { .. })));
    }

    #[test]
    fn the_process_weighs_something() {
        let metrics = Metrics::new();
        register_process(&metrics, &Clock::system());
        let text = metrics.render();
        for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            let value: f64 = line.split(' ').nth(1).unwrap().parse().unwrap();
            assert!(value > 0.0, "{line}");
        }
    }
}
