use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hello_proto::Retry;
use thiserror::Error;

use super::Client;
use crate::stopper::Stopper;

impl Client {
    /// Returns a builder of a client with the default [`Retry`] and no deadline.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

/// Options of a [`Client`].
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::Client;
/// use hello_proto::Retry;
///
/// let builder = Client::builder().retry(Retry::default()).deadline(Duration::from_secs(5));
/// let client = builder.connect([([127, 0, 0, 1], 9999).into()])?;
/// # Ok::<(), hello_net::ClientError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientBuilder {
    retry: Retry,
    deadline: Option<Duration>,
}

impl ClientBuilder {
    /// Sets how often a request is sent, and how long each attempt waits for a reply.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// Sets how long a greeting may take in all; `None`, the default, for as long as the attempts
    /// take.
    #[must_use]
    pub fn deadline(self, deadline: impl Into<Option<Duration>>) -> Self {
        Self { deadline: deadline.into(), ..self }
    }

    /// Makes a client of these servers: the addresses of one host, usually. Sends nothing yet, and
    /// opens a socket only for each greeting.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoAddress`] if there is none, [`ClientError::Wake`] if the system has no pairs
    /// of sockets.
    pub fn connect(
        self,
        servers: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Client, ClientError> {
        let servers = Vec::from_iter(servers);
        if servers.is_empty() {
            return Err(ClientError::NoAddress);
        }
        let stopper = Stopper::new().map_err(ClientError::Wake)?;
        Ok(Client::new(servers, self.retry, self.deadline, stopper))
    }
}

/// Why there is no client.
///
/// ```
/// use hello_net::{Client, ClientError};
///
/// assert!(matches!(Client::builder().connect([]), Err(ClientError::NoAddress)));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no server to send to.
    #[error("no address to send to")]
    NoAddress,
    /// The system has no pairs of sockets, by which a stop wakes the client.
    #[error("cannot open socket pairs for wake-ups")]
    Wake(#[source] io::Error),
}
