//! A session at the log by the gateway's key (EIP-4361), for what is no report: enrolling, codes,
//! bindings.

use crate::clock::Clock;
use crate::upstream::{NoAnswer, Reply, Upstream};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_ledger::custodian::ReportSigner;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

/// A session is opened anew this long before it ends, in milliseconds.
const RENEW_MS: u64 = 5 * 60 * 1000;
/// Bytes of a text to sign at most.
const MESSAGE_BYTES_MAX: usize = 2_048;

/// Why the log does not do what it was asked in the gateway's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// It cannot be reached.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// It refused; its status and words.
    #[error("the log refuses ({status}): {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        detail: String,
    },
    /// Its answer is none of this version's.
    #[error("the log's answer cannot be read: {0}")]
    Malformed(String),
}

/// A token and until when it is good.
struct Token {
    header: HeaderValue,
    expires_ms: u64,
}

/// The gateway's session: opened when first needed, again before its end and when it ended early.
pub(crate) struct Session {
    /// Host and port of the log: a sign-in anywhere else is not signed.
    host: String,
    token: Mutex<Option<Token>>,
}

impl Session {
    /// None yet, at the log of this public URL.
    pub(crate) fn at(url: &str) -> Self {
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = host.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        Self { host, token: Mutex::default() }
    }

    /// An answer of the log that is no refusal.
    pub(crate) async fn call(
        &self,
        (upstream, signer, clock): (&Upstream, &dyn ReportSigner, &dyn Clock),
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, SessionError> {
        let mut token = self.token.lock().await;
        for is_last in [false, true] {
            let is_old = |token: &Token| token.expires_ms < clock.now_ms() + RENEW_MS;
            if token.as_ref().is_none_or(is_old) {
                *token = Some(open(&self.host, upstream, signer).await?);
            }
            let mut headers = HeaderMap::new();
            if let Some(token) = &*token {
                headers.insert(AUTHORIZATION, token.header.clone());
            }
            let reply = upstream.send(method.clone(), path, headers, json.clone()).await?;
            if reply.status == 401 && !is_last {
                // Ended early: the log was started anew.
                *token = None;
                continue;
            }
            return good(reply);
        }
        Err(SessionError::Refused { status: 401, detail: "signed out".to_owned() })
    }
}

fn good(reply: Reply) -> Result<Vec<u8>, SessionError> {
    match reply.status {
        200..=299 => Ok(reply.body),
        status => {
            let refusal = reply.refusal();
            let detail = refusal.detail.chars().take(400).collect();
            Err(SessionError::Refused { status, detail })
        }
    }
}

#[derive(Deserialize)]
struct Challenge {
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    token: String,
    expires_ms: u64,
}

async fn open(
    host: &str,
    upstream: &Upstream,
    signer: &dyn ReportSigner,
) -> Result<Token, SessionError> {
    let path = format!("/v1/session/nonce?address={}", signer.address());
    let reply = upstream.send(Method::GET, &path, HeaderMap::new(), None).await?;
    let Challenge { message } = read(&good(reply)?)?;
    require_sign_in(&message, host, signer.address())?;
    let signature = signer.sign(text_digest(&message));
    let body = json!({ "message": message, "signature": signature, "bearer": true });
    let body = body.to_string().into_bytes();
    let reply = upstream.send(Method::POST, "/v1/session", HeaderMap::new(), Some(body)).await?;
    let Opened { token, expires_ms } = read(&good(reply)?)?;
    let malformed = |_| SessionError::Malformed("token".to_owned());
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(malformed)?;
    header.set_sensitive(true);
    Ok(Token { header, expires_ms })
}

/// Only a sign-in of this address at this log is signed, whatever else it would like to have:
/// another log's text, passed on, would sign it in there in the organisation's name.
fn require_sign_in(message: &str, host: &str, address: Address) -> Result<(), SessionError> {
    let first = format!("{host} wants you to sign in with your Ethereum account:");
    let mut lines = message.lines();
    let asks = lines.next() == Some(first.as_str());
    let is_own = lines.next() == Some(address.to_checksum(None).as_str());
    match asks && is_own && message.len() <= MESSAGE_BYTES_MAX {
        true => Ok(()),
        false => Err(SessionError::Malformed(format!(
            "the text to sign is no sign-in of this key at {host}; nothing was signed"
        ))),
    }
}

/// EIP-191, version 0x45.
pub(crate) fn text_digest(text: &str) -> B256 {
    keccak256(format!("\x19Ethereum Signed Message:\n{}{text}", text.len()))
}

pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, SessionError> {
    serde_json::from_slice(bytes).map_err(|error| SessionError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sign_in_of_this_key_at_this_log_is_signed() {
        let own = Address::repeat_byte(0xab);
        let asks = |host: &str, who: Address| {
            format!("{host} wants you to sign in with your Ethereum account:\n{who}\n\nURI: x")
        };
        let host = Session::at("https://Log.example:8443/x").host;
        let check = |text: &str| require_sign_in(text, &host, own).is_ok();
        assert!(check(&asks("log.example:8443", own)));
        for text in [
            asks("other.example", own),
            asks("log.example", own),
            asks("log.example:8443", Address::ZERO),
            asks("evil.example log.example:8443", own),
            "I give everything away".to_owned(),
            asks("log.example:8443", own) + &"x".repeat(MESSAGE_BYTES_MAX),
        ] {
            assert!(!check(&text), "{text}");
        }
    }
}
