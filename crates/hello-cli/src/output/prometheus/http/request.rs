//! Requests over HTTP, and what they ask for.

use httparse::{EMPTY_HEADER, Error, Header, Request as Head, Status};

use crate::output::prometheus::text::TextFormat;

/// What a client requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Whether the client wants only the head of the response (HEAD).
    pub(super) is_head: bool,
    pub(super) resource: Resource,
}

/// What is there to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Metrics(TextFormat),
    Health,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not HTTP/1.
    BadRequest,
    /// There is no such resource.
    NotFound,
    /// The resource can only be read.
    MethodNotAllowed,
    /// The head is longer than [`MAX_HEAD`], or has more headers than [`MAX_HEADERS`].
    HeadTooLarge,
}

/// The longest head of a request, in bytes.
pub(super) const MAX_HEAD: usize = 8192;

/// The most headers of a request.
const MAX_HEADERS: usize = 64;

/// Parses the start of a connection. Returns `None` while the head of the request is not complete.
pub(super) fn parse(bytes: &[u8]) -> Option<Result<Request, Refused>> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut head = Head::new(&mut headers);
    match head.parse(bytes) {
        Ok(Status::Complete(_)) => Some(request(&head)),
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => None,
        Ok(Status::Partial) | Err(Error::TooManyHeaders) => Some(Err(Refused::HeadTooLarge)),
        Err(_) => Some(Err(Refused::BadRequest)),
    }
}

fn request(head: &Head<'_, '_>) -> Result<Request, Refused> {
    let values = |name: &'static str| {
        let has_name = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
        head.headers.iter().filter(has_name).map(|header| header.value)
    };
    // Required of HTTP/1.1 by RFC 9112, section 3.2.
    if head.version == Some(1) && values("host").count() != 1 {
        return Err(Refused::BadRequest);
    }
    let resource = match path(head.path.unwrap_or_default()) {
        "/metrics" => Resource::Metrics(negotiate(values("accept"))),
        "/healthz" => Resource::Health,
        _ => return Err(Refused::NotFound),
    };
    match head.method {
        Some("GET") => Ok(Request { is_head: false, resource }),
        Some("HEAD") => Ok(Request { is_head: true, resource }),
        _ => Err(Refused::MethodNotAllowed),
    }
}

