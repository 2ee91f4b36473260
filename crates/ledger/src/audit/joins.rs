//! What joined whose trail: each entry of kind 11 that nobody signed shows the two signatures by which
//! it joins, and an alias is one person's.

use super::content::Opened;
use super::order::InOrder;
use super::{Check, Fault, Flaw, Tally};
use crate::binding::alias::{self, AliasDetails};
use crate::binding::{self, BindingDetails, BindingDocumentError};
use crate::entry::{Kind, subject_of};
use crate::proof::Evidence;
use crate::schema::{Eip712Domain, digest};
use alloy_primitives::{Address, B256};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Follows the entries that join. Grows with the number of aliases.
pub struct Joins {
    domain: Eip712Domain,
    /// To whom each alias joined first.
    aliases: BTreeMap<Address, Address>,
    persons: BTreeSet<Address>,
}

/// Why an entry joins nothing.
#[derive(Debug, thiserror::Error)]
enum Unjoined {
    #[error("it shows no document of a version known here")]
    Unknown,
    #[error("its document cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Document(#[from] BindingDocumentError),
    #[error("it stands in the trail of {0}, which its document does not name")]
    Elsewhere(B256),
    #[error("it names another document than the one that it shows")]
    OtherDocument,
}

impl Joins {
    /// Of a log whose documents are signed for this domain.
    pub fn new(domain: Eip712Domain) -> Self {
        let (aliases, persons) = Default::default();
        Self { domain, aliases, persons }
    }

    fn check(&self, entry: &Opened) -> Result<Option<(Address, Address)>, Unjoined> {
        #[derive(Deserialize)]
        struct Versioned {
            version: String,
        }
        let details = entry.details.as_deref().ok_or(Unjoined::Unknown)?;
        let Versioned { version } = serde_json::from_slice(details)?;
        let (report, time_s) = (&entry.report, entry.report.timeMs / 1000);
        let (document, trails, named, joined) = match version.as_str() {
            alias::VERSION => {
                let read: AliasDetails = serde_json::from_slice(details)?;
                read.verify(&self.domain, time_s)?;
                let joined = (read.document.custodian, read.document.subject);
                // Such an entry names no document: its id could be guessed.
                (B256::ZERO, read.trails(), report.permission, Some(joined))
            }
            binding::VERSION => {
                let read: BindingDetails = serde_json::from_slice(details)?;
                read.verify(&self.domain, time_s)?;
                let trails = [read.document.pseudonym, subject_of(read.document.subject)];
                (digest(&read.document, &self.domain), trails, report.permission, None)
            }
            _ => return Err(Unjoined::Unknown),
        };
        if !trails.contains(&report.subject) {
            return Err(Unjoined::Elsewhere(report.subject));
        }
        if named != document {
            return Err(Unjoined::OtherDocument);
        }
        Ok(joined)
    }
}

impl InOrder for Joins {
    fn opened(&mut self, entry: &Opened, tally: &mut Tally) {
        let is_binding = Kind::from_number(entry.report.kind) == Kind::Binding;
        // What an organisation signed under this kind ends a guardianship.
        if !is_binding || entry.evidence != Evidence::Relayed {
            return;
        }
        tally.count(Check::Joins, 1);
        let index = entry.index;
        let (alias, person) = match self.check(entry) {
            Ok(None) => return,
            Ok(Some(joined)) => joined,
            Err(error) => {
                let words = format!("entry {index} says that something joined a trail: {error}.");
                return tally.fault(Fault::new(Flaw::JoinUnfounded, words).at(index));
            }
        };
        let known = *self.aliases.entry(alias).or_insert(person);
        self.persons.insert(person);
        let is_chain = self.persons.contains(&alias) || self.aliases.contains_key(&person);
        if known != person || is_chain {
            let words = format!(
                "entry {index} joins an address that joined another one, or that others joined."
            );
            tally.fault(Fault::new(Flaw::JoinedTwice, words).at(index));
        }
    }

    fn finish(&mut self, tally: &mut Tally) {
        if tally.of(Check::Joins).is_none() {
            return;
        }
        let words =
            "What joined a trail was signed by both keys, and no address joined two people.";
        tally.say(Check::Joins, words);
    }
}
