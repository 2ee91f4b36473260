//! A person's lines, read as their page reads them.

use crate::exit::Failure;
use crate::session::Session;
use alloy_primitives::{Address, B256};
use medtrail_fhir::reading::{Facts, reading, sentence};
use medtrail_fhir::supply::{Confirmation, SupplyChain};
use medtrail_ledger::proof::{Document, Evidence};
use medtrail_ledger::schema::Report;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// A line.
#[derive(Deserialize)]
pub(crate) struct Line {
    pub(crate) index: u64,
    pub(crate) state: String,
    report: Report,
    details: Option<Document>,
    evidence: Evidence,
}

/// What organisations are called, by their ids and keys.
pub(crate) struct Names(HashMap<Address, String>);

impl Names {
    pub(crate) async fn read(session: &Session) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Directory {
            organisations: Vec<Organisation>,
        }
        #[derive(Deserialize)]
        struct Organisation {
            id: Address,
            name: String,
            keys: Vec<medtrail_ledger::trust::Key>,
        }
        let directory: Directory = serde_json::from_value(session.get("/v1/organisations").await?)?;
        let mut names = HashMap::new();
        for Organisation { id, name, keys } in directory.organisations {
            let addresses = keys.iter().map(|key| key.address).chain([id]);
            names.extend(addresses.map(|address| (address, name.clone())));
        }
        Ok(Self(names))
    }
}

impl Line {
    pub(crate) fn read(value: Value) -> Result<Self, Failure> {
        Ok(serde_json::from_value(value)?)
    }

    pub(crate) fn facts(&self, names: &Names) -> Facts {
        let details = self.details.as_ref().and_then(Document::bytes);
        let is_relayed = matches!(self.evidence, Evidence::Relayed);
        reading(&self.report, details.as_deref(), is_relayed, &|address| {
            names.0.get(&address).cloned()
        })
    }

    /// The change that this line says was not permitted.
    fn refuses(&self) -> Option<u64> {
        let details = self.details.as_ref().and_then(Document::bytes)?;
        let told: Value = serde_json::from_slice(&details).ok()?;
        (told["version"] == "medtrail/refusal-v1").then(|| told["index"].as_u64())?
    }

    /// "signed by Kalda Family Doctors", as the page's badge.
    pub(crate) fn badge(&self, names: &Names) -> String {
        match (&self.evidence, names.0.get(&self.report.actor)) {
            (Evidence::Relayed, _) => "not signed".to_owned(),
            (_, Some(name)) => format!("signed by {name}"),
            (_, None) => format!("signed by {}", self.report.actor),
        }
    }
}

/// All lines of a person, newest first.
async fn lines(session: &Session, subject: B256) -> Result<Vec<Line>, Failure> {
    let path = format!("/v1/subjects/{subject}/trail?limit=1000");
    let mut page = session.get(&path).await?;
    Ok(serde_json::from_value(page["lines"].take())?)
}

/// The newest line whose sentence begins like this.
pub(crate) async fn find(session: &Session, names: &Names, words: &str) -> Result<Line, Failure> {
    let lines = lines(session, session.address().into_word()).await?;
    let mut found =
        lines.into_iter().filter(|line| sentence(&line.facts(names)).starts_with(words));
    found.next().ok_or_else(|| Failure::new(format!("no line says “{words}”")))
}

/// What is shown of several lines at once.
pub(crate) struct Row {
    pub(crate) at_ms: u64,
    pub(crate) words: String,
}

/// A person's newest lines by when they happened: an organisation's automatic checks counted as one,
/// and both sides of a hand-over as one.
pub(crate) async fn rows(
    session: &Session,
    names: &Names,
    subject: B256,
) -> Result<Vec<Row>, Failure> {
    let lines = lines(session, subject).await?;
    let is_own = subject == session.address().into_word();
    let refused: HashSet<u64> = lines.iter().filter_map(Line::refuses).collect();
    let mut rows = Vec::new();
    let mut machines: HashMap<String, (u64, usize)> = HashMap::new();
    let mut confirming = HashSet::new();
    for line in lines.iter().rev() {
        let facts = line.facts(names);
        let mut words = sentence(&facts);
        match &facts.organisation {
            Some(name) if facts.is_machine => {
                let (at_ms, count) = machines.entry(name.clone()).or_default();
                (*at_ms, *count) = (facts.at_ms.max(*at_ms), *count + 1);
                continue;
            }
            // How she was connected was told before.
            _ if facts.kind == "binding" => continue,
            _ if confirming.contains(&line.index) => continue,
            _ if facts.verb == "passOn" => {
                if let Some(other) = confirmed_by(session, subject, line).await? {
                    confirming.insert(other);
                    words.push_str(" Both confirmed.");
                }
            }
            // The log tells of each change that was not. An emergency waits for a word, and so does
            // whoever has no key.
            Some(_)
                if is_own
                    && facts.kind == "change"
                    && !(facts.is_self || facts.emergency || refused.contains(&line.index)) =>
            {
                words.push_str(" With your permission.");
            }
            _ => {}
        }
        rows.push(Row { at_ms: facts.at_ms, words });
    }
    rows.extend(machines.into_iter().map(|(name, (at_ms, count))| Row {
        at_ms,
        words: format!("{name}: {count} automatic checks"),
    }));
    // Of two in the same minute the one that was told later stands first.
    rows.reverse();
    rows.sort_by_key(|row| std::cmp::Reverse(row.at_ms));
    Ok(rows)
}

/// The line by which the other side of a hand-over confirms it, if it did.
async fn confirmed_by(
    session: &Session,
    subject: B256,
    line: &Line,
) -> Result<Option<u64>, Failure> {
    let record = line.report.record;
    let told = session.get(&format!("/v1/subjects/{subject}/chain?record={record}")).await?;
    let chain: SupplyChain = serde_json::from_value(told["chain"].clone())?;
    let both = chain.steps.iter().filter(|step| step.confirmation == Confirmation::BothSides);
    let mut pairs = both.filter_map(|step| match step.lines.as_slice() {
        [giver, taker] if giver.index == line.index => Some(taker.index),
        _ => None,
    });
    Ok(pairs.next())
}
