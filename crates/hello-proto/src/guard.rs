use core::net::{IpAddr, SocketAddr};

use thiserror::Error;

use crate::{MAX_NAME_LEN, PREFIX, Request};

/// Decides which datagrams to answer, from their addresses and bytes alone.
///
/// A reply is itself a valid request. With one spoofed datagram, an attacker could make two servers
/// greet each other for ever, or point a server at a service that answers anything. The guard refuses
/// what such a loop needs. Each rule is a [`Refusal`], and is on unless [allowed](Self::allow).
///
/// ```
/// use hello_proto::{Guard, Refusal};
/// # use core::net::SocketAddr;
/// # let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
///
/// let guard = Guard::new();
/// let local = address("192.0.2.1:9999");
///
/// let request = guard.check(address("198.51.100.7:40001"), local, b"Tracy")?;
/// assert_eq!(request.name(), b"Tracy");
///
/// let refused = guard.check(address("198.51.100.7:53"), local, b"Tracy");
/// assert_eq!(refused, Err(Refusal::SourcePortPrivileged));
/// # Ok::<(), Refusal>(())
/// ```
///
/// # How a loop ends
///
/// - With other servers, echo services and relays, it ends after two replies: the third request would
///   start with the prefix twice ([`Refusal::GreetedTwice`]).
/// - With any peer that never shortens a datagram, it ends after `max_name_len / OVERHEAD + 1` replies:
///   each is [`OVERHEAD`](crate::OVERHEAD) bytes longer than the last ([`Refusal::NameTooLong`]).
/// - With a peer that removes the prefix and shortens the rest, these rules do not end it. The rules on
///   source ports keep out the known services that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// At most [`MAX_NAME_LEN`].
    max_name_len: usize,
    /// One bit for each allowed `Refusal`, by its discriminant.
    allowed: u16,
}

impl Guard {
    /// The default of the longest name answered, in bytes: the buffer of the tutorial server.
    pub const DEFAULT_MAX_NAME_LEN: usize = 1024;

    /// Returns a guard with every rule on and [`DEFAULT_MAX_NAME_LEN`](Self::DEFAULT_MAX_NAME_LEN).
    pub const fn new() -> Self {
        Self { max_name_len: Self::DEFAULT_MAX_NAME_LEN, allowed: 0 }
    }

    /// Sets the longest name answered, in bytes. Longer names are refused, never truncated. Above
    /// [`MAX_NAME_LEN`] it has no effect, because no reply would fit a datagram.
    #[must_use]
    pub const fn with_max_name_len(self, max_name_len: usize) -> Self {
        let is_possible = max_name_len < MAX_NAME_LEN;
        Self { max_name_len: if is_possible { max_name_len } else { MAX_NAME_LEN }, ..self }
    }

    /// Disables one rule.
    ///
    /// Without [`Refusal::NameTooLong`] the limit is [`MAX_NAME_LEN`].
    #[must_use]
    pub const fn allow(self, refusal: Refusal) -> Self {
        Self { allowed: self.allowed | refusal.bit(), ..self }
    }

