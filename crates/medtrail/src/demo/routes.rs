//! What the demo answers beside the product, under `/demo/`: its story, its wallet, its button.

use super::anvil;
use super::live::Live;
use super::words::{ACTS, Act, LOOK, STRIP};
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
    fn answer(&self, method: &str, path: &str, _: Bytes) -> BoxFuture<'static, Option<DemoAnswer>> {
        let live = self.0.get().cloned();
        let is_look = (method, path) == ("POST", LOOK.1);
        let found = match (method, path) {
            ("GET", "/demo/wallet.js") => wallet(),
            ("GET", "/demo/story.json") => {
                Some(live.as_ref().map_or_else(starting, |live| answer(200, &story(live))))
            }
            _ => None,
        };
        Box::pin(async move {
            match (is_look, live) {
                (true, Some(live)) => Some(look(&live).await),
                (true, None) => Some(starting()),
                (false, _) => found,
            }
        })
    }
}

async fn look(live: &Live) -> DemoAnswer {
    match live.look().await {
        Ok(()) => {
            let text = "Dr Liis Kask opened Mari’s allergies. The gateway of her practice has \
                        signed what it reports.";
            answer(200, &json!({ "text": text }))
        }
        Err(failure) => {
            let detail = failure.to_string();
            answer(502, &json!({ "title": "The doctor could not look", "detail": detail }))
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

fn answer(status: u16, body: &Value) -> DemoAnswer {
    DemoAnswer { status, media_type: "application/json", body: body.to_string().into_bytes() }
}

/// The story, as the page takes it.
fn story(live: &Live) -> Value {
    let button = |(label, post): &(&str, &str)| json!({ "label": label, "post": post });
    let act = |(place, act): (usize, &Act)| {
        json!({
            "number": place + 1,
            "title": act.title,
            "text": act.text,
            "buttons": act.buttons.iter().map(button).collect::<Vec<_>>(),
            "isOpen": !act.buttons.is_empty(),
        })
    };
    json!({
        "strip": STRIP,
        "acts": ACTS.iter().enumerate().map(act).collect::<Vec<_>>(),
        "accounts": live.accounts,
        "wallet": "/demo/wallet.js",
        "gateways": live.reporters.gateways(),
        "chain": {
            "chainId": anvil::CHAIN_ID,
            "name": "Medtrail demo",
            "rpcUrl": live.rpc,
            "symbol": "ETH",
        },
    })
}
