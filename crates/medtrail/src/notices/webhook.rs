//! Webhooks by the Standard Webhooks scheme, to addresses that anybody on the internet reaches.
//!
//! The URL is a stranger's: it must not make this machine knock at its own doors. Names are resolved
//! here, every address they have is looked at, and the connection goes to what was looked at.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use medtrail_ledger::notices::Undelivered;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Sends webhooks.
pub(super) struct Hooks {
    runtime: Handle,
    /// For the demo: its listener stands on this machine.
    to_loopback: bool,
}

impl Hooks {
    /// Called in the runtime.
    pub(super) fn new(to_loopback: bool) -> Self {
        Self { runtime: Handle::current(), to_loopback }
    }

    pub(super) fn send(
        &self,
        url: &str,
        secret: &[u8],
        id: &str,
        body: &[u8],
    ) -> Result<(), Undelivered> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let at_s = now.map_or(0, |since| since.as_secs());
        let sending = self.deliver(url, secret, id, at_s, body);
        self.runtime.block_on(async {
            let late = || Undelivered::Later("the webhook took too long".to_owned());
            tokio::time::timeout(TIMEOUT, sending).await.unwrap_or_else(|_| Err(late()))
        })
    }

    async fn deliver(
        &self,
        url: &str,
        secret: &[u8],
        id: &str,
        at_s: u64,
        body: &[u8],
    ) -> Result<(), Undelivered> {
        let never = |why: &str| Undelivered::Never(why.to_owned());
        let later = |error: &dyn std::error::Error| Undelivered::Later(error.to_string());
        let url = Url::parse(url).map_err(|_| never("the webhook's URL is none"))?;
        if !(url.scheme() == "https" || (self.to_loopback && url.scheme() == "http")) {
            return Err(never("the webhook's URL is not https"));
        }
        let host = url.host_str().ok_or_else(|| never("the webhook's URL names no host"))?;
        let port = url.port_or_known_default().unwrap_or(443);
        let name = host.trim_matches(['[', ']']);
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host((name, port)).await.map_err(|error| later(&error))?.collect();
        let may = |address: &SocketAddr| self.may_reach(address.ip(), url.scheme());
        // All of them: which one is taken is not ours to say.
        if found.is_empty() || !found.iter().all(may) {
            return Err(never("the webhook's host is not one on the internet"));
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .resolve_to_addrs(host, &found)
            .build()
            .map_err(|error| later(&error))?;
        let request = client
            .post(url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at_s.to_string())
            .header("webhook-signature", signature(secret, id, at_s, body))
            .body(body.to_vec());
        // Not its words: what a stranger answers is not read.
        let answer = request.send().await.map_err(|error| later(&error.without_url()))?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            410 => Err(never("the webhook is gone (410)")),
            status => Err(Undelivered::Later(format!("the webhook answered {status}"))),
        }
    }

    fn may_reach(&self, address: IpAddr, scheme: &str) -> bool {
        match address.is_loopback() {
            true => self.to_loopback,
            false => scheme == "https" && is_public(address),
        }
    }
}

/// `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`.
fn signature(secret: &[u8], id: &str, at_s: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signed = [format!("{id}.{at_s}.").as_bytes(), body].concat();
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
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
        || (a == 192 && b == 88 && c == 99))
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

/// The IPv4 address within: mapped, compatible, NAT64 or 6to4, by which a private one could be meant.
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
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

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
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }

    /// The example of the scheme's own documentation.
    #[test]
    fn the_signature_is_that_of_the_scheme() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b"{\"test\": 2432232314}",
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// Answers one request with this head; returns what came.
    fn listener(answer: &'static str) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = vec![0; 4096];
            let count = stream.read(&mut read).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&read[..count]).into_owned()
        });
        (port, serving)
    }

    async fn send(hooks: Hooks, url: String) -> Result<(), Undelivered> {
        let sending = move || hooks.send(&url, &[1; 32], "msg_1", b"{}");
        tokio::task::spawn_blocking(sending).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn this_machine_is_reached_only_where_its_operator_said_so_and_no_redirect_is_followed() {
        let (port, serving) = listener("HTTP/1.1 204 No Content\r\n\r\n");
        let url = format!("http://127.0.0.1:{port}/hook");
        let refused = send(Hooks::new(false), url.clone()).await.unwrap_err();
        assert!(matches!(refused, Undelivered::Never(_)), "{refused}");
        for inner in
            ["https://localhost/x", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/"]
        {
            let refused = send(Hooks::new(false), inner.to_owned()).await.unwrap_err();
            assert!(matches!(refused, Undelivered::Never(_)), "{inner}: {refused}");
        }
        send(Hooks::new(true), url).await.unwrap();
        let came = serving.join().unwrap().to_lowercase();
        assert!(
            came.contains("webhook-id: msg_1") && came.contains("webhook-signature: v1,"),
            "{came}"
        );

        let away =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        let (port, serving) = listener(away);
        let refused =
            send(Hooks::new(true), format!("http://127.0.0.1:{port}/")).await.unwrap_err();
        assert_eq!(refused, Undelivered::Later("the webhook answered 302".into()));
        serving.join().unwrap();
        let (port, serving) = listener("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n");
        let refused =
            send(Hooks::new(true), format!("http://127.0.0.1:{port}/")).await.unwrap_err();
        assert!(matches!(refused, Undelivered::Never(_)), "{refused}");
        serving.join().unwrap();
    }
}
