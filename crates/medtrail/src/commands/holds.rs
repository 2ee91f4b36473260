//! `medtrail holds`: what the operator was ordered to keep.

use super::Configured;
use super::organisations::{sign_in, time_text};
use crate::exit::{Failure, OK, Outcome};
use crate::render;
use crate::session::text;
use alloy_primitives::B256;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Sets, lifts and lists legal holds: what is kept about somebody who is held is not erased.
///
/// Asks the log at `public_url`, signed in with the operator's key. Each change is an entry of the
/// log. Exits with 0, or with 1 where the log refused.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Holds what is kept about somebody
    Add {
        /// Their address, or a pseudonym
        subject: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        shared: Shared,
    },
    /// Lifts a hold
    Lift {
        /// The hold's id
        id: B256,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        shared: Shared,
    },
    /// Lists all holds
    List {
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(clap::Args)]
struct Why {
    /// Why; the person is told when it stands in the way of an erasure
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who ordered it
    #[arg(long, value_name = "NAME")]
    ordered_by: String,
}

#[derive(clap::Args)]
struct Shared {
    #[command(flatten)]
    configured: Configured,
    /// Print JSON, as the log answers it
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::Add { subject, why: Why { reason, ordered_by }, shared } => {
            let body = json!({ "subject": subject, "reason": reason, "orderedBy": ordered_by });
            let hold = sign_in(&shared.configured).await?.post("/v1/holds", &body).await?;
            match shared.json {
                true => println!("{hold}"),
                false => {
                    println!("Held. It is lifted by: medtrail holds lift {}", text(&hold, "id")?);
                }
            }
        }
        Command::Lift { id, why: Why { reason, ordered_by }, shared } => {
            let body = json!({ "reason": reason, "orderedBy": ordered_by });
            let path = format!("/v1/holds/{id}/lift");
            sign_in(&shared.configured).await?.post(&path, &body).await?;
            match shared.json {
                true => println!("{}", json!({ "lifted": id })),
                false => println!("{id} holds nothing any more."),
            }
        }
        Command::List { shared } => {
            let answer = sign_in(&shared.configured).await?.get("/v1/holds").await?;
            match shared.json {
                true => println!("{answer}"),
                false => listed(&answer)?,
            }
        }
    }
    Ok(ExitCode::from(OK))
}

fn listed(answer: &Value) -> Result<(), Failure> {
    let holds = answer["holds"].as_array().map_or(&[][..], Vec::as_slice);
    if holds.is_empty() {
        println!("Nobody is held.");
        return Ok(());
    }
    let row = |hold: &Value| -> Result<Vec<String>, Failure> {
        Ok(vec![
            text(hold, "id")?.to_owned(),
            text(hold, "subject")?.to_owned(),
            time_text(&hold["sinceMs"]),
            render::harmless(text(hold, "orderedBy")?),
            render::harmless(text(hold, "reason")?),
        ])
    };
    let rows = holds.iter().map(row).collect::<Result<_, _>>()?;
    render::table(&["Id", "Subject", "Since", "Ordered by", "Reason"], rows);
    Ok(())
}
