//! Whose share a request comes out of: limits hold for a client, and a client is whoever has an
//! IPv4 address or an IPv6 network.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IPv4 address, or the first 64 bits of an IPv6 address: whoever has one address of such a
/// network has all 2^64 of them (RFC 6177), and would have a share for each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Client(IpAddr);

/// The first 48 bits of an IPv6 address: what one subscriber may get, 65,536 networks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Site(Ipv6Addr);

impl Client {
    /// Who sent this request.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self::by(request.peer_addr(), request.headers())
    }

    /// A proxy on this machine speaks for others: the address it added last to `X-Forwarded-For` is
    /// the one it saw, all before that anybody could have written.
    pub(crate) fn by(peer: Option<SocketAddr>, headers: &HeaderMap) -> Self {
        // A listener for both families sees IPv4 peers, and such a proxy, as ::ffff:a.b.c.d.
        let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical());
        if !peer.is_loopback() {
            return Self::at(peer);
        }
        let forwarded = headers.get_all("x-forwarded-for").last();
        let last = forwarded
            .and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        Self::at(last.unwrap_or(peer))
    }

    pub(crate) fn at(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => first_bits(address, 64).into(),
            address => address,
        })
    }

    /// The site that it is part of; none for IPv4.
    pub(crate) fn site(self) -> Option<Site> {
        match self.0 {
            IpAddr::V6(network) => Some(Site(first_bits(network, 48))),
            IpAddr::V4(_) => None,
        }
    }
}

fn first_bits(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & u128::MAX << (128 - bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn at(address: &str) -> Client {
        Client::at(address.parse().unwrap())
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one_client_and_its_neighbours_one_site() {
        assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        let neighbour = at("2001:db8:1:3::1");
        assert_ne!(at("2001:db8:1:2::1"), neighbour);
        assert_eq!(at("2001:db8:1:2::1").site(), neighbour.site());
        assert_ne!(neighbour.site(), at("2001:db8:2:3::1").site());
        assert_eq!(at("::ffff:192.0.2.9"), at("192.0.2.9"));
        assert_ne!(at("192.0.2.8"), at("192.0.2.9"));
        assert_eq!(at("192.0.2.9").site(), None);
    }

    #[test]
    fn only_a_proxy_on_this_machine_speaks_for_others() {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-forwarded-for");
        let peer = |address: &str| Some(SocketAddr::new(address.parse().unwrap(), 9));
        let (local, remote) = (peer("127.0.0.1"), peer("198.51.100.7"));
        assert_eq!(Client::by(local, &headers), at("127.0.0.1"));
        headers.insert(name.clone(), HeaderValue::from_static("10.0.0.1, 192.0.2.9"));
        assert_eq!(Client::by(local, &headers), at("192.0.2.9"));
        assert_eq!(Client::by(peer("::1"), &headers), at("192.0.2.9"));
        assert_eq!(Client::by(peer("::ffff:127.0.0.1"), &headers), at("192.0.2.9"));
        assert_eq!(Client::by(remote, &headers), at("198.51.100.7"));
        assert_eq!(Client::by(peer("::ffff:198.51.100.7"), &headers), at("198.51.100.7"));
        headers.append(name, HeaderValue::from_static("no address"));
        assert_eq!(Client::by(local, &headers), at("127.0.0.1"));
    }
}
