//! `medtrail gateway questions` and `answer`: what people ask, and what the organisation says.

use crate::client::checked;
use crate::commands::questions::print_questions;
use crate::exit::{Failure, OK, Outcome};
use alloy_primitives::B256;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
struct Running {
    /// Where the gateway listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8090")]
    gateway: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Also those that were answered, or whose time has passed
    #[arg(long)]
    all: bool,
    /// Only those before this index: the `next` of the page before
    #[arg(long, value_name = "INDEX")]
    before: Option<u64>,
    #[command(flatten)]
    running: Running,
}

#[derive(clap::Args)]
pub(super) struct AnswerArgs {
    /// The question's id
    id: B256,
    /// The answer, as its person will read it
    text: String,
    /// The language it is in: en, et, …
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    #[command(flatten)]
    running: Running,
}

impl Running {
    fn client() -> Result<reqwest::Client, Failure> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60));
        Ok(client.redirect(reqwest::redirect::Policy::none()).build()?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.trim_end_matches('/'))
    }
}

pub(super) async fn list(args: ListArgs) -> Outcome {
    let before = args.before.map_or_else(String::new, |before| format!("&before={before}"));
    let url = args.running.url(&format!("/questions?all={}{before}", args.all));
    let answer = checked(Running::client()?.get(url).send().await?).await?;
    let listed: Value = answer.json().await?;
    match args.running.json {
        true => println!("{listed}"),
        false => print_questions(&listed),
    }
    Ok(ExitCode::from(OK))
}

pub(super) async fn answer(args: AnswerArgs) -> Outcome {
    let url = args.running.url(&format!("/questions/{}/answer", args.id));
    let mut body = json!({ "text": args.text });
    if let Some(language) = args.language {
        body["language"] = json!(language);
    }
    let answer = checked(Running::client()?.post(url).json(&body).send().await?).await?;
    let noted: Value = answer.json().await?;
    match args.running.json {
        true => println!("{noted}"),
        false => println!("Answered, signed by the organisation, as line {}.", noted["index"]),
    }
    Ok(ExitCode::from(OK))
}
