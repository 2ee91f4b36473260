//! A listener for webhooks on this machine, that checks them as a receiver must.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// What came in one request.
struct Came {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Somebody who listens.
pub(super) struct Hook {
    pub(super) url: String,
    came: Receiver<Came>,
}

impl Hook {
    pub(super) fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (tell, came) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(one) = receive(stream) else { continue };
                if tell.send(one).is_err() {
                    return;
                }
            }
        });
        Self { url, came }
    }

    /// The next one, and whether its signature holds under this secret.
    pub(super) fn next(&self, secret: &str) -> (Value, bool) {
        let came = self.came.recv_timeout(crate::site::PATIENCE).unwrap();
        let header = |name: &str| {
            let found = came.headers.iter().find(|(one, _)| one == name);
            found.map_or("", |(_, value)| value).to_owned()
        };
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let start = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
        let signed = [start.as_bytes(), &came.body].concat();
        let signature = header("webhook-signature");
        let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        let holds = hmac::verify(&key, &signed, &signature).is_ok();
        (serde_json::from_slice(&came.body).unwrap(), holds)
    }
}

/// Reads one request and says thanks.
fn receive(stream: TcpStream) -> Option<Came> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut headers = Vec::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").ok()?;
    Some(Came { headers, body })
}
