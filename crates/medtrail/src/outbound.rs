//! The way out to addresses that strangers name: webhooks, and sources of records.
//!
//! A stranger's URL must not make this machine knock at its own doors, or at those behind its
//! firewall. Its name is resolved here, once; every address it has is looked at; and the connection
//! goes to those and to no others, so that the name cannot change in between. No redirects, no proxy,
//! no user in the URL.

use medtrail_ledger::notices::is_outward_url;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Why nothing is asked there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoWay {
    #[error("its URL is none, or not https, or names a user")]
    Url,
    #[error("its host is not one on the internet")]
    Forbidden,
    #[error("its name is not found: {0}")]
    Unresolved(#[from] io::Error),
    #[error("{0}")]
    Client(#[from] reqwest::Error),
}

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
/// Addresses of a name; another one in tests, whose names change.
type Names = Arc<dyn Fn(String, u16) -> Found + Send + Sync>;

/// The way out.
#[derive(Clone)]
pub(crate) struct Outbound {
    /// Also to this machine itself, by http: for demo and tests, by the operator's word.
    to_loopback: bool,
    names: Names,
}

impl Outbound {
    pub(crate) fn new(to_loopback: bool) -> Self {
        let names: Names = Arc::new(|name, port| {
            Box::pin(async move {
                Ok(tokio::net::lookup_host((name.as_str(), port)).await?.collect::<Vec<_>>())
            })
        });
        Self { to_loopback, names }
    }

    /// A client that reaches this URL's host by the addresses that were looked at, and the URL. Each
    /// of its requests takes at most `timeout`.
    pub(crate) async fn client(
        &self,
        url: &str,
        timeout: Duration,
    ) -> Result<(Client, Url), NoWay> {
        if !is_outward_url(url) && !self.to_loopback {
            return Err(NoWay::Url);
        }
        let url = Url::parse(url).map_err(|_| NoWay::Url)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_http = self.to_loopback && url.scheme() == "http";
        if has_user || !(url.scheme() == "https" || is_http) {
            return Err(NoWay::Url);
        }
        let host = url.host_str().ok_or(NoWay::Url)?;
        let port = url.port_or_known_default().ok_or(NoWay::Url)?;
        let name = host.trim_matches(['[', ']']).to_owned();
        let found = (self.names)(name, port).await?;
        // All of them: which one is taken is not ours to say.
        let may = |address: &SocketAddr| self.may_reach(address.ip(), is_http);
        if found.is_empty() || !found.iter().all(may) {
            return Err(NoWay::Forbidden);
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(timeout)
            .resolve_to_addrs(host, &found)
            .build()?;
        Ok((client, url))
    }

    fn may_reach(&self, address: IpAddr, is_http: bool) -> bool {
        match address.is_loopback() {
            true => self.to_loopback,
            false => !is_http && is_public(address),
        }
    }
}

/// Whether an address is one that everybody reaches (RFC 6890 and its registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // Behind a carrier's NAT, protocol assignments, benchmarks, 6to4 relays.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || (a == 192 && b == 88 && c == 99)
        // A cloud's own: Azure's host answers every guest there.
        || address.octets() == [168, 63, 129, 16])
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    match first {
        // Teredo and its kin, and what stands in books.
        0x2001 => second >= 0x0200 && second != 0x0db8,
        0x3fff => second >= 0x1000,
        // Global unicast alone.
        _ => (0x2000..0x4000).contains(&first),
    }
}

/// The IPv4 address within: mapped, compatible, NAT64, 6to4 or ISATAP, by which a private one could be meant.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let of = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(of(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        // ISATAP, under any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    impl Outbound {
        /// With names that change: each asking takes the next answer, then the last one.
        pub(crate) fn with_names(to_loopback: bool, answers: Vec<Vec<SocketAddr>>) -> Self {
            let asked = AtomicUsize::new(0);
            let names: Names = Arc::new(move |_, _| {
                let place = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                let found = answers[place].clone();
                Box::pin(async move { Ok(found) })
            });
            Self { to_loopback, names }
        }
    }

    #[test]
    fn only_addresses_on_the_internet_are_reached() {
        for good in ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"] {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "192.0.2.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.88.99.1",
            "168.63.129.16",
            "100.100.100.200",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "fd00:ec2::254",
            "64:ff9b:1::a00:1",
            "2a00:1::5efe:a00:1",
            "::ffff:0:127.0.0.1",
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }

    async fn way(outbound: &Outbound, url: &str) -> Result<(Client, Url), NoWay> {
        outbound.client(url, Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn no_spelling_of_an_inner_address_leads_there() {
        let outbound = Outbound::new(false);
        for inner in [
            "https://localhost/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.0.0.1.:443/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://0/",
            "https://0xa9fea9fe/",
            "https://\u{ff11}\u{ff12}7.0.0.1/",
        ] {
            let refused = way(&outbound, inner).await.err();
            assert!(matches!(refused, Some(NoWay::Forbidden | NoWay::Url)), "{inner}: {refused:?}");
        }
        for no_url in [
            "http://93.184.216.34/",
            "http://127.0.0.1:80/",
            "https://user@93.184.216.34/",
            "https://user:word@93.184.216.34/",
            "https://[fe80::1%25eth0]/",
            "https://[fe80::1%eth0]/",
            "ftp://93.184.216.34/",
            "file:///etc/passwd",
            "gopher://127.0.0.1:6379/_x",
            "https://",
            "//93.184.216.34/",
        ] {
            let refused = way(&outbound, no_url).await.err();
            assert!(
                matches!(refused, Some(NoWay::Url | NoWay::Forbidden)),
                "{no_url}: {refused:?}"
            );
        }
        assert!(way(&outbound, "https://93.184.216.34/").await.is_ok());
    }

    #[tokio::test]
    async fn a_name_with_one_inner_address_among_others_is_not_asked() {
        let public: SocketAddr = "93.184.216.34:443".parse().unwrap();
        for inner in ["127.0.0.1:443", "10.0.0.1:443", "[fe80::1%2]:443", "[fd00::1]:443"] {
            let found = vec![public, inner.parse().unwrap()];
            let refused =
                way(&Outbound::with_names(false, vec![found]), "https://tide.example/").await;
            assert!(matches!(refused, Err(NoWay::Forbidden)), "{inner}");
        }
        let nothing = Outbound::with_names(false, vec![Vec::new()]);
        assert!(matches!(way(&nothing, "https://tide.example/").await, Err(NoWay::Forbidden)));
        // By http nothing but this machine is reached, whatever the operator said.
        let outbound = Outbound::with_names(true, vec![vec![public]]);
        assert!(matches!(way(&outbound, "http://tide.example/").await, Err(NoWay::Forbidden)));
    }
}
