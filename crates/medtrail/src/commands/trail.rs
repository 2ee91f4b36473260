//! `medtrail trail`: where one record of one's own came from and where it went. The log is asked
//! for lines only: each is checked here, and the way is drawn anew from what held.

use super::signing::SignIn;
use super::verify::read_trust;
use crate::clock::now_ms;
use crate::exit::{AMBER, FAILED, OK, Outcome};
use crate::render;
use alloy_primitives::{Address, B256};
use medtrail_fhir::supply::{Confirmation, Entry, Holder, Step, SupplyChain, What, supply_chain};
use medtrail_ledger::directory::organisation_id;
use medtrail_ledger::entry::{commitment, details_hash};
use medtrail_ledger::proof::{Document, Evidence, ShownPlace};
use medtrail_ledger::schema::{Place, Report, domain};
use medtrail_ledger::trust::TrustFile;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use time::OffsetDateTime;

/// Prints where one of your records came from and where it went: who held it, who passed it on to
/// whom, what was made of it, and whose signatures say so.
///
/// You sign in with your own key. The log is believed in nothing: each line's hash and signature are
/// checked here, by the trust file that you name, and what the log says of the way is not used. A
/// line that the log does not show is not found here: that none is missing your page checks.
///
/// Exit code 0: all of it is signed and confirmed. 3: something is only relayed, not confirmed by the
/// other side, not permitted, or the trail is longer than was looked at. 1: a line is not what it
/// says, or the log could not be asked.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The record, as your lines name it (0x and 64 digits)
    #[arg(long, value_name = "ID")]
    record: B256,
    #[command(flatten)]
    sign_in: SignIn,
    /// Who may sign in it: the operator's /.well-known/medtrail.json, as you have it
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `medtrail/line-v1`, as far as it is checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    index: u64,
    report: Report,
    place: ShownPlace,
    details: Option<Document>,
    evidence: Evidence,
}

/// A line that holds.
#[derive(Debug)]
struct Checked {
    index: u64,
    report: Report,
    place: Place,
    details: Option<Vec<u8>>,
    is_relayed: bool,
    organisation: Option<Address>,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let trust = read_trust(&args.trust)?;
    let session = args.sign_in.open().await?;
    let subject = session.address();
    let record = args.record;
    let answer = session.get(&format!("/v1/subjects/{subject}/chain?record={record}")).await?;
    let lines: Vec<Value> = answer["lines"].as_array().cloned().unwrap_or_default();
    let is_whole = answer["isWhole"].as_bool() == Some(true);

    let (mut held, mut broken) = (Vec::new(), Vec::new());
    for line in lines {
        match serde_json::from_value::<Line>(line).map_err(|error| error.to_string()) {
            Ok(line) => {
                let index = line.index;
                match check(line, subject, &trust) {
                    Ok(checked) => held.push(checked),
                    Err(why) => broken.push((Some(index), why)),
                }
            }
            Err(why) => broken.push((None, why)),
        }
    }
    held.sort_by_key(|line| line.index);
    let chain = chain_of(record, &held, &trust);
    let verdict = verdict(&chain, &broken, is_whole);
    match args.json {
        true => {
            let broken = broken.iter().map(|(index, why)| json!({ "index": index, "why": why }));
            let told = json!({
                "chain": chain,
                "checkedLines": held.len(),
                "broken": broken.collect::<Vec<_>>(),
                "isWhole": is_whole,
            });
            println!("{told:#}");
        }
        false => print(&chain, &broken, is_whole),
    }
    Ok(ExitCode::from(verdict))
}

fn verdict(chain: &SupplyChain, broken: &[(Option<u64>, String)], is_whole: bool) -> u8 {
    let is_plain = |step: &Step| {
        let is_confirmed =
            matches!(step.confirmation, Confirmation::OneSide | Confirmation::BothSides);
        is_confirmed && step.not_permitted.is_none() && step.lines.iter().all(|line| line.is_signed)
    };
    match (broken.is_empty(), is_whole && chain.steps.iter().all(is_plain)) {
        (false, _) => FAILED,
        (true, true) => OK,
        (true, false) => AMBER,
    }
}

/// Whether a line is what its hashes and its signature say.
fn check(line: Line, subject: Address, trust: &TrustFile) -> Result<Checked, String> {
    let Line { index, report, place, details, evidence } = line;
    let ShownPlace::Open(place) = place else { return Err("its place is not shown".to_owned()) };
    if report.log != trust.log {
        return Err(format!("it is of log {}, not of the one you named", report.log));
    }
    // A pseudonym may be one that was connected to this person: which, the lines do not say.
    let is_others = report.subject.0[..12] == [0; 12] && report.subject != subject.into_word();
    if is_others {
        return Err("it is about somebody else".to_owned());
    }
    let details = match details {
        None => None,
        Some(document) => {
            let bytes = document.bytes().ok_or("its details cannot be read")?;
            if details_hash(&bytes) != report.details {
                return Err("its details are not those that were reported".to_owned());
            }
            Some(bytes)
        }
    };
    let is_signed = evidence
        .verify(&report, &domain(trust.chain_id, trust.registry))
        .map_err(|error| error.to_string())?;
    let organisation = match is_signed {
        // The person's own.
        true if report.actor == subject => None,
        true => {
            let named = trust.organisation_of(report.actor, place.receivedMs);
            let named = named.ok_or_else(|| {
                format!("it is signed by {}, whom your trust file does not name then", report.actor)
            })?;
            Some(named.keys.first().map_or_else(|| organisation_id(&named.name), |key| key.address))
        }
        false if trust.is_operator(report.actor) => relayed_for(details.as_deref()),
        false => return Err("nobody signed it, and it is not the operator's word".to_owned()),
    };
    Ok(Checked { index, report, place, details, is_relayed: !is_signed, organisation })
}

