//! Signing in to a service as its page does (EIP-4361), for programs.

use crate::client::{Refusal, answered, checked};
use crate::exit::Failure;
use alloy_primitives::Address;
use medtrail_keys::person::PersonKey;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Somebody who is signed in, by a bearer token.
pub(crate) struct Session {
    http: reqwest::Client,
    url: String,
    token: String,
    key: PersonKey,
}

impl Session {
    /// Asks for a text, signs it, and is signed in.
    pub(crate) async fn open(url: &str, key: PersonKey) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // A token is for this host only.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let token = sign_in(&http, url, &key).await?;
        Ok(Self { http, url: url.to_owned(), token, key })
    }

    /// Signs in anew, for whoever stays longer than a session.
    pub(crate) async fn renew(&mut self) -> Result<(), Failure> {
        self.token = sign_in(&self.http, &self.url, &self.key).await?;
        Ok(())
    }

    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }

    pub(crate) fn key(&self) -> &PersonKey {
        &self.key
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.open_stream(path).await?.json().await?)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.post_bytes(path, body.to_string().into_bytes()).await
    }

    /// JSON whose very bytes matter.
    pub(crate) async fn post_bytes(&self, path: &str, body: Vec<u8>) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path);
        let request = request.header("content-type", "application/json").body(body);
        let answer = checked(request.send().await?).await?.bytes().await?;
        match answer.is_empty() {
            true => Ok(Value::Null),
            false => Ok(serde_json::from_slice(&answer)?),
        }
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.request(Method::PUT, path).json(body);
        Ok(checked(request.send().await?).await?.json().await?)
    }

    /// The answer, or `None` where the service refuses with this kind of problem.
    pub(crate) async fn post_unless(
        &self,
        problem: &str,
        path: &str,
        body: &Value,
    ) -> Result<Option<Value>, Failure> {
        let sent = self.request(Method::POST, path).json(body).send().await?;
        match answered(sent).await {
            Ok(answer) => Ok(Some(answer.json().await?)),
            Err(Refusal { kind, .. }) if kind == problem => Ok(None),
            Err(refusal) => Err(refusal.why),
        }
    }

    /// What is left of what was deleted.
    pub(crate) async fn delete_from(&self, path: &str) -> Result<Value, Failure> {
        Ok(checked(self.request(Method::DELETE, path).send().await?).await?.json().await?)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        checked(self.request(Method::DELETE, path).send().await?).await.map(drop)
    }

    /// An answer whose bytes matter, or that never ends.
    pub(crate) async fn open_stream(&self, path: &str) -> Result<Response, Failure> {
        checked(self.request(Method::GET, path).send().await?).await
    }

    /// A file from its `from`th byte on, if it is still the one of this entity tag.
    pub(crate) async fn part(&self, path: &str, from: u64, tag: &str) -> Result<Response, Failure> {
        let mut request = self.request(Method::GET, path);
        if from > 0 {
            request = request.header("range", format!("bytes={from}-")).header("if-range", tag);
        }
        checked(request.send().await?).await
    }

    /// An answer, or none where the service knows no such thing.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>, Failure> {
        let answer = self.request(Method::GET, path).send().await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            _ => Ok(Some(checked(answer).await?.json().await?)),
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }
}

async fn sign_in(http: &reqwest::Client, url: &str, key: &PersonKey) -> Result<String, Failure> {
    let asked = http.get(format!("{url}/v1/session/nonce?address={}", key.address()));
    let challenge: Value = checked(asked.send().await?).await?.json().await?;
    let message = text(&challenge, "message")?;
    require_sign_in(message, url, key.address())?;
    let signed = json!({
        "message": message,
        "signature": key.sign_text(message),
        "bearer": true,
    });
    let sent = http.post(format!("{url}/v1/session")).json(&signed);
    let who: Value = checked(sent.send().await?).await?.json().await?;
    Ok(text(&who, "token")?.to_owned())
}

/// A text of an answer.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Failure> {
    let found = value[name].as_str();
    // Without the answer itself: it may hold a key or a code.
    found.ok_or_else(|| Failure::new(format!("the service's answer has no {name}")))
}

/// The key may do more than sign in: it signs here only a text that signs in, there, as itself.
fn require_sign_in(message: &str, url: &str, address: Address) -> Result<(), Failure> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let first = format!("{host} wants you to sign in with your Ethereum account:");
    let mut lines = message.lines();
    match (lines.next(), lines.next()) {
        (Some(line), Some(who)) if line == first && who == address.to_string() => Ok(()),
        _ => Err(Failure::new(format!(
            "the service asks to sign something else than a sign-in at {host}; nothing was signed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_that_signs_in_there_and_as_oneself_is_signed() {
        let (url, own) = ("https://log.example:8443/x", Address::repeat_byte(0xab));
        let asks = |host: &str, who: Address| {
            format!("{host} wants you to sign in with your Ethereum account:\n{who}\n\nURI: x")
        };
        let check = |text: &str| require_sign_in(text, url, own).is_ok();
        assert!(check(&asks("log.example:8443", own)));
        assert!(!check(&asks("other.example", own)));
        assert!(!check(&asks("log.example", own)));
        assert!(!check(&asks("log.example:8443", Address::ZERO)));
        assert!(!check("I give everything away"));
    }
}
