//! `medtrail waiting`, `medtrail emergencies`: what waits for a person's word and until when, and
//! changes that were made without asking.

use super::organisations::time_text;
use super::signing::{Asking, Signing, in_days, pseudonym, salt, shown};
use super::trail::relayed_for;
use crate::clock::now_ms;
use crate::exit::{Failure, OK, Outcome};
use crate::session::Session;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{commitment, details_hash};
use medtrail_ledger::proof::Document as Carried;
use medtrail_ledger::schema::{Place, Report};
use medtrail_permit::documents::{ChangeApproval, Document, Revoke, named};
use medtrail_permit::permits::CONFIRM_MS;
use serde_json::{Value, json};
use std::process::ExitCode;

const DAY_MS: u64 = 24 * 3_600_000;

/// Lists what waits for you, and until when.
#[derive(clap::Args)]
pub(crate) struct WaitingArgs {
    #[command(flatten)]
    asking: Asking,
}

/// Something that waits.
struct Item {
    due_ms: Option<u64>,
    what: String,
    how: String,
}

pub(crate) async fn waiting(args: WaitingArgs) -> Outcome {
    let asker = args.asking.open().await?;
    let emergencies = asker.session.get("/v1/emergencies?state=open&as=person&limit=200").await?;
    let claims = asker.session.get("/v1/claims?state=open&as=person&limit=200").await?;
    let requests = asker.session.get("/v1/approvals").await?;
    let erasure = format!("/v1/subjects/{}/erasure", asker.session.address());
    let erasure = asker.session.get(&erasure).await?;
    let all = json!({
        "emergencies": emergencies["emergencies"], "claims": claims["claims"],
        "requests": requests["requests"], "erasures": erasure["erasures"],
    });
    if asker.json {
        println!("{all:#}");
        return Ok(ExitCode::from(OK));
    }
    let me = asker.session.address();
    let items = items(&all, me);
    if items.is_empty() {
        println!("Nothing waits for you.");
    }
    for Item { due_ms, what, how } in items {
        println!("{what}");
        if let Some(due_ms) = due_ms {
            println!("  until {}, {}", time_text(&json!(due_ms)), left(due_ms, now_ms()));
        }
        println!("  {how}\n");
    }
    for (listed, family) in [(&emergencies, "emergencies list"), (&claims, "claims list")] {
        if !listed["next"].is_null() {
            println!("There are more: medtrail {family} --open");
        }
    }
    Ok(ExitCode::from(OK))
}

/// What ends first comes first; what has no end comes last.
fn items(all: &Value, me: Address) -> Vec<Item> {
    let list = |name: &str| all[name].as_array().cloned().unwrap_or_default();
    let mut items = Vec::new();
    for one in list("emergencies").iter().filter(|one| one["state"] == "open") {
        let id = shown(one, "id");
        items.push(Item {
            due_ms: one["dueMs"].as_u64(),
            what: format!("{} changed something without asking you (line {}).", who(one), one["index"]),
            how: format!(
                "It was right: medtrail emergencies confirm {id}\n  It was not:   medtrail emergencies deny {id}"
            ),
        });
    }
    let is_mine = |one: &&Value| {
        let subject = one["subject"].as_str().and_then(|text| text.parse::<B256>().ok());
        one["state"] == "asked" && subject.is_some_and(|subject| subject == me.into_word())
    };
    for one in list("requests").iter().filter(is_mine) {
        let (id, title) = (shown(one, "id"), shown(one, "title"));
        items.push(Item {
            due_ms: one["untilMs"].as_u64(),
            what: format!("{} asks to change \u{201c}{title}\u{201d}.", who(one)),
            how: format!(
                "Yes: medtrail approvals approve {id}\n  No:  medtrail approvals decline {id}"
            ),
        });
    }
    for one in list("erasures").iter().filter(|one| one["state"] == "waiting") {
        items.push(Item {
            due_ms: one["dueMs"].as_u64(),
            what: "What you asked to erase will be erased.".to_owned(),
            how: "To keep it: medtrail erase cancel".to_owned(),
        });
    }
    for one in list("claims").iter().filter(|one| one["state"] == "open") {
        let id = shown(one, "id");
        items.push(Item {
            due_ms: None,
            what: format!(
                "{} was billed for \u{201c}{}\u{201d} on {}.",
                who(one),
                shown(&one["service"], "text"),
                shown(one, "day")
            ),
            how: format!("Did you have it? medtrail claims answer {id} yes|no"),
        });
    }
    items.sort_by_key(|item| item.due_ms.unwrap_or(u64::MAX));
    items
}

