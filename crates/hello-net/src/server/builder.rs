use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use hello_proto::Guard;

use super::event::EventFilter;
use super::listener::{Listener, Options};
use super::rate_limit::{RateLimit, SharedLimiter};
use super::worker::ServerWorker;
use super::{Server, ServerError};
use crate::sys::socket::{PortSharing, is_shared};
use crate::udp::backend::Backend;
use crate::xdp::driver::{Driver, DriverPlan};

impl Server {
    /// Returns a builder of a server with every rule of the default [`Guard`] and the default
    /// [`RateLimit`].
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }
}

/// Options of a [`Server`].
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::Server;
///
/// let builder = Server::builder().workers(2.try_into().expect("not zero")).reuse_port(true);
/// let server = builder.spin(Duration::from_micros(50)).bind([([127, 0, 0, 1], 0).into()])?;
/// assert_eq!(server.local_addrs().count(), 1);
/// # Ok::<(), hello_net::ServerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerBuilder {
    guard: Guard,
    options: Options,
    workers: NonZeroUsize,
    reuse_port: bool,
    spin: Duration,
    filter: EventFilter,
    limit: Option<RateLimit>,
    xdp: Vec<String>,
}

impl ServerBuilder {
    /// Sets the guard, which decides what may be answered.
    #[must_use]
    pub fn guard(self, guard: Guard) -> Self {
        Self { guard, ..self }
    }

    /// Sets the rate limit of each source network; [`RateLimit::default`] by default. `None`
    /// switches it off.
    #[must_use]
    pub fn rate_limit(self, limit: impl Into<Option<RateLimit>>) -> Self {
        Self { limit: limit.into(), ..self }
    }

