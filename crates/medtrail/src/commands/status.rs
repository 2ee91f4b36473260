//! `medtrail status`: how a running log is doing.

use crate::client::Client;
use crate::exit::{AMBER, Failure, OK, Outcome};
use crate::render;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// Says how a running log is doing: entries, anchors, and what is in the way.
///
/// Exit code 0: anchors move. 3: entries are taken, but something is in the way of anchors. 1: the
/// log takes no entries, or does not answer.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Look again every second until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let client = Client::new(&args.url)?;
    let mut said = String::new();
    loop {
        let (status, ready) = client.get("/readyz").await?;
        let line = match args.json {
            true => ready.to_string(),
            false => line_of(&ready),
        };
        if args.watch {
            // Only what changed: a log that stands still scrolls nothing away.
            if line != said {
                println!("{line}");
                said = line;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => continue,
                _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(OK)),
            }
        }
        if args.json {
            println!("{line}");
        } else {
            table_of(&ready);
        }
        return match (status.is_success(), ready["anchoring"]["problem"].is_null()) {
            (false, _) => Err(Failure::new("the log takes no reports")),
            (true, false) => Ok(ExitCode::from(AMBER)),
            (true, true) => Ok(ExitCode::from(OK)),
        };
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn line_of(ready: &Value) -> String {
    let anchoring = &ready["anchoring"];
    let mut line = format!(
        "{} entries · {} waiting for an anchor · mined {} · final {} · {}",
        text(&ready["entries"]),
        text(&anchoring["lagEntries"]),
        text(&anchoring["mined"]["size"]),
        text(&anchoring["final"]["size"]),
        text(&anchoring["state"]),
    );
    if let Some(what) = anchoring["problem"]["what"].as_str() {
        line.push_str(&format!(": {what}"));
    }
    let judging = &ready["judging"];
    if let Some(what) = judging["problem"]["what"].as_str() {
        line.push_str(&format!(" · {} changes not judged: {what}", text(&judging["waiting"])));
    }
    for part in ["questions", "notices", "erasures", "sales", "calls"] {
        if let Some(what) = ready[part]["problem"]["what"].as_str() {
            line.push_str(&format!(" · {part}: {what}"));
        }
    }
    line
}

fn table_of(ready: &Value) {
    let anchoring = &ready["anchoring"];
    let mut rows = vec![
        vec!["entries".to_owned(), text(&ready["entries"])],
        vec!["entries without an anchor".to_owned(), text(&anchoring["lagEntries"])],
        vec!["seconds they wait".to_owned(), text(&anchoring["lagS"])],
        vec!["newest anchor in a block".to_owned(), text(&anchoring["mined"]["size"])],
        vec!["newest final anchor".to_owned(), text(&anchoring["final"]["size"])],
        vec!["anchoring".to_owned(), text(&anchoring["state"])],
        vec!["changes to be judged".to_owned(), text(&ready["judging"]["waiting"])],
        vec!["questions without an answer".to_owned(), text(&ready["questions"]["open"])],
        vec!["notices to be sent".to_owned(), text(&ready["notices"]["waiting"])],
        vec!["erasures that wait".to_owned(), text(&ready["erasures"]["waiting"])],
    ];
    if !ready["sales"].is_null() {
        rows.push(vec!["sales under way".to_owned(), text(&ready["sales"]["open"])]);
    }
    if !ready["calls"].is_null() {
        rows.push(vec!["calls to many under way".to_owned(), text(&ready["calls"]["open"])]);
    }
    let parts = ["judging", "questions", "notices", "erasures", "sales", "calls"];
    let parts = parts.map(|part| &ready[part]);
    for part in [anchoring].into_iter().chain(parts) {
        if let Some(problem) = part["problem"].as_object() {
            rows.push(vec!["in the way".to_owned(), text(&problem["what"])]);
            rows.push(vec!["to do".to_owned(), text(&problem["advice"])]);
        }
    }
    render::table(&["", ""], rows);
}