/// Returns the path of a target, which is also the whole of a URL if the client takes this for a proxy
/// (RFC 9112, section 3.2.2).
fn path(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find('/').map_or("/", |start| &rest[start..])
        }
        _ => target,
    };
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// Chooses a format by the values of `Accept` (RFC 9110, section 12.5.1): OpenMetrics if the client
/// prefers it, and Prometheus' own otherwise, also for a client that accepts neither.
fn negotiate<'a>(accept: impl Iterator<Item = &'a [u8]>) -> TextFormat {
    let (mut openmetrics, mut prometheus) = (0.0_f32, 0.0_f32);
    for range in accept.filter_map(|value| str::from_utf8(value).ok()).flat_map(|v| v.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut version) = (1.0, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match &*name.trim().to_ascii_lowercase() {
                "q" => weight = value.trim().parse().unwrap_or(0.0),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        match (&*media, version) {
            ("application/openmetrics-text", None | Some("1.0.0")) => {
                openmetrics = openmetrics.max(weight);
            }
            ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => {
                prometheus = prometheus.max(weight);
            }
            _ => {}
        }
    }
    if openmetrics > 0.0 && openmetrics >= prometheus {
        TextFormat::OpenMetrics
    } else {
        TextFormat::Prometheus
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<Result<Request, Refused>> {
        parse(text.as_bytes())
    }

    #[test]
    fn metrics_and_health_can_be_read_and_nothing_else() {
        use Refused::{BadRequest, MethodNotAllowed, NotFound};
        let metrics = Resource::Metrics(TextFormat::Prometheus);
        for (line, expected) in [
            ("GET /metrics HTTP/1.1", Ok((false, metrics))),
            ("HEAD /metrics HTTP/1.1", Ok((true, metrics))),
            ("GET /metrics?debug=1 HTTP/1.1", Ok((false, metrics))),
            ("GET http://192.0.2.1:9990/metrics HTTP/1.1", Ok((false, metrics))),
            ("GET /healthz HTTP/1.0", Ok((false, Resource::Health))),
            ("HEAD /healthz HTTP/1.1", Ok((true, Resource::Health))),
            ("POST /metrics HTTP/1.1", Err(MethodNotAllowed)),
            ("DELETE /healthz HTTP/1.1", Err(MethodNotAllowed)),
            ("POST /other HTTP/1.1", Err(NotFound)),
            ("GET / HTTP/1.1", Err(NotFound)),
            ("GET http://192.0.2.1 HTTP/1.1", Err(NotFound)),
            ("GET /metrics/ HTTP/1.1", Err(NotFound)),
            ("GET /METRICS HTTP/1.1", Err(NotFound)),
            ("GET /x://y/metrics HTTP/1.1", Err(NotFound)),
            ("OPTIONS * HTTP/1.1", Err(NotFound)),
            ("GET /metrics HTTP/2.0", Err(BadRequest)),
            ("GET /metrics", Err(BadRequest)),
            ("Hello, Tracy!", Err(BadRequest)),
            ("\u{16}\u{3}\u{1}", Err(BadRequest)),
        ] {
            let request = parsed(&format!("{line}\r\nHost: a\r\n\r\n"));
            let expected = expected.map(|(is_head, resource)| Request { is_head, resource });
            assert_eq!(request, Some(expected), "{line}");
        }
    }

    #[test]
    fn http_1_1_needs_one_host() {
        for (headers, is_good) in [("", false), ("Host: a\r\n", true), ("host:\r\n", true)] {
            let request = parsed(&format!("GET /healthz HTTP/1.1\r\n{headers}\r\n"));
            assert_eq!(request.map(|request| request.is_ok()), Some(is_good), "{headers}");
        }
        let twice = parsed("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
        assert_eq!(twice, Some(Err(Refused::BadRequest)));
        assert!(parsed("GET /healthz HTTP/1.0\r\n\r\n").is_some_and(|request| request.is_ok()));
    }

    #[test]
    fn openmetrics_is_for_those_who_prefer_it() {
        for (accept, expected) in [
            // Prometheus 2.42 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=\
                 0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/\
                 openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8\
                 ;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                true,
            ),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\" ; Q=0.1, application/json", true),
            ("", false),
            ("*/*", false),
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", false),
            ("text/html, application/xhtml+xml, */*;q=0.8", false),
            ("application/openmetrics-text;q=0.3, text/*;q=0.4", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=x", false),
            ("application/openmetrics-text;version=0.0.1", false),
            ("application/json", false),
        ] {
            let format = if expected { TextFormat::OpenMetrics } else { TextFormat::Prometheus };
            assert_eq!(negotiate([accept.as_bytes()].into_iter()), format, "{accept}");
        }
        let several = [&b"text/plain;q=0.5"[..], b"application/openmetrics-text", b"\xff"];
        assert_eq!(negotiate(several.into_iter()), TextFormat::OpenMetrics);
    }

    #[test]
    fn head_is_bounded_in_bytes_and_in_headers() {
        let start = "GET /metrics HTTP/1.1\r\nHost: a\r\n";
        let long = format!("{start}X: {}", "x".repeat(MAX_HEAD));
        assert_eq!(parsed(&long[..MAX_HEAD - 1]), None);
        assert_eq!(parsed(&long[..MAX_HEAD]), Some(Err(Refused::HeadTooLarge)));
        let many = |count| format!("{start}{}\r\n", "X: y\r\n".repeat(count));
        assert!(matches!(parsed(&many(MAX_HEADERS - 1)), Some(Ok(_))));
        assert_eq!(parsed(&many(MAX_HEADERS)), Some(Err(Refused::HeadTooLarge)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            text in "(GET|HEAD|PUT) [ -~]{0,30} HTTP/1\\.[01]\r\n(Accept: [ -~\u{e9}]{0,30}\r\n){0,3}\r\n",
        ) {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }
    }
}