    /// Decides whether `datagram`, received from `source` at the address `local`, is answered.
    ///
    /// IPv4-mapped IPv6 addresses count as IPv4 addresses. If `local.ip()` is unspecified, as for a
    /// wildcard socket that does not know the destination, no rule on the destination applies.
    ///
    /// # Errors
    ///
    /// The first [`Refusal`], in the order of [`Refusal::ALL`], that applies and is not allowed.
    pub fn check<'a>(
        &self,
        source: SocketAddr,
        local: SocketAddr,
        datagram: &'a [u8],
    ) -> Result<Request<'a>, Refusal> {
        self.check_addresses(source, local)?;
        self.check_name(datagram)
    }

    /// Checks the addresses alone, the first half of [`check`](Self::check). Call it once for all
    /// datagrams of one source in a batch.
    ///
    /// # Errors
    ///
    /// The first [`Refusal`] caused by the addresses.
    pub fn check_addresses(&self, source: SocketAddr, local: SocketAddr) -> Result<(), Refusal> {
        self.check_source(source, local.port())?;
        self.check_destination(local.ip())
    }

    /// Checks the source address alone, for a server at this port: the first half of
    /// [`check_addresses`](Self::check_addresses).
    ///
    /// # Errors
    ///
    /// The first [`Refusal`] caused by the source.
    #[inline]
    pub fn check_source(&self, source: SocketAddr, local_port: u16) -> Result<(), Refusal> {
        let port = source.port();
        if port < 1024 || is_reflector(port) || port == local_port {
            self.check_service_port(port, local_port)?;
        }
        match Kind::of(source.ip()) {
            Kind::Host => Ok(()),
            kind => self.check_special_source(kind),
        }
    }

    /// Checks the source port of a service.
    #[cold]
    fn check_service_port(&self, port: u16, local_port: u16) -> Result<(), Refusal> {
        self.refuse_if(Refusal::SourcePortZero, port == 0)?;
        self.refuse_if(Refusal::SourcePortPrivileged, (1..1024).contains(&port))?;
        self.refuse_if(Refusal::SourcePortReflector, is_reflector(port))?;
        self.refuse_if(Refusal::SourcePortOwn, port == local_port)
    }

    /// Checks a source address that is no host's.
    #[cold]
    fn check_special_source(&self, kind: Kind) -> Result<(), Refusal> {
        self.refuse_if(Refusal::SourceUnspecified, kind == Kind::Unspecified)?;
        self.refuse_if(Refusal::SourceMulticast, kind == Kind::Multicast)?;
        self.refuse_if(Refusal::SourceBroadcast, kind == Kind::Broadcast)
    }

    /// Checks the destination address alone, the second half of
    /// [`check_addresses`](Self::check_addresses). If it is unspecified, as for a wildcard socket that
    /// does not know it, no rule applies.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] caused by the destination.
    #[inline]
    pub fn check_destination(&self, address: IpAddr) -> Result<(), Refusal> {
        let kind = Kind::of(address);
        self.refuse_if(Refusal::DestinationMulticast, kind == Kind::Multicast)?;
        self.refuse_if(Refusal::DestinationBroadcast, kind == Kind::Broadcast)
    }

    /// Checks the name alone, the second half of [`check`](Self::check).
    ///
    /// # Errors
    ///
    /// The first [`Refusal`] caused by the name.
    #[inline]
    pub fn check_name<'a>(&self, datagram: &'a [u8]) -> Result<Request<'a>, Refusal> {
        if datagram.len() > self.max_name_len {
            return self.check_long_name(datagram);
        }
        self.refuse_if(Refusal::GreetedTwice, starts_with_prefix_twice(datagram))?;
        Ok(Request::of_short(datagram))
    }

    /// Checks a name that is longer than the limit.
    #[cold]
    fn check_long_name<'a>(&self, datagram: &'a [u8]) -> Result<Request<'a>, Refusal> {
        self.refuse_if(Refusal::NameTooLong, true)?;
        self.refuse_if(Refusal::GreetedTwice, starts_with_prefix_twice(datagram))?;
        Request::decode(datagram).map_err(|_too_long| Refusal::NameTooLong)
    }

    /// Checks names of equal length that stand side by side, as in a message that the system did not
    /// segment (UDP_GRO, udp(7)). Returns the result for the first one, and the number of names that
    /// share it, from the first one on; 0 if there is no name. The length is checked once for all.
    ///
    /// ```
    /// use hello_proto::{Guard, Refusal};
    ///
    /// let names = b"Michael, JacksonHello, Hello, M!Hello, Michael!!";
    /// let guard = Guard::new();
    /// assert_eq!(guard.check_names(names, 16), (Ok(()), 1));
    /// assert_eq!(guard.check_names(&names[16..], 16), (Err(Refusal::GreetedTwice), 1));
    /// assert_eq!(guard.check_names(&names[32..], 16), (Ok(()), 1));
    /// assert_eq!(guard.check_names(names, 8), (Ok(()), 6));
    /// ```
    ///
    /// # Panics
    ///
    /// If `len` is 0.
    pub fn check_names(&self, names: &[u8], len: usize) -> (Result<(), Refusal>, usize) {
        let mut names = names.chunks_exact(len);
        let Some(first) = names.next() else { return (Ok(()), 0) };
        let result = self.check_name(first).map(drop);
        if len < 2 * PREFIX.len() {
            return (result, 1 + names.len());
        }
        let greeted_twice = starts_with_prefix_twice(first);
        let alike = names.take_while(|name| starts_with_prefix_twice(name) == greeted_twice);
        (result, 1 + alike.count())
    }

    /// Returns the longest name that this guard accepts, in bytes.
    pub const fn max_name_len(&self) -> usize {
        if self.refuses(Refusal::NameTooLong) { self.max_name_len } else { MAX_NAME_LEN }
    }

    /// Returns whether a rule is on.
    pub const fn refuses(&self, refusal: Refusal) -> bool {
        self.allowed & refusal.bit() == 0
    }

    /// Refuses if a rule applies and is on.
    fn refuse_if(&self, refusal: Refusal, applies: bool) -> Result<(), Refusal> {
        if applies && self.refuses(refusal) { Err(refusal) } else { Ok(()) }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

/// The reason why a datagram is not answered. Each is a rule with its own counter, and can be
/// [allowed](Guard::allow) alone.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The source port is 0, to which nothing can be sent.
    #[error("source port is 0")]
    SourcePortZero,
    /// The source port is between 1 and 1023: a service, not a client (RFC 9308 section 8.1).
    #[error("source port is below 1024")]
    SourcePortPrivileged,
    /// The source port belongs to a service that answers any sender: SSDP 1900, WS-Discovery
    /// 3702, mDNS 5353, LLMNR 5355, CoAP 5683 (RFC 7252) or memcached 11211 (RFC 9308 section 8.1).
    #[error("source port belongs to a known reflector")]
    SourcePortReflector,
    /// The source port is the server's own port: another server like this one.
    #[error("source port is the server's own")]
    SourcePortOwn,
    /// The source address is 0.0.0.0 or `::`.
    #[error("source address is unspecified")]
    SourceUnspecified,
    /// The source address is a multicast group.
    #[error("source address is multicast")]
    SourceMulticast,
    /// The source address is 255.255.255.255.
    #[error("source address is broadcast")]
    SourceBroadcast,
    /// The destination is a multicast group, which many hosts would answer.
    #[error("destination address is multicast")]
    DestinationMulticast,
    /// The destination is 255.255.255.255, which many hosts would answer.
    #[error("destination address is broadcast")]
    DestinationBroadcast,
    /// The name is longer than [`Guard::max_name_len`].
    #[error("name is too long")]
    NameTooLong,
    /// The name starts with the prefix twice, as in `Hello, Hello, World!!`. Once is accepted, because
    /// a name may be `Hello, World!`.
    #[error("name starts with the greeting twice")]
    GreetedTwice,
}

