//! Clients that cost next to nothing: HTTP/1.1 over kept connections, requests written beforehand,
//! of each answer no more read than its status and its length.

use crate::Burst;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One request, as it goes over the wire.
pub(crate) fn request(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/reports HTTP/1.1\r\nhost: localhost:8080\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the node");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: Vec::with_capacity(64 << 10) }
    }

    /// Asks, and reads the whole answer; its status, and its body.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.expect("the node");
        self.buffer.clear();
        let mut end = None;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("the node");
            assert!(read > 0, "the node closed the connection");
            if end.is_none() {
                end = head_of(&self.buffer);
            }
            if let Some((status, head, length)) = end
                && self.buffer.len() >= head + length
            {
                return (status, &self.buffer[head..]);
            }
        }
    }
}

/// Status, bytes of the head and of the body, once the head is there.
fn head_of(buffer: &[u8]) -> Option<(u16, usize, usize)> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&buffer[..end]).expect("a head in ASCII");
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((status.expect("a status"), end + 4, length.expect("a length")))
}

/// `clients` that send one request after the other until time or requests run out. A node that is
/// busy is asked again. Every request must get `status`.
pub(crate) async fn burst(
    address: SocketAddr,
    clients: usize,
    seconds: u64,
    requests: Arc<Vec<Vec<u8>>>,
    status: u16,
) -> Burst {
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(address).await);
    }
    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for mut connection in connections {
        let (requests, next) = (requests.clone(), next.clone());
        tasks.spawn(async move {
            let mut waits = Vec::new();
            let mut asked = Instant::now();
            while asked < until {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(number) else { break };
                loop {
                    let (was, body) = connection.ask(request).await;
                    match was {
                        503 => tokio::time::sleep(Duration::from_millis(5)).await,
                        was if was == status => break,
                        was => panic!("{was}: {}", String::from_utf8_lossy(body)),
                    }
                }
                let answered = Instant::now();
                waits.push(answered - std::mem::replace(&mut asked, answered));
            }
            waits
        });
    }
    let waits = tasks.join_all().await.concat();
    Burst::of(waits, started.elapsed())
}
