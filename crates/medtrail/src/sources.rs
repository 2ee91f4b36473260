//! How sources of records are asked: by HTTPS, for no longer than it may take, and for no more bytes
//! than are read. Nothing is kept of them but their hash.

use crate::config::SourcesConfig;
use crate::outbound::{NoWay, Outbound};
use alloy_primitives::B256;
use aws_lc_rs::digest::{Context, SHA256};
use medtrail_ledger::source::{Fetcher, Unanswered};
use medtrail_oracle::sources::Sources;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use std::sync::Arc;
use std::time::Duration;

/// Asks by HTTPS.
struct Asker {
    outbound: Outbound,
    timeout: Duration,
    bytes_max: u64,
}

impl Fetcher for Asker {
    fn fetch(&self, url: &str) -> Result<B256, Unanswered> {
        // A runtime of its own: who asks is a thread that nobody waits for when the log ends.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|_| Unanswered::Unreached)?;
        let asked = runtime.block_on(async {
            let asking = tokio::time::timeout(self.timeout, self.ask(url));
            asking.await.unwrap_or(Err(Unanswered::Late))
        });
        // A name that is still being looked up has no end of its own.
        runtime.shutdown_background();
        asked
    }
}

impl Asker {
    async fn ask(&self, url: &str) -> Result<B256, Unanswered> {
        let (client, url) =
            self.outbound.client(url, self.timeout).await.map_err(|error| match error {
                NoWay::Url | NoWay::Forbidden => Unanswered::Forbidden,
                NoWay::Unresolved(_) | NoWay::Client(_) => Unanswered::Unreached,
            })?;
        let failed = |error: reqwest::Error| match error.is_timeout() {
            true => Unanswered::Late,
            false => Unanswered::Unreached,
        };
        let asked = client.get(url).header(ACCEPT_ENCODING, "identity").send();
        let mut answer = asked.await.map_err(failed)?;
        let is_plain = answer
            .headers()
            .get(CONTENT_ENCODING)
            .is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        match answer.status().as_u16() {
            200 if is_plain => {}
            status => return Err(Unanswered::Status(status)),
        }
        if answer.content_length().is_some_and(|bytes| bytes > self.bytes_max) {
            return Err(Unanswered::TooLong);
        }
        let (mut hash, mut bytes) = (Context::new(&SHA256), 0_u64);
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            bytes += chunk.len() as u64;
            if bytes > self.bytes_max {
                return Err(Unanswered::TooLong);
            }
            hash.update(&chunk);
        }
        Ok(B256::from_slice(hash.finish().as_ref()))
    }
}

/// How sources are asked here.
pub(crate) fn sources(config: &SourcesConfig) -> Sources {
    let asker = Asker {
        outbound: Outbound::new(config.to_loopback),
        timeout: Duration::from_secs(config.timeout_s.max(1)),
        bytes_max: config.bytes_max,
    };
    Sources {
        fetcher: Arc::new(asker),
        every_ms: config.every_s.max(1).saturating_mul(1000),
        lost_after: config.lost_after.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::time::Instant;

    fn asker(outbound: Outbound) -> Asker {
        Asker { outbound, timeout: Duration::from_millis(1500), bytes_max: 100_000 }
    }

    /// Answers each request by `answer`.
    fn serve(answer: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                answer(stream);
            }
        });
        at
    }

    fn sha(bytes: &[u8]) -> B256 {
        B256::from_slice(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
    }

    fn fixed(head: &'static str, body: &'static [u8]) -> SocketAddr {
        serve(move |mut stream| {
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        })
    }

    fn fetch(at: SocketAddr) -> Result<B256, Unanswered> {
        asker(Outbound::new(true)).fetch(&format!("http://{at}/readings"))
    }

    #[test]
    fn bytes_are_known_by_their_hash_and_only_a_whole_answer_counts() {
        let whole = fixed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"12,13");
        assert_eq!(fetch(whole), Ok(sha(b"12,13")));
        // Cut off: not the bytes that were meant, nor others.
        let cut =
            fixed("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n", b"12,13");
        assert_eq!(fetch(cut), Err(Unanswered::Unreached));
        let gone = fixed("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b"");
        assert_eq!(fetch(gone), Err(Unanswered::Status(404)));
        let packed = fixed(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n",
            b"12,13",
        );
        assert_eq!(fetch(packed), Err(Unanswered::Status(200)));
        assert_eq!(
            asker(Outbound::new(false)).fetch(&format!("http://{whole}/")),
            Err(Unanswered::Forbidden)
        );
    }

    #[test]
    fn no_redirect_is_followed() {
        let away =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(fetch(fixed(away, b"")), Err(Unanswered::Status(302)));
    }

    #[test]
    fn a_name_that_changes_leads_to_what_was_looked_at() {
        let first = fixed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"first");
        let second = fixed("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b"second");
        let outbound = Outbound::with_names(true, vec![vec![first], vec![second]]);
        let url = format!("http://tide.example:{}/", first.port());
        assert_eq!(asker(outbound).fetch(&url), Ok(sha(b"first")));
        // Public when it is looked at, inner when it would be connected to: never inner.
        let public = vec!["192.0.2.1:1".parse().unwrap()];
        let outbound = Outbound::with_names(false, vec![public, vec![first]]);
        assert_eq!(asker(outbound).fetch("https://tide.example/"), Err(Unanswered::Forbidden));
    }

    #[test]
    fn slow_and_endless_answers_and_huge_heads_have_an_end() {
        let slow = serve(|mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n");
            while stream.write_all(b"1").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let began = Instant::now();
        assert_eq!(fetch(slow), Err(Unanswered::Late));
        let mute = serve(|stream| {
            std::thread::sleep(Duration::from_secs(20));
            drop(stream);
        });
        assert_eq!(fetch(mute), Err(Unanswered::Late));
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        let endless = serve(|mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while stream.write_all(b"4\r\n1234\r\n").is_ok() {}
        });
        assert!(matches!(fetch(endless), Err(Unanswered::TooLong | Unanswered::Late)));
        let claimed = fixed("HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n", b"");
        assert_eq!(fetch(claimed), Err(Unanswered::TooLong));
        let huge = serve(|mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            let line = format!("X-Fill: {}\r\n", "a".repeat(8000));
            while stream.write_all(line.as_bytes()).is_ok() {}
        });
        let began = Instant::now();
        assert_eq!(fetch(huge), Err(Unanswered::Unreached));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}