impl Refusal {
    /// All refusals, in the order in which [`Guard::check`] applies them.
    pub const ALL: [Self; 11] = [
        Self::SourcePortZero,
        Self::SourcePortPrivileged,
        Self::SourcePortReflector,
        Self::SourcePortOwn,
        Self::SourceUnspecified,
        Self::SourceMulticast,
        Self::SourceBroadcast,
        Self::DestinationMulticast,
        Self::DestinationBroadcast,
        Self::NameTooLong,
        Self::GreetedTwice,
    ];

    /// Returns the label of its counter, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::SourcePortZero => "source-port-zero",
            Self::SourcePortPrivileged => "source-port-privileged",
            Self::SourcePortReflector => "source-port-reflector",
            Self::SourcePortOwn => "source-port-own",
            Self::SourceUnspecified => "source-unspecified",
            Self::SourceMulticast => "source-multicast",
            Self::SourceBroadcast => "source-broadcast",
            Self::DestinationMulticast => "destination-multicast",
            Self::DestinationBroadcast => "destination-broadcast",
            Self::NameTooLong => "name-too-long",
            Self::GreetedTwice => "greeted-twice",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Returns whether a port from 1024 up belongs to a service that answers any sender.
const fn is_reflector(port: u16) -> bool {
    // The ports of most clients are higher.
    port <= 11211 && matches!(port, 1900 | 3702 | 5353 | 5355 | 5683 | 11211)
}

/// What an address stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Host,
    Unspecified,
    Multicast,
    Broadcast,
}

impl Kind {
    /// IPv4-mapped IPv6 addresses count as IPv4 addresses.
    #[inline]
    fn of(address: IpAddr) -> Self {
        let address = match address {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => address,
                None if address.is_unspecified() => return Self::Unspecified,
                None if address.is_multicast() => return Self::Multicast,
                None => return Self::Host,
            },
        };
        match address.to_bits() {
            // Most addresses need no closer look.
            0x0100_0000..0xe000_0000 => Self::Host,
            0 => Self::Unspecified,
            0xe000_0000..0xf000_0000 => Self::Multicast,
            u32::MAX => Self::Broadcast,
            _ => Self::Host,
        }
    }
}

fn starts_with_prefix_twice(datagram: &[u8]) -> bool {
    datagram.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with(PREFIX))
}

#[cfg(test)]
mod tests;
