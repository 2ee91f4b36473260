//! HTTP to the log. Its answers are bounded in time and size, and it is never followed elsewhere:
//! a redirect would carry the session's token along.

use reqwest::Method;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use std::time::{Duration, UNIX_EPOCH};

/// Bytes of an answer at most: 1,000 receipts with their checkpoint fit in.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The log's HTTP.
pub(crate) struct Upstream {
    http: reqwest::Client,
    url: String,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) retry_after: Option<Duration>,
    /// The log's clock, milliseconds since 1970.
    pub(crate) date_ms: Option<u64>,
}

/// Why there is no answer. The log may have done what it was asked all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// Not reached, or cut off.
    #[error("the log cannot be reached: {0}")]
    Http(#[from] reqwest::Error),
    /// More bytes than any answer has.
    #[error("the log's answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

/// What is read of the log's refusals (RFC 9457).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Refusal {
    pub(crate) r#type: String,
    pub(crate) detail: String,
    pub(crate) status: u16,
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) subject: Option<alloy_primitives::B256>,
}

impl Refusal {
    /// Its short name, if the log said it: what stands in front of the log answers otherwise.
    pub(crate) fn slug(&self) -> Option<&str> {
        self.r#type.rsplit_once("/problems/").map(|(_, slug)| slug)
    }
}

impl Reply {
    pub(crate) fn refusal(&self) -> Refusal {
        let read = serde_json::from_slice(&self.body).unwrap_or_default();
        Refusal { status: self.status, ..read }
    }
}

impl Upstream {
    pub(crate) fn new(url: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned() })
    }

    /// Where the log is reached.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        json: Option<Vec<u8>>,
    ) -> Result<Reply, NoAnswer> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).headers(headers);
        if let Some(json) = json {
            request = request.header("content-type", "application/json").body(json);
        }
        let mut answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = text(RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        let date_ms = text(DATE).and_then(date_ms);
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(NoAnswer::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Reply { status, body, retry_after: retry_after.map(Duration::from_secs), date_ms })
    }
}

fn date_ms(text: &str) -> Option<u64> {
    let date: actix_web::http::header::HttpDate = text.parse().ok()?;
    let since = std::time::SystemTime::from(date).duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}
