//! Webhooks by the Standard Webhooks scheme. The URL is a stranger's: see [`crate::outbound`].

use crate::clock::machine_ms;
use crate::outbound::{NoWay, Outbound};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use medtrail_ledger::notices::Undelivered;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Sends webhooks.
pub(super) struct Hooks {
    runtime: Handle,
    outbound: Outbound,
}

impl Hooks {
    /// Called in the runtime. To this machine itself only for the demo, whose listener stands there.
    pub(super) fn new(to_loopback: bool) -> Self {
        Self { runtime: Handle::current(), outbound: Outbound::new(to_loopback) }
    }

    pub(super) fn send(
        &self,
        url: &str,
        secret: &[u8],
        id: &str,
        body: &[u8],
    ) -> Result<(), Undelivered> {
        let at_s = machine_ms() / 1000;
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
        let (client, url) =
            self.outbound.client(url, TIMEOUT).await.map_err(|error| match error {
                NoWay::Unresolved(_) | NoWay::Client(_) => Undelivered::Later(error.to_string()),
                _ => Undelivered::Never(format!("the webhook: {error}")),
            })?;
        let request = client
            .post(url)
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
}

/// `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`.
fn signature(secret: &[u8], id: &str, at_s: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signed = [format!("{id}.{at_s}.").as_bytes(), body].concat();
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

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
