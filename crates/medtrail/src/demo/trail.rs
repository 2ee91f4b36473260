//! A person's lines, read as their page reads them.

use crate::exit::Failure;
use crate::session::Session;
use alloy_primitives::Address;
use medtrail_fhir::reading::{Facts, reading, sentence};
use medtrail_ledger::proof::{Document, Evidence};
use medtrail_ledger::schema::Report;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

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

    /// "signed by Kalda Family Doctors", as the page's badge.
    pub(crate) fn badge(&self, names: &Names) -> String {
        match (&self.evidence, names.0.get(&self.report.actor)) {
            (Evidence::Relayed, _) => "not signed".to_owned(),
            (_, Some(name)) => format!("signed by {name}"),
            (_, None) => format!("signed by {}", self.report.actor),
        }
    }
}

/// The newest line whose sentence begins like this.
pub(crate) async fn find(session: &Session, names: &Names, words: &str) -> Result<Line, Failure> {
    let path = format!("/v1/subjects/{}/trail?limit=1000", session.address());
    let mut page = session.get(&path).await?;
    let lines: Vec<Line> = serde_json::from_value(page["lines"].take())?;
    let mut found =
        lines.into_iter().filter(|line| sentence(&line.facts(names)).starts_with(words));
    found.next().ok_or_else(|| Failure::new(format!("no line says “{words}”")))
}

/// What is shown of several lines at once.
pub(crate) struct Row {
    pub(crate) at_ms: u64,
    pub(crate) words: String,
}

/// The newest lines by when they happened, an organisation's automatic checks counted as one.
pub(crate) async fn rows(session: &Session, names: &Names) -> Result<Vec<Row>, Failure> {
    let path = format!("/v1/subjects/{}/trail?limit=1000", session.address());
    let mut page = session.get(&path).await?;
    let lines: Vec<Line> = serde_json::from_value(page["lines"].take())?;
    let mut rows = Vec::new();
    let mut machines: HashMap<String, (u64, usize)> = HashMap::new();
    for facts in lines.iter().map(|line| line.facts(names)) {
        match &facts.organisation {
            Some(name) if facts.is_machine => {
                let (at_ms, count) = machines.entry(name.clone()).or_default();
                (*at_ms, *count) = (facts.at_ms.max(*at_ms), *count + 1);
            }
            // How she was connected was told before.
            _ if facts.kind == "binding" => {}
            _ => rows.push(Row { at_ms: facts.at_ms, words: sentence(&facts) }),
        }
    }
    rows.extend(machines.into_iter().map(|(name, (at_ms, count))| Row {
        at_ms,
        words: format!("{name}: {count} automatic checks"),
    }));
    rows.sort_by_key(|row| std::cmp::Reverse(row.at_ms));
    Ok(rows)
}
