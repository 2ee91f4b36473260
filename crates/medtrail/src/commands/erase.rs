//! `medtrail erase`: a person asks for erasure from a terminal, cancels it, and reads how far it is.

use super::organisations::time_text;
use super::signing::{Asking, Signing};
use crate::clock::now_ms;
use crate::exit::{FAILED, Failure, OK, Outcome};
use crate::render;
use crate::session::{Session, text};
use medtrail_permit::documents::{Document, Erase};
use medtrail_permit::statements::{Language, worded};
use serde_json::{Value, json};
use std::process::ExitCode;

/// For how long a signed wish may be carried to the log.
const GOOD_FOR_S: u64 = 3600;

/// Asks a log to erase what it keeps about you, with your own key.
///
/// Exits with 0; with 1 where the log refused, or where nothing was asked for because --yes was not
/// given.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Shows what you would sign; with --yes, signs it and sends it
    Ask {
        /// Only the records in the vault: all lines stay
        #[arg(long)]
        records_only: bool,
        /// Sign it
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        signing: Signing,
    },
    /// Cancels the erasure that waits
    Cancel {
        #[command(flatten)]
        asking: Asking,
    },
    /// Shows how far your erasures are
    Status {
        #[command(flatten)]
        asking: Asking,
    },
}

fn path(session: &Session) -> String {
    format!("/v1/subjects/{}/erasure", session.address())
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::Ask { records_only, yes, signing } => ask(records_only, yes, signing).await,
        Command::Cancel { asking } => {
            let asker = asking.open().await?;
            asker.session.delete(&path(&asker.session)).await?;
            asker.tell(&json!({ "cancelled": true }), || println!("Cancelled: nothing is erased."))
        }
        Command::Status { asking } => {
            let asker = asking.open().await?;
            let told = asker.session.get(&path(&asker.session)).await?;
            if asker.json {
                println!("{told:#}");
            } else {
                status(&told)?;
            }
            Ok(ExitCode::from(OK))
        }
    }
}

async fn ask(records_only: bool, yes: bool, signing: Signing) -> Outcome {
    let signed = signing.open().await?;
    let told = signed.session.get(&path(&signed.session)).await?;
    tell_of_aliases(&told);
    let lines = told["lines"].as_u64().unwrap_or(0);
    if lines == 0 && !records_only {
        return Err(Failure::new("there is no line about you: nothing to erase"));
    }
    let document = Document::Erase(Erase {
        statement: String::new(),
        subject: signed.session.address(),
        log: signed.trust.log,
        upToOrdinal: if records_only { 0 } else { lines },
        // A statement tells the minute.
        expiresAt: (now_ms() / 1000 + GOOD_FOR_S).next_multiple_of(60),
    });
    let document = worded(document, Language::En);
    let document = document.ok_or_else(|| Failure::new("this document has no words"))?;
    let statement = document.statement().unwrap_or_default();
    if !yes {
        match signed.json {
            true => println!("{:#}", json!({ "document": document, "asked": false })),
            false => println!("You would sign:\n\n{statement}\n\nNothing was sent: add --yes."),
        }
        return Ok(ExitCode::from(FAILED));
    }
    if !signed.json {
        println!("{statement}\n");
    }
    let answer = signed.permit(document, None).await?;
    match signed.json {
        true => println!("{answer:#}"),
        false => {
            let told = signed.session.get(&path(&signed.session)).await?;
            let due = time_text(&told["erasures"][0]["dueMs"]);
            println!("Asked for, in line {}. It is done on {due};", answer["index"]);
            println!("until then: medtrail erase cancel");
        }
    }
    Ok(ExitCode::from(OK))
}

/// Addresses that the person sells under are erased by their own keys.
fn tell_of_aliases(told: &Value) {
    for alias in told["aliases"].as_array().into_iter().flatten() {
        let alias = render::harmless(alias.as_str().unwrap_or_default());
        eprintln!("This does not cover your address for selling {alias}: ask with its key too.");
    }
}

fn status(told: &Value) -> Result<(), Failure> {
    tell_of_aliases(told);
    println!("Lines about you: {}", told["lines"]);
    for (name, what) in [("keepsRecords", "Records"), ("keepsLines", "Lines")] {
        if told[name].is_object() {
            println!("{what} cannot be erased now: {}.", reason(&told[name]));
        }
    }
    let erasures = told["erasures"].as_array().map_or(&[][..], Vec::as_slice);
    if erasures.is_empty() {
        println!("You have asked for no erasure.");
        return Ok(());
    }
    let row = |one: &Value| -> Result<Vec<String>, Failure> {
        let state = match text(one, "state")? {
            "refused" => format!("refused: {}", reason(&one["reason"])),
            state => state.to_owned(),
        };
        let form = text(one, "form")?.to_owned();
        Ok(vec![form, time_text(&one["askedMs"]), time_text(&one["dueMs"]), state])
    };
    let rows = erasures.iter().map(row).collect::<Result<_, _>>()?;
    render::table(&["What", "Asked", "Day", "State"], rows);
    Ok(())
}

fn reason(reason: &Value) -> String {
    let word = |name: &str| render::harmless(reason[name].as_str().unwrap_or_default());
    match reason["kind"].as_str() {
        Some("legal-hold") => format!("held by {}: {}", word("orderedBy"), word("reason")),
        Some("retention") => {
            format!("the duty to keep them ends on {}", time_text(&reason["untilMs"]))
        }
        _ => "for a reason unknown to this version".to_owned(),
    }
}
