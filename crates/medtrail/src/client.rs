//! What commands say to a running service.

use crate::exit::Failure;
use medtrail_ledger::receipt::Receipt;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// A service at a URL.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let is_http = reqwest::Url::parse(url).is_ok_and(|url| url.scheme().starts_with("http"));
        if !is_http {
            return Err(Failure::new(format!("{url} is no URL: name the service as http(s)://…")));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(60))
            // A place hash is for this host only.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned() })
    }

    /// Sends a report, or a batch of them, in its JSON form.
    pub(crate) async fn post_reports(&self, body: Vec<u8>) -> Result<Response, Failure> {
        let request = self
            .http
            .post(format!("{}/v1/reports", self.url))
            .header("content-type", "application/json")
            .body(body);
        checked(request.send().await?).await
    }

    /// Sends one report.
    pub(crate) async fn report(&self, body: Vec<u8>) -> Result<Receipt, Failure> {
        Ok(serde_json::from_slice(&self.post_reports(body).await?.bytes().await?)?)
    }

    /// The proof of a receipt's entry, or `None` while no anchor covers it.
    pub(crate) async fn proof(&self, receipt: &Receipt) -> Result<Option<Vec<u8>>, Failure> {
        let request = self
            .http
            .get(format!("{}/v1/entries/{}/proof", self.url, receipt.index))
            .header("medtrail-place", receipt.place_hash.to_string());
        let response = request.send().await?;
        if response.headers().contains_key("retry-after")
            && response.status() == StatusCode::NOT_FOUND
        {
            return Ok(None);
        }
        Ok(Some(checked(response).await?.bytes().await?.to_vec()))
    }

    /// A JSON document that anybody may read.
    pub(crate) async fn document(&self, path: &str) -> Result<Value, Failure> {
        let response = self.http.get(format!("{}{path}", self.url)).send().await?;
        Ok(checked(response).await?.json().await?)
    }

    /// Any JSON document, with its status.
    pub(crate) async fn get(&self, path: &str) -> Result<(StatusCode, Value), Failure> {
        let response = self.http.get(format!("{}{path}", self.url)).send().await?;
        Ok((response.status(), response.json().await?))
    }
}

/// The answer, or the problem it carries (RFC 9457).
pub(crate) async fn checked(response: Response) -> Result<Response, Failure> {
    answered(response).await.map_err(|refusal| refusal.why)
}

/// A problem that the service answered.
pub(crate) struct Refusal {
    /// Its kind: the last part of its `type`.
    pub(crate) kind: String,
    /// What it says.
    pub(crate) why: Failure,
}

/// The same, for whoever goes on after some problems.
pub(crate) async fn answered(response: Response) -> Result<Response, Refusal> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
        .map(|seconds| format!(" Try again in {seconds} s."))
        .unwrap_or_default();
    let problem: Value = response.json().await.unwrap_or_default();
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let detail = match text("detail") {
        empty if empty.is_empty() => text("title"),
        detail => detail,
    };
    let advice = match text("advice") {
        empty if empty.is_empty() => empty,
        advice => format!(". {advice}"),
    };
    let why = Failure::new(format!("the service answered {status}: {detail}{advice}{retry}"));
    let kind = text("type").rsplit('/').next().unwrap_or_default().to_owned();
    Err(Refusal { kind, why })
}