fn left(due_ms: u64, now_ms: u64) -> String {
    match due_ms.saturating_sub(now_ms) / DAY_MS {
        _ if due_ms <= now_ms => "which is over".to_owned(),
        0 => "less than a day left".to_owned(),
        1 => "1 day left".to_owned(),
        days => format!("{days} days left"),
    }
}

/// Lists changes that were made without asking, and answers them.
#[derive(clap::Args)]
pub(crate) struct EmergenciesArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Lists your own, or those that the organisation made whose key this is
    List {
        /// Only those that still wait
        #[arg(long)]
        open: bool,
        /// As the person, where the key is an organisation's too
        #[arg(long)]
        person: bool,
        /// Only those before this index: the `next` of the page before
        #[arg(long, value_name = "INDEX")]
        before: Option<u64>,
        /// Of a person without a key, whose guardian you are: their pseudonym
        #[arg(long = "for", value_name = "PSEUDONYM", value_parser = pseudonym)]
        whom: Option<B256>,
        #[command(flatten)]
        asking: Asking,
    },
    /// Says that a change was right, by signing exactly this change
    Confirm(Word),
    /// Says no to a change: it stays where it stands, and everybody who checks sees your no
    Deny(Word),
}

/// The person's word about one, by its id.
#[derive(clap::Args)]
struct Word {
    /// The emergency's id
    id: B256,
    /// For a person without a key, whose guardian you are: their pseudonym
    #[arg(long = "for", value_name = "PSEUDONYM", value_parser = pseudonym)]
    whom: Option<B256>,
    #[command(flatten)]
    signing: Signing,
}

pub(crate) async fn emergencies(args: EmergenciesArgs) -> Outcome {
    match args.command {
        Command::List { open, person, before, whom, asking } => {
            let mut path = format!("/v1/emergencies?state={}", if open { "open" } else { "all" });
            if person {
                path.push_str("&as=person");
            }
            if let Some(before) = before {
                path.push_str(&format!("&before={before}"));
            }
            if let Some(whom) = whom {
                path.push_str(&format!("&subject={whom}"));
            }
            let asker = asking.open().await?;
            let listed = asker.session.get(&path).await?;
            asker.tell(&listed, || print(&listed))
        }
        Command::Deny(Word { id, whom, signing }) => {
            let signed = signing.open().await?;
            find(&signed.session, id, whom).await?;
            let subject = whom.map_or_else(|| signed.session.address(), named);
            let no = Document::Revoke(Revoke { subject, permission: id });
            let answer = signed.permit(no, whom).await?;
            signed.tell(&answer, |told| format!("You said no, line {}.", told["index"]))
        }
        Command::Confirm(Word { id, whom, signing }) => {
            let signed = signing.open().await?;
            let found = find(&signed.session, id, whom).await?;
            let index = &found["index"];
            let line = signed.session.get(&format!("/v1/entries/{index}")).await?;
            // What is signed is what the line says, not what the list says of it.
            let report: Report = serde_json::from_value(line["report"].clone())?;
            let place: Place = serde_json::from_value(line["place"]["open"].clone())
                .map_err(|_| Failure::new("the service does not show the line's place"))?;
            if commitment(&report, &place) != id {
                return Err(Failure::new(format!("line {index} is not the change {id}")));
            }
            if report.record.is_zero() || report.fromVersion == report.toVersion {
                return Err(Failure::new(format!(
                    "line {index} does not say which version became which, so that there is \
                     nothing to sign; you can say no: medtrail emergencies deny {id}"
                )));
            }
            let custodian = match line["evidence"].as_str() {
                // Nobody signed it: it is the word of the organisation for which it was entered.
                Some("relayed") => {
                    let details: Option<Carried> = serde_json::from_value(line["details"].clone())?;
                    let details = details.and_then(|carried| carried.bytes()).unwrap_or_default();
                    if details_hash(&details) != report.details {
                        return Err(Failure::new(format!("line {index} shows other details")));
                    }
                    relayed_for(Some(&details)).unwrap_or(report.actor)
                }
                _ => report.actor,
            };
            let approval = ChangeApproval {
                statement: String::new(),
                subject: whom.map_or_else(|| signed.session.address(), named),
                custodian,
                record: report.record,
                fromVersion: report.fromVersion,
                toVersion: report.toVersion,
                epoch: signed.epoch(whom).await?,
                expiresAt: in_days(CONFIRM_MS / DAY_MS),
                salt: salt()?,
            };
            let answer = signed.permit(Document::ChangeApproval(approval), whom).await?;
            signed.tell(&answer, |told| format!("Confirmed, line {}.", told["index"]))
        }
    }
}

