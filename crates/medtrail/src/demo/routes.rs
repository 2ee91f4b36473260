//! What the demo answers beside the product, under `/demo/`: its story, its wallet, its button.

use super::anvil;
use super::jaan;
use super::live::Live;
use super::rpc;
use super::words::{ACTS, ANSWER, Act, LOOK, PROPERLY, STRIP};
use alloy_primitives::bytes::Bytes;
use futures::future::BoxFuture;
use medtrail_api::{DemoAnswer, DemoRoutes};
use medtrail_web::Assets;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

/// The demo's routes. The server opens before the organisations do, which need it to enrol.
#[derive(Default)]
pub(crate) struct Routes(OnceLock<Arc<Live>>);

impl Routes {
    /// From now on the story is told and its button works.
    pub(crate) fn open(&self, live: Arc<Live>) {
        let _ = self.0.set(live);
    }
}

impl DemoRoutes for Routes {
    fn answer(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> BoxFuture<'static, Option<DemoAnswer>> {
        let live = self.0.get().cloned();
        if (method, path) == ("POST", "/demo/rpc") {
            return Box::pin(async move {
                Some(match live {
                    Some(live) => rpc::pass(&live.reporters.http, &live.rpc, &body).await,
                    None => starting(),
                })
            });
        }
        let button = [LOOK.1, ANSWER.1, PROPERLY.1].into_iter().find(|known| *known == path);
        let button = button.filter(|_| method == "POST");
        let found = match (method, path) {
            ("GET", "/demo/wallet.js") => wallet(),
            ("GET", "/demo/story.json") => {
                Some(live.as_ref().map_or_else(starting, |live| answer(200, &story(live))))
            }
            _ => None,
        };
        Box::pin(async move {
            match (button, live) {
                (Some(button), Some(live)) => Some(press(button, live).await),
                (Some(_), None) => Some(starting()),
                (None, _) => found,
            }
        })
    }
}

/// What a button does, and what is told beside it.
async fn press(button: &str, live: Arc<Live>) -> DemoAnswer {
    let done = match button {
        path if path == ANSWER.1 => live.answer().await.map(|count| match count {
            0 => "Nobody has asked the hospital anything yet.",
            _ => "The hospital’s desk has signed an answer.",
        }),
        path if path == PROPERLY.1 => live.ask().await.map(|()| {
            "The hospital asks to write penicillin and ibuprofen. Look under “Waiting for you”."
        }),
        _ => live.look().await.map(|()| {
            "Dr Liis Kask opened Mari’s allergies. The gateway of her practice has signed what it \
             reports."
        }),
    };
    match done {
        Ok(text) => answer(200, &json!({ "text": text })),
        Err(failure) => {
            let detail = failure.to_string();
            answer(502, &json!({ "title": "It could not be done", "detail": detail }))
        }
    }
}

fn starting() -> DemoAnswer {
    answer(503, &json!({ "title": "The demo is still starting", "detail": "Try again soon." }))
}

fn wallet() -> Option<DemoAnswer> {
    let asset = Assets.demo_wallet()?;
    Some(DemoAnswer { status: 200, media_type: asset.media_type, body: asset.bytes.into_owned() })
}

pub(super) fn answer(status: u16, body: &Value) -> DemoAnswer {
    DemoAnswer { status, media_type: "application/json", body: body.to_string().into_bytes() }
}

/// The story, as the page takes it.
fn story(live: &Live) -> Value {
    let button = |(label, post): &(&str, &str)| json!({ "label": label, "post": post });
    let place = |(label, path): &(&str, &str)| json!({ "label": label, "path": path });
    let act = |(number, act): (usize, &Act)| {
        json!({
            "number": number + 1,
            "title": act.title,
            "text": act.text,
            "buttons": act.buttons.iter().map(button).collect::<Vec<_>>(),
            "places": act.places.iter().map(place).collect::<Vec<_>>(),
            "isOpen": act.is_open(),
        })
    };
    json!({
        "strip": STRIP,
        "acts": ACTS.iter().enumerate().map(act).collect::<Vec<_>>(),
        "accounts": live.accounts,
        "wallet": "/demo/wallet.js",
        "gateways": live.reporters.gateways(),
        "people": [{
            "by": live.accounts.by_role("patient").address,
            "of": live.reporters.jaan,
            "name": jaan::NAME,
        }],
        "chain": {
            "chainId": anvil::CHAIN_ID,
            "name": "Medtrail demo",
            "rpcUrl": live.rpc,
            "symbol": "ETH",
        },
    })
}
