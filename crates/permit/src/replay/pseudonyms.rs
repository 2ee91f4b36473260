//! Who keeps each pseudonym and whose it became, as far as the log and the trust file tell it.
//!
//! Where they do not (a row is gone; an organisation or a key that the trust file does not name), who
//! may say who a guardian is cannot be known: then nothing is held against anybody. In memory stands
//! one of these for each pseudonym.

use super::organisations::{Keeper, Organisations};
use super::{Change, Replay, Standing};
use crate::documents::{Document, Registries};
use crate::guardianship_end::GuardianshipEnd;
use crate::papers::Recorded;
use crate::permits::{Act, Bound, Pseudonym};
use crate::signed::PermissionDetails;
use alloy_primitives::{Address, B256};
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::binding::{self, BindingDetails};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::proof::Evidence;
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Pseudonyms(HashMap<B256, Kept>);

struct Kept {
    keeper: Keeper,
    /// The ordinal of its next entry.
    next: u64,
    /// Every entry until now was read.
    is_whole: bool,
    /// Whoever spoke here as an organisation is one that is known.
    is_sure: bool,
    bound: Option<Bound>,
}

/// Whether a subject id is a pseudonym.
pub(super) fn is_pseudonym(subject: B256) -> bool {
    subject.0[..12] != [0; 12]
}

impl Pseudonyms {
    /// Hears what an entry says of its pseudonym; `documents` stand in that trail before it.
    pub(super) fn hear(
        &mut self,
        entry: &Opened,
        organisations: &Organisations<'_>,
        documents: &[Recorded],
        registries: &Registries,
    ) {
        let subject = entry.report.subject;
        if !is_pseudonym(subject) {
            return;
        }
        let kept = self.0.entry(subject).or_insert_with(|| Kept {
            keeper: organisations.keeper_of(entry),
            next: 1,
            is_whole: true,
            is_sure: true,
            bound: None,
        });
        let ordinal = entry.header.ordinal;
        kept.is_whole &= ordinal == kept.next;
        kept.next = ordinal.saturating_add(1);
        let details = entry.details.as_deref().unwrap_or_default();
        let is_relayed = entry.evidence == Evidence::Relayed;
        match Kind::from_number(entry.report.kind) {
            Kind::Permission if is_relayed => {
                let said_by = speaker(details, documents, registries);
                kept.is_sure &= said_by.is_none_or(|key| organisations.knows(key));
            }
            Kind::Binding if is_relayed => {
                let read = serde_json::from_slice::<BindingDetails>(details).ok();
                let read = read.filter(|read| {
                    read.version == binding::VERSION && read.document.pseudonym == subject
                });
                if let Some(read) = read.filter(|_| kept.bound.is_none()) {
                    let received_ms = entry.place.receivedMs;
                    kept.bound = Some(Bound { subject: read.document.subject, received_ms });
                }
            }
            Kind::Binding if GuardianshipEnd::read(&entry.report, details).is_ok() => {
                kept.is_sure &= organisations.knows(entry.report.actor);
            }
            _ => {}
        }
    }

    /// Whether it cannot be told who may speak for whoever this is; `is_silent`: no document stands
    /// in that trail, so that whose keys would count decides nothing.
    pub(super) fn is_unknown(
        &self,
        subject: B256,
        organisations: &Organisations<'_>,
        is_silent: bool,
    ) -> bool {
        let is_known = |kept: &Kept| match kept.keeper {
            _ if !kept.is_whole => false,
            _ if is_silent => true,
            Keeper::Unknown => false,
            Keeper::Nobody => kept.is_sure,
            Keeper::Organisation(id) => kept.is_sure && organisations.knows(id),
        };
        is_pseudonym(subject) && !self.0.get(&subject).is_some_and(is_known)
    }

    /// The subject id of the person whose a pseudonym became.
    pub(super) fn became(&self, pseudonym: B256) -> Option<B256> {
        let bound = self.0.get(&pseudonym)?.bound.as_ref()?;
        Some(bound.subject.into_word())
    }

    /// What is judged by where an act is about a pseudonym: all keys count that its keeper has or
    /// had, as in the engine.
    pub(super) fn of(
        &self,
        subject: B256,
        organisations: &Organisations<'_>,
        is_silent: bool,
    ) -> Vec<Pseudonym> {
        let Some(kept) = self.0.get(&subject) else { return Vec::new() };
        let keepers = match kept.keeper {
            Keeper::Organisation(id) if !is_silent => organisations.keys_of(id),
            _ => Vec::new(),
        };
        vec![Pseudonym { pseudonym: subject, keepers, bound: kept.bound }]
    }
}