fn who(one: &Value) -> String {
    match shown(&one["organisation"], "name") {
        name if name.is_empty() => "Somebody".to_owned(),
        name => name,
    }
}

/// One of the person's, by its id.
async fn find(session: &Session, id: B256, whom: Option<B256>) -> Result<Value, Failure> {
    let of = whom.map(|whole| format!("&subject={whole}")).unwrap_or_default();
    let mut before = String::new();
    loop {
        let path = format!("/v1/emergencies?as=person&limit=200{of}{before}");
        let listed = session.get(&path).await?;
        let all = listed["emergencies"].as_array().into_iter().flatten();
        let is_it =
            |one: &&Value| one["id"].as_str().and_then(|text| text.parse().ok()) == Some(id);
        if let Some(found) = all.clone().find(is_it) {
            return Ok(found.clone());
        }
        let Some(next) = listed["next"].as_u64() else {
            return Err(Failure::new(format!(
                "no emergency {id} of yours: `medtrail emergencies list` tells their ids"
            )));
        };
        before = format!("&before={next}");
    }
}

fn print(listed: &Value) {
    let all = listed["emergencies"].as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        println!("No emergencies.");
        return;
    }
    for one in all {
        println!("{} changed something without asking, line {}.", who(one), one["index"]);
        let until = time_text(&one["dueMs"]);
        match one["state"].as_str() {
            Some("open") => {
                let due_ms = one["dueMs"].as_u64().unwrap_or_default();
                println!("  waits for an answer until {until}, {}", left(due_ms, now_ms()));
            }
            Some("unanswered") => println!(
                "  nobody answered until {until}, as line {} says: that permits nothing",
                one["unanswered"]
            ),
            Some("nobody-to-ask") => println!("  nobody can be asked yet"),
            _ => {
                let at = time_text(&one["answer"]["atMs"]);
                println!("  {}, {at}", shown(one, "state"));
            }
        }
        println!("  Emergency {}\n", shown(one, "id"));
    }
    if let Some(next) = listed["next"].as_u64() {
        println!("There are more: --before {next}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_first_comes_first_and_only_what_waits_is_listed() {
        let me = Address::repeat_byte(1);
        let clinic = json!({ "name": "Clinic\u{1b}[31m" });
        let all = json!({
            "emergencies": [
                { "id": "0x2", "index": 7, "state": "open", "dueMs": 200, "organisation": clinic },
                { "id": "0x3", "index": 8, "state": "unanswered", "dueMs": 100 },
                { "id": "0x4", "index": 9, "state": "confirmed", "dueMs": 100 },
            ],
            "requests": [
                { "id": "0x5", "state": "asked", "title": "A", "untilMs": 100,
                  "subject": me.into_word(), "organisation": clinic },
                { "id": "0x6", "state": "asked", "title": "Another person's", "untilMs": 1,
                  "subject": B256::ZERO },
                { "id": "0x7", "state": "done", "title": "Done", "untilMs": 1,
                  "subject": me.into_word() },
            ],
            "erasures": [{ "state": "waiting", "dueMs": 300 }, { "state": "done", "dueMs": 1 }],
            "claims": [{ "id": "0x8", "state": "open", "day": "2026-11-27", "service": { "text": "MRI" } }],
        });
        let items = items(&all, me);
        let due: Vec<_> = items.iter().map(|item| item.due_ms).collect();
        assert_eq!(due, [Some(100), Some(200), Some(300), None]);
        assert_eq!(
            items[1].what,
            "Clinic\u{fffd}[31m changed something without asking you (line 7)."
        );
        assert!(items[1].how.contains("medtrail emergencies confirm 0x2"), "{}", items[1].how);
        assert_eq!(items[3].what, "Somebody was billed for \u{201c}MRI\u{201d} on 2026-11-27.");
    }

    #[test]
    fn what_is_left_is_told_in_whole_days() {
        assert_eq!(left(30 * DAY_MS, 0), "30 days left");
        assert_eq!(left(2 * DAY_MS - 1, 0), "1 day left");
        assert_eq!(left(DAY_MS - 1, 0), "less than a day left");
        assert_eq!(left(5, 5), "which is over");
    }
}
