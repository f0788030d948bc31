//! Responses over HTTP.

use std::sync::Arc;

use super::request::Refused;
use crate::output::prometheus::text::TextFormat;

/// A response that closes the connection.
#[derive(Clone, Debug)]
pub(super) struct Response {
    status: &'static str,
    content_type: &'static str,
    pub(super) body: Arc<str>,
    headers: &'static str,
}

impl Response {
    /// Returns metrics.
    pub(super) fn metrics(format: TextFormat, body: Arc<str>) -> Self {
        Self { status: "200 OK", content_type: format.content_type(), body, headers: "" }
    }

    /// Returns whether the tool works.
    pub(super) fn health(is_healthy: bool) -> Self {
        let (status, body) = match is_healthy {
            true => ("200 OK", "healthy\n"),
            false => ("503 Service Unavailable", "no progress\n"),
        };
        Self::plain(status, body)
    }

    fn plain(status: &'static str, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into(), headers: "" }
    }

    /// Returns the bytes before the body.
    pub(super) fn head(&self) -> String {
        let Self { status, content_type, body, headers } = self;
        let len = body.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len}\r\n\
             {headers}Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
    }
}

impl From<Refused> for Response {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::BadRequest => Self::plain("400 Bad Request", "Not an HTTP/1 request.\n"),
            Refused::NotFound => Self::plain(
                "404 Not Found",
                "Nothing is here. The metrics are at /metrics, the health at /healthz.\n",
            ),
            Refused::MethodNotAllowed => Self {
                headers: "Allow: GET, HEAD\r\n",
                ..Self::plain("405 Method Not Allowed", "Use GET or HEAD.\n")
            },
            Refused::HeadTooLarge => Self::plain(
                "431 Request Header Fields Too Large",
                "The head of a request may have 8 KiB and 64 headers.\n",
            ),
        }
    }
}