impl Replay<'_> {
    /// The log and the trust file do not tell who may speak for whom it is about.
    pub(super) fn is_unknown(&self, subject: B256) -> bool {
        let trail = self.trails.get(&subject);
        let is_silent = trail.is_none_or(|trail| trail.papers.documents().is_empty());
        self.pseudonyms.is_unknown(subject, &self.organisations, is_silent)
    }

    /// A change at an organisation about somebody without an address. Where documents stand in the
    /// trail the log judges it; elsewhere nobody can have taken anything back, and nothing is owed.
    /// Kept is only what was to be refused, or may truthfully be.
    pub(super) fn take_keyless(&mut self, entry: &Opened, act: Act, organisation: Option<Address>) {
        self.found.without_key += 1;
        if act.need.is_emergency() {
            self.clocks.keyless(act.commitment, act.received_ms);
        }
        let standing = self.standing(&act, act.received_ms).0;
        match standing {
            Standing::Counts => self.found.without_key_permitted += 1,
            Standing::Unconfirmed => {}
            Standing::Both => {
                self.found.both += 1;
                self.both.insert(act.commitment);
            }
            Standing::Refused(reason) => {
                self.found.without_key_refused += 1;
                let id = organisation.unwrap_or(act.report.actor);
                self.found.of_one(id, self.organisations.name_of(id), &act, reason);
                let documents = self.documents(&act);
                if documents == 0 {
                    self.both.insert(act.commitment);
                    return;
                }
                let entry = self.kept_whole(entry);
                let change = Change { act, organisation, standing, documents, entry };
                self.open.insert(change.act.commitment, change);
            }
        }
    }

    /// Hears since when the log judges these, if it says so: a version before did not. Only the
    /// first such line counts, so that an operator cannot begin again and again.
    pub(super) fn hear_of_judging(&mut self, entry: &Opened) {
        #[derive(Deserialize)]
        struct Operation {
            version: String,
            act: String,
        }
        let is_own = Kind::from_number(entry.report.kind) == Kind::Operation
            && entry.evidence == Evidence::Relayed;
        if !is_own || self.pseudonyms_from.is_some() {
            return;
        }
        let details = entry.details.as_deref().unwrap_or_default();
        let said = serde_json::from_slice::<Operation>(details).ok();
        let says = |said: &Operation| {
            said.version == "medtrail/operation-v1" && said.act == "pseudonyms-judged"
        };
        self.pseudonyms_from = said.filter(says).map(|_| entry.index);
    }

    /// Whether a change is about a pseudonym and older than the log says that it judges these.
    pub(super) fn is_before_judging(&self, act: &Act) -> bool {
        is_pseudonym(act.report.subject)
            && self.pseudonyms_from.is_some_and(|from| act.index < from)
    }

    /// Whether a refusal of a change about somebody without an address may be true: nobody can tell,
    /// or who acts for them has said no to the change.
    pub(super) fn may_be_refused_keyless(&self, subject: B256, named: B256) -> bool {
        let says_no = |one: &Recorded| match &one.signed.document {
            Document::Revoke(revoke) => revoke.permission == named,
            _ => false,
        };
        let trail = self.trails.get(&subject);
        is_pseudonym(subject)
            && (self.is_unknown(subject)
                || trail.is_some_and(|trail| trail.papers.documents().iter().any(says_no)))
    }
}

/// The key that speaks as an organisation's in a document: it countersigned a guardianship, or ends
/// one that is not its own.
fn speaker(details: &[u8], documents: &[Recorded], registries: &Registries) -> Option<Address> {
    let signed = PermissionDetails::read(details).ok()?;
    match &signed.document {
        Document::Guardianship(_) => signed.countersigner(registries).ok().flatten(),
        Document::Revoke(revoke) => {
            let guardians = || {
                documents.iter().filter_map(|one| match &one.signed.document {
                    Document::Guardianship(guardian) => Some((one.id, guardian.guardian)),
                    _ => None,
                })
            };
            let is_of_one = guardians().any(|(id, _)| id == revoke.permission);
            let signer = if is_of_one { signed.signer(registries).ok().flatten() } else { None };
            signer.filter(|signer| guardians().all(|(_, guardian)| guardian != *signer))
        }
        _ => None,
    }
}
