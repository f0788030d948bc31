//! Where the metrics of a run are: in a file, over HTTP, in both or nowhere.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use hello_net::ZonedAddr;

use super::output::json;
use crate::output::Format;
use crate::output::console::{self, Console};
use crate::output::prometheus::families::MetricFamilies;
use crate::output::prometheus::file::TextfileError;
use crate::output::prometheus::http::{ListenError, MetricsListener, MetricsServer};
use crate::output::prometheus::source::Published;
use crate::output::prometheus::writer::Textfile;
use crate::output::style::Color;

/// The places where the metrics of a run are.
#[derive(Debug)]
pub struct MetricsOutputs {
    file: Option<Textfile>,
    http: Option<(Arc<Published>, MetricsServer)>,
}

impl MetricsOutputs {
    /// Writes the first metrics to `file`, and serves them at `address`.
    ///
    /// # Errors
    ///
    /// Returns the error for standard error.
    pub(crate) fn start(
        file: Option<&Path>,
        address: Option<SocketAddr>,
        families: impl Fn() -> MetricFamilies,
    ) -> Result<Self, Box<dyn Error>> {
        let serve = |address| {
            let published = Arc::new(Published::new(families()));
            let server = MetricsListener::bind(address)?.serve(Arc::clone(&published))?;
            Ok((published, server))
        };
        let http = address.map(serve).transpose().map_err(ListenError::explain)?;
        let file = file.map(|path| Textfile::start(path, families().into_text())).transpose()?;
        Ok(Self { file, http })
    }

    /// Returns whether the metrics are anywhere.
    pub fn are_wanted(&self) -> bool {
        self.file.is_some() || self.http.is_some()
    }

    /// Prints the address where the metrics are served, if they are. In text, standard output looks
    /// like ping's, so standard error has it.
    pub fn announce(&self, format: Format, color: Color, out: &Console) {
        if let Some((_, server)) = &self.http {
            announce(server, format, color, out);
        }
    }

    /// Replaces the metrics. Call it about every second. A failed write is tried again with the next
    /// ones.
    pub fn publish(&self, families: impl Fn() -> MetricFamilies) {
        if let Some((published, _)) = &self.http {
            published.publish(families());
        }
        if let Some(file) = &self.file {
            file.write(families().into_text());
        }
    }

    /// Writes the last metrics to the file, and waits like [`Textfile::finish`].
    pub(crate) fn finish(
        &self,
        families: impl Fn() -> MetricFamilies,
    ) -> Result<(), TextfileError> {
        self.file.as_ref().map_or(Ok(()), |file| file.finish(families().into_text()))
    }
}

/// Prints the address where metrics are served, on standard error in text.
pub(crate) fn announce(server: &MetricsServer, format: Format, color: Color, out: &Console) {
    let address = server.local_addr();
    match format {
        Format::Text => {
            let address = ZonedAddr(address);
            let line = format!("hello-ping: metrics at http://{address}/metrics");
            console::warn(color, &line);
        }
        Format::Json => out.line(json::metrics::serving(address)),
    }
}
