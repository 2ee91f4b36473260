//! Act 1: a doctor looks, and the person sees it. By the product's own HTTP, as their page does.

use super::feed::Feed;
use super::trail::{Line, Names};
use super::words::LOOK;
use crate::client::checked;
use crate::exit::Failure;
use crate::session::Session;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long the line may take to appear, and to be locked: some blocks of 2 s, on a machine that
/// may be busy.
const WAIT: Duration = Duration::from_secs(180);

/// The line of the look, followed from the moment the button was pressed.
pub(crate) struct Watch {
    feed: Feed,
    pressed: Instant,
    pub(crate) line: Line,
    /// When it appeared.
    pub(crate) after: Duration,
}

impl Watch {
    /// Presses the button at `url`, and waits for the line that it makes.
    pub(crate) async fn press(mari: &Session, names: &Names, url: &str) -> Result<Self, Failure> {
        let mut feed = Feed::open(mari).await?;
        let pressed = Instant::now();
        let button = reqwest::Client::new().post(format!("{url}{}", LOOK.1));
        let pressing = async { checked(button.send().await?).await };
        let appearing = in_time("the line did not appear", async {
            loop {
                let news = feed.next().await?;
                if news.kind != "line" {
                    continue;
                }
                let line = Line::read(news.data)?;
                let who = line.facts(names).who.and_then(|who| who.name);
                if who.as_deref() == Some("Dr Liis Kask") {
                    return Ok((line, pressed.elapsed()));
                }
            }
        });
        let (pressed_well, appeared) = tokio::join!(pressing, appearing);
        pressed_well?;
        let (line, after) = appeared?;
        Ok(Self { feed, pressed, line, after })
    }

    /// Waits until the line's state is this word or a later one; returns how long after the press.
    pub(crate) async fn until(&mut self, state: &str) -> Result<Duration, Failure> {
        let Self { feed, pressed, line, .. } = self;
        in_time(&format!("the line was not {state}"), async {
            while rank(&line.state) < rank(state) {
                let news = feed.next().await?;
                let covers = news.data["size"].as_u64().is_some_and(|size| line.index < size);
                if news.kind != "anchor" || !covers {
                    continue;
                }
                if let Some(reached) = news.data["state"].as_str() {
                    line.state = reached.to_owned();
                }
            }
            Ok(pressed.elapsed())
        })
        .await
    }
}

fn rank(state: &str) -> usize {
    ["recorded", "mined", "final"].iter().position(|one| *one == state).unwrap_or_default()
}

async fn in_time<T>(
    what: &str,
    waited_for: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = || Failure::new(format!("{what} within {} s", WAIT.as_secs()));
    tokio::time::timeout(WAIT, waited_for).await.unwrap_or_else(|_| Err(late()))
}

/// The proof of the line, opened, as the page downloads it.
pub(crate) async fn proof(mari: &Session, index: u64) -> Result<Vec<u8>, Failure> {
    let path = format!("/v1/entries/{index}/proof?open=true");
    Ok(mari.open_stream(&path).await?.bytes().await?.to_vec())
}

/// The receipt of the line.
pub(crate) async fn receipt(mari: &Session, index: u64) -> Result<Value, Failure> {
    mari.get(&format!("/v1/entries/{index}/receipt")).await
}