    /// Sets the system calls that receive and send.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.options.backend = backend;
        self
    }

    /// Sets the number of threads that serve each address; one by default.
    #[must_use]
    pub fn workers(self, workers: NonZeroUsize) -> Self {
        Self { workers, ..self }
    }

    /// Gives each worker a socket of its own (SO_REUSEPORT, socket(7)) instead of one that all
    /// workers of an address share. The system then distributes the sources among them, so that one
    /// busy source keeps only one worker busy.
    ///
    /// An address that is already bound is still an error. Once the server is bound, though, other
    /// processes of the same user can bind its address with the same option, and take some of the
    /// sources away.
    ///
    /// A broadcast or multicast address is still served by one socket, because the system would
    /// give a copy to each of several.
    #[must_use]
    pub fn reuse_port(self, reuse_port: bool) -> Self {
        Self { reuse_port, ..self }
    }

    /// Sets how long a worker without datagrams busy-polls its socket before it waits; not at all
    /// by default.
    ///
    /// It makes replies faster, and takes the processor for up to that time after each.
    #[must_use]
    pub fn spin(self, spin: Duration) -> Self {
        Self { spin, ..self }
    }

    /// Sets which datagrams are shown to the observer: all by default.
    #[must_use]
    pub fn events(self, filter: EventFilter) -> Self {
        Self { filter, ..self }
    }

    /// Sets the size of each socket's receive buffer, in bytes, which holds datagrams that were not
    /// received yet. By default it is enlarged to [`Server::RECEIVE_BUFFER`].
    ///
    /// [`Server::receive_buffer`] returns what the system granted. Linux grants no more than
    /// `net.core.rmem_max`, unless this process may configure the network (CAP_NET_ADMIN).
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.options.receive_buffer = Some(bytes);
        self
    }

    /// Sets the size of each socket's send buffer, in bytes. By default it is enlarged to
    /// [`Server::SEND_BUFFER`].
    ///
    /// Replies to neighbours that do not exist wait in it for address resolution, for seconds, and
    /// while it is full no reply leaves. [`Server::send_buffer`] returns what the system granted:
    /// on Linux, no more than `net.core.wmem_max`, unless this process may configure the network
    /// (CAP_NET_ADMIN).
    ///
    /// On Linux, a socket that [`bind`](Self::bind) opens beyond the loopback without
    /// [`reuse_port`](Self::reuse_port) gets 32 spares when its buffer is full for the first time.
    /// They are sockets at the same address, each of which sends to some networks while the buffer
    /// is full. There are none if descriptors run out.
    #[must_use]
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.options.send_buffer = Some(bytes);
        self
    }

    /// Also answers in the drivers of these network interfaces (XDP), before a request reaches a socket;
    /// see [`Server::xdp_interfaces`]. It needs Linux 5.19, CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
    ///
    /// Only plain requests are answered there, and those that exceed the rate limit are dropped; all
    /// others reach the sockets. Observers are not shown what is answered there. A network gets its
    /// limit from the drivers and from the sockets, each.
    ///
    /// ```no_run
    /// use hello_net::Server;
    ///
    /// let server = Server::builder().xdp(["eth0"]).bind([([0, 0, 0, 0], 9999).into()])?;
    /// // Before other threads are started, which would keep the capabilities.
    /// server.give_up_xdp_capabilities()?;
    /// for interface in server.xdp_interfaces() {
    ///     println!("{}: {:?}", interface.name, interface.state);
    /// }
    /// server.serve(|event| println!("at a socket: {event:?}"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn xdp(self, interfaces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { xdp: interfaces.into_iter().map(Into::into).collect(), ..self }
    }

    /// Opens the sockets for each address. Port 0 lets the system choose a free one. `[::]` is
    /// every IPv6 address of this machine, and no IPv4 address.
    ///
    /// A server bound to `[::]` or `0.0.0.0` answers from the address that the request was sent to.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoAddress`] if there is none, [`ServerError::Bind`] for the first that cannot
    /// be bound.
    pub fn bind(
        self,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Server, ServerError> {
        let open = |address, sharing| {
            let listener = Listener::bind(address, sharing, self.options, &self.guard);
            listener.map(Arc::new).map_err(|source| ServerError::Bind { address, source })
        };
        let mut groups = Vec::new();
        for address in addresses {
            let several = self.reuse_port && !is_shared(address.ip());
            let sharing = if several { PortSharing::ReuseFirst } else { PortSharing::Exclusive };
            let mut group = vec![open(address, sharing)?];
            for _ in 1..self.workers.get() {
                group.push(match several {
                    true => open(group[0].local(), PortSharing::Reuse)?,
                    false => Arc::clone(&group[0]),
                });
            }
            groups.push(group);
        }
        self.server(&groups)
    }

    /// Takes over sockets that somebody else bound, such as a supervisor that keeps them open while
    /// servers come and go. What is sent meanwhile waits in them, and nothing is lost. All workers
    /// of an address share its socket.
    ///
    /// An IPv6 socket that also accepts IPv4 is served as such. When the server is dropped, each
    /// socket gets its former options back, except for the sizes of its buffers.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoAddress`] if there is none, [`ServerError::Adopt`] for the first that
    /// cannot be served, such as one that is not bound.
    pub fn adopt(
        self,
        sockets: impl IntoIterator<Item = UdpSocket>,
    ) -> Result<Server, ServerError> {
        let mut groups = Vec::new();
        for socket in sockets {
            let address = socket.local_addr().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
            let listener = Listener::adopt(socket, self.options, &self.guard);
            let mut listener = listener.map_err(|source| ServerError::Adopt { address, source })?;
            // Of several sockets at one address, each gets a copy of a broadcast or multicast
            // datagram.
            if groups.iter().any(|group: &Vec<Arc<Listener>>| group[0].local() == listener.local())
            {
                listener = listener.without_shared();
            }
            let listener = Arc::new(listener);
            groups.push(vec![listener; self.workers.get()]);
        }
        self.server(&groups)
    }

    /// Makes a server of the sockets of each address, one for each worker; they may be the same.
    fn server(self, groups: &[Vec<Arc<Listener>>]) -> Result<Server, ServerError> {
        let locals = Vec::from_iter(groups.iter().map(|group| group[0].local()));
        if locals.is_empty() {
            return Err(ServerError::NoAddress);
        }
        let plain = groups.iter().filter(|group| !group[0].is_restricted());
        let driver = self.driver(plain.map(|group| group[0].local()).collect())?;
        let limiter = self.limit.map(|limit| Arc::new(SharedLimiter::new(limit)));
        let mut listeners = groups.concat();
        let worker =
            |listener| ServerWorker::new(listener, self.spin, limiter.clone(), self.filter);
        let workers = listeners.iter().cloned().map(worker).collect();
        listeners.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let server = Server::new(self.guard, locals, listeners, workers);
        Ok(server.map_err(ServerError::Wake)?.with_driver(driver))
    }

    /// Answers in drivers, if there are interfaces to do that.
    fn driver(&self, bound: Vec<SocketAddr>) -> Result<Option<Driver>, ServerError> {
        if self.xdp.is_empty() {
            return Ok(None);
        }
        let driver = Driver::open(DriverPlan {
            interfaces: self.xdp.clone(),
            bound,
            max_name_len: self.guard.max_name_len(),
            limit: self.limit.as_ref().map(RateLimit::in_driver),
        });
        driver.map(Some).map_err(ServerError::Xdp)
    }
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            guard: Guard::default(),
            options: Options::default(),
            workers: NonZeroUsize::MIN,
            reuse_port: false,
            spin: Duration::ZERO,
            filter: EventFilter::default(),
            limit: Some(RateLimit::default()),
            xdp: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_on_until_it_is_switched_off() {
        assert_eq!(ServerBuilder::default().limit, Some(RateLimit::default()));
        assert_eq!(ServerBuilder::default().rate_limit(None).limit, None);
        let other = RateLimit::default().dry_run(true);
        assert_eq!(ServerBuilder::default().rate_limit(other.clone()).limit, Some(other));
    }
}