/// On whose behalf the operator entered a line, if its details say so.
pub(super) fn relayed_for(details: Option<&[u8]>) -> Option<Address> {
    #[derive(Deserialize)]
    struct Relayed {
        version: String,
        organisation: Address,
    }
    let relayed: Relayed = serde_json::from_slice(details?).ok()?;
    (relayed.version == "medtrail/relayed-v1").then_some(relayed.organisation)
}

fn chain_of(record: B256, held: &[Checked], trust: &TrustFile) -> SupplyChain {
    let name = |id: Address| {
        let is_it = |key: &medtrail_ledger::trust::Key| key.address == id;
        let mut all = trust.organisations.iter();
        let found = all.find(|one| {
            one.keys.iter().any(is_it) || (one.keys.is_empty() && organisation_id(&one.name) == id)
        });
        found.map(|one| one.name.clone())
    };
    let entries: Vec<Entry<'_>> = held
        .iter()
        .map(|line| Entry {
            index: line.index,
            commitment: commitment(&line.report, &line.place),
            received_ms: line.place.receivedMs,
            report: &line.report,
            details: line.details.as_deref(),
            is_relayed: line.is_relayed,
            organisation: line.organisation,
        })
        .collect();
    supply_chain(record, &entries, &name, now_ms())
}

fn print(chain: &SupplyChain, broken: &[(Option<u64>, String)], is_whole: bool) {
    println!("Record {}", chain.record);
    if chain.steps.is_empty() {
        println!("No line of yours names it.");
    }
    let mut printed = HashSet::new();
    for (place, holder) in chain.holders.iter().enumerate() {
        if holder.from.is_none() {
            print_holder(chain, place, 0, &mut printed);
        }
    }
    for (index, why) in broken {
        let which = index.map_or_else(|| "A line".to_owned(), |index| format!("Line {index}"));
        println!("✗ {which} is not shown: {}.", render::harmless(why));
    }
    if !is_whole {
        println!("! Your trail is longer than was looked at: older steps may be missing.");
    }
}

/// A holder, what it did, and below it whoever has it from there.
fn print_holder(chain: &SupplyChain, place: usize, depth: usize, printed: &mut HashSet<usize>) {
    if !printed.insert(place) {
        return;
    }
    let indent = "   ".repeat(depth);
    let branch = if depth > 0 { "└─ " } else { "" };
    let outer = "   ".repeat(depth.saturating_sub(1));
    let holder = &chain.holders[place];
    let silent = if holder.is_confirmed { "" } else { "   (has said nothing itself)" };
    let outer = if depth > 0 { outer } else { String::new() };
    println!("{outer}{branch}{}{silent}", name_of(holder));
    for step in chain.steps.iter().filter(|step| step.by == place) {
        println!("{indent}   {}", words_of(chain, step));
        for one in &step.derived_from {
            let how = serde_json::to_value(one.how).unwrap_or_default();
            let how = how.as_str().unwrap_or_default();
            println!("{indent}      {how} from {}", render::harmless(&one.what));
        }
    }
    for (next, other) in chain.holders.iter().enumerate() {
        if other.from == Some(place) {
            print_holder(chain, next, depth + 1, printed);
        }
    }
}

fn name_of(holder: &Holder) -> String {
    let address = holder.organisation.map(|id| id.to_string());
    let name = holder.name.clone().or(address).unwrap_or_else(|| "somebody".to_owned());
    render::harmless(&name)
}

fn words_of(chain: &SupplyChain, step: &Step) -> String {
    let what = match (step.what, step.to) {
        (What::HandedOver, Some(to)) => format!("handed over to {}", name_of(&chain.holders[to])),
        (What::Created, _) => "created".to_owned(),
        (What::Deleted, _) => "deleted".to_owned(),
        _ => "changed".to_owned(),
    };
    let signed = step.lines.iter().filter(|line| line.is_signed).count();
    let word = match (step.confirmation, signed, step.lines.len()) {
        (Confirmation::BothSides, 2, _) => "signed by both",
        (Confirmation::BothSides, ..) => "! said by both, not signed by both",
        (Confirmation::Waiting, ..) => "! the other side has not confirmed it yet",
        (Confirmation::NotConfirmed, ..) => "! not confirmed by the other side",
        (Confirmation::OneSide, 0, _) => "! relayed, not signed",
        (Confirmation::OneSide, ..) => "signed",
    };
    let lines = step.lines.iter().map(|line| line.index.to_string()).collect::<Vec<_>>().join("+");
    let permission = match (step.not_permitted, step.permission) {
        (Some(_), _) => "; ✗ not permitted by you",
        (None, Some(_)) => "; names a permission",
        (None, None) => "",
    };
    format!("{}  {what}; {word}{permission}  (line {lines})", time_text(step.at_ms))
}

fn time_text(ms: u64) -> String {
    let at =
        i64::try_from(ms / 1000).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    at.map_or_else(
        || ms.to_string(),
        |at| format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute()),
    )
}
