//! `/v1/subjects/{subject}/feed`: what is new, as it comes (server-sent events).
//!
//! The id of an event is the index of its line: a browser that was cut off asks again from the
//! last one it saw, and gets what it missed first. A stream ends when its session does, when the
//! server does, and when its reader lags; the reader comes back.

use crate::answer::blocking;
use crate::caller::{Caller, Seer, View};
use crate::limits::{FEED_COMMENT_S, FEEDS_OF_ONE_MAX};
use crate::line::{AnchorNews, Line};
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, routes};
use alloy_primitives::Address;
use futures::Stream;
use futures::stream::unfold;
use medtrail_oracle::feed::{Feed, FeedItem};
use medtrail_oracle::service::Service;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

const LAST_EVENT_ID: &str = "last-event-id";
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Index of the last line seen, for the first connection; `Last-Event-ID` counts before it.
    after: Option<u64>,
}

/// What is new in one's own trail, as server-sent events: `line` with a line and its index as id;
/// `anchor`, after which all lines below its `size` are in its `state`; `reset`, after which the
/// trail must be read anew, since too much was missed.
#[utoipa::path(get, path = "/v1/subjects/{subject}/feed", operation_id = "feed", tag = "trail",
    params(("subject" = String, Path, description = "The address signed in, in 20 or 32 bytes; or who the caller acts for"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Index of the last line seen"), Asked),
    responses((status = 200, description = "A stream", content_type = "text/event-stream")))]
#[routes]
#[get("/v1/subjects/{subject}/feed")]
pub(super) async fn get(
    subject: Path<String>,
    asked: Result<Query<Asked>, actix_web::Error>,
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let seer = caller.sees(&state, &subject).await?;
    let asked = asked.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let last = match request.headers().get(LAST_EVENT_ID) {
        None => asked.after,
        Some(id) => Some(id.to_str().ok().and_then(|id| id.parse().ok()).ok_or_else(|| {
            let rule = "Last-Event-ID must be the index of the last line seen";
            Problem::new(&problem::INVALID_QUERY, rule).at(LAST_EVENT_ID)
        })?),
    };
    let place = Feeds::take(&state.feeds, seer.session.address)?;
    let (service, subject, is_whole) = (state.service.clone(), seer.subject, seer.is_whole);
    let feed = blocking(move || match last {
        last if is_whole => service.whole_feed(subject, last),
        Some(last) => service.feed_about_after(subject, last),
        None => Ok(service.feed_about(subject)),
    })
    .await?;
    let until_ms = seer.session.expires_ms.min(seer.until_ms);
    let left_ms = until_ms.saturating_sub(state.now_ms());
    let stream = Running {
        feed,
        service: state.service.clone(),
        seer,
        expires: tokio::time::Instant::now() + Duration::from_millis(left_ms),
        stopping: state.stopping.clone(),
        step: Step::Begin,
        _place: place,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // A proxy must not collect events until they are worth sending.
        .insert_header((X_ACCEL_BUFFERING, "no"))
        .streaming(stream.events()))
}

/// How many streams each address has open.
#[derive(Default)]
pub(crate) struct Feeds(Mutex<HashMap<Address, usize>>);

/// One of them; given back when it is dropped.
struct FeedPlace {
    feeds: Arc<Feeds>,
    address: Address,
}

impl Feeds {
    fn take(feeds: &Arc<Self>, address: Address) -> Result<FeedPlace, Problem> {
        let mut open = feeds.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.entry(address).or_default();
        if *own >= FEEDS_OF_ONE_MAX {
            let told = format!("{FEEDS_OF_ONE_MAX} streams of this address are open");
            return Err(Problem::new(&problem::TOO_MANY_STREAMS, told));
        }
        *own += 1;
        drop(open);
        Ok(FeedPlace { feeds: feeds.clone(), address })
    }
}

impl Drop for FeedPlace {
    fn drop(&mut self) {
        let mut open = self.feeds.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Where a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing was sent.
    Begin,
    /// The head was sent, but no event.
    Waiting,
    /// Events were sent.
    Going,
    /// Nothing more comes.
    Over,
}

struct Running {
    feed: Feed,
    service: Service,
    seer: Seer,
    expires: tokio::time::Instant,
    stopping: CancellationToken,
    step: Step,
    _place: FeedPlace,
}

impl Running {
    fn events(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, |mut running| async move {
            let event = running.next().await?;
            Some((Ok(Bytes::from(event)), running))
        })
    }

    async fn next(&mut self) -> Option<String> {
        match self.step {
            Step::Over => return None,
            Step::Begin => {
                self.step = Step::Waiting;
                return Some("retry: 300\n\n".to_owned());
            }
            Step::Waiting | Step::Going => {}
        }
        let item = tokio::select! {
            biased;
            () = self.seer.session.ended.cancelled() => return None,
            () = self.stopping.cancelled() => return None,
            () = tokio::time::sleep_until(self.expires) => return None,
            // May be dropped half-way: nothing is lost.
            item = self.feed.next() => item,
            () = tokio::time::sleep(Duration::from_secs(FEED_COMMENT_S)) => {
                return self.still_sees().await.then(|| ": still here\n\n".to_owned());
            }
        };
        // What takes the right away in the log is an item itself; on the chain it comes without.
        if !self.still_sees().await {
            return None;
        }
        match item {
            Some(item) => {
                self.step = Step::Going;
                self.told(item).await
            }
            // Asked for more than a stream gives again: without another id the reader would ask
            // for the same for ever.
            None if self.step == Step::Waiting => {
                self.step = Step::Over;
                let newest = self.service.head().size.saturating_sub(1);
                Some(format!("event: reset\nid: {newest}\ndata: {{}}\n\n"))
            }
            None => None,
        }
    }

    /// Whether whoever acts for the person still does.
    async fn still_sees(&self) -> bool {
        if self.seer.is_own {
            return true;
        }
        let (seer, service) = (self.seer.clone(), self.service.clone());
        tokio::task::spawn_blocking(move || seer.may_go_on(&service)).await.unwrap_or(false)
    }

    async fn told(&self, item: FeedItem) -> Option<String> {
        match item {
            FeedItem::Entry(entry) => {
                let (service, index) = (self.service.clone(), entry.index);
                let line = move || Line::read(&service, *entry, View::Opened);
                let line = tokio::task::spawn_blocking(line).await.ok()?.ok()?;
                Some(event("line", Some(index), &line))
            }
            FeedItem::Anchored { record, is_final } => {
                Some(event("anchor", None, &AnchorNews::of(&record, is_final)))
            }
        }
    }
}

/// One event. JSON on one line: a line feed would end the field.
fn event<T: Serialize>(name: &str, id: Option<u64>, data: &T) -> String {
    let data = serde_json::to_string(data).expect("our answers are JSON");
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n")
}
