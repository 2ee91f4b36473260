//! The log's refusals, held against the answers: one of a change that counts, and at the end the
//! changes that do not count and that none names.

use super::pseudonyms::is_pseudonym;
use super::safe::Unpermitted;
use super::{Change, Replay, Standing, tell};
use crate::permits::{Act, Refusal, Verdict};
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::evidence::OpenedEntry;
use medtrail_ledger::audit::{Fault, Flaw, Tally};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;
use serde::Deserialize;

/// What a refusal of the log is of.
#[derive(Deserialize)]
struct RefusalDetails {
    version: String,
    refused: String,
}

impl Replay<'_> {
    /// A refusal of the log: whether the change that it names was one to refuse.
    pub(super) fn take_refusal(&mut self, entry: &Opened, tally: &mut Tally) {
        let details = entry.details.as_deref().unwrap_or_default();
        let read = serde_json::from_slice::<RefusalDetails>(details);
        let is_of_the_log = entry.evidence == Evidence::Relayed;
        let read = read.ok().filter(|read| is_of_the_log && read.version == "medtrail/refusal-v1");
        let named = entry.report.permission;
        let Report { subject, record, .. } = entry.report;
        match read.as_ref().map(|read| read.refused.as_str()) {
            Some("change") => {}
            Some("write" | "read") => {
                // Of a pseudonym that was bound since, its person is told under their address.
                let is_theirs = |one: &Unpermitted| {
                    one.subject == subject || self.pseudonyms.became(one.subject) == Some(subject)
                };
                let taken_back = self.unpermitted.get(&named).filter(|one| is_theirs(one));
                let of = taken_back.map(|one| one.subject);
                if of.is_some() {
                    self.unpermitted.remove(&named);
                    self.found.in_vault_taken_back += 1;
                }
                return self.safe.refused(of.unwrap_or(subject), record, named);
            }
            _ => return,
        }
        let young = self.young.iter().position(|change| change.act.commitment == named);
        let change = match young {
            Some(at) => Some(self.young.swap_remove(at)),
            None => self.open.remove(&named),
        };
        let Some(change) = change else {
            if !self.both.contains(&named) && !self.may_be_refused_keyless(subject, named) {
                self.unfounded(entry, None, tally);
            }
            return;
        };
        // Of a pseudonym that was bound since, its person is told under their address.
        let of = change.act.report.subject;
        if of != subject && self.pseudonyms.became(of) != Some(subject) {
            self.unfounded(entry, None, tally);
            // Whoever should have read it has not.
            match young.is_some() {
                true => self.young.push(change),
                false => drop(self.open.insert(named, change)),
            }
            return;
        }
        let is_young = young.is_some();
        match change.standing {
            Standing::Refused(reason) => {
                if is_young {
                    self.name(&change, reason);
                }
                match is_pseudonym(of) {
                    true => self.found.without_key_told += 1,
                    false => self.found.told += 1,
                }
            }
            Standing::Both => self.found.both += 1,
            // Perhaps its person said no since, or in the same moment.
            Standing::Counts | Standing::Unconfirmed => {
                let read = self.judge(&change.act, entry.place.receivedMs);
                if read.may_be_refused() || self.is_too_new(&change.act) {
                    self.found.unconfirmed -= u64::from(!is_young);
                    self.found.contested += 1;
                    return;
                }
                self.unfounded(entry, Some((&change.act, &read.verdict)), tally);
                match is_young {
                    true => self.young.push(change),
                    false => drop(self.open.insert(named, change)),
                }
            }
        }
    }

    fn unfounded(&mut self, entry: &Opened, change: Option<(&Act, &Verdict)>, tally: &mut Tally) {
        let (index, named) = (entry.index, entry.report.permission);
        let is_it =
            |act: &&Act| act.commitment == named && act.report.subject == entry.report.subject;
        let counted = self.counted.iter().find(is_it).cloned();
        let known = match (change, counted) {
            (Some((act, verdict)), _) => Some((act.clone(), *verdict)),
            (None, Some(act)) => {
                let verdict = self.judge(&act, act.received_ms).verdict;
                Some((act, verdict))
            }
            (None, None) => None,
        };
        let words = match &known {
            Some((act, _)) => format!(
                "entry {index} says that the change in entry {} does not count; it does, or waits \
                 for its person.",
                act.index
            ),
            None => format!(
                "entry {index} refuses {named}, which is no change of this trail that does not count."
            ),
        };
        let shown = known.map(|(act, verdict)| {
            let details = entry.details.as_deref();
            (OpenedEntry::from(entry), self.judged(&act, details, &verdict))
        });
        self.fault(Fault::new(Flaw::RefusalUnfounded, words).at(index), shown, tally);
    }

    /// What no refusal has told at the end of the copy.
    pub(super) fn end_refused(
        &mut self,
        mut change: Change,
        reason: Refusal,
        end_ms: u64,
        tally: &mut Tally,
    ) {
        if self.is_before_judging(&change.act) {
            self.found.before_judging(change.act.index);
            return;
        }
        if change.act.received_ms.saturating_add(self.setting.grace_ms) > end_ms {
            self.found.untold += 1;
            return;
        }
        self.found.missing += 1;
        let words = format!(
            "entry {} is a change by {} that does not count ({}), and no refusal tells its \
             person.",
            change.act.index,
            self.organisations.name_of(change.organisation.unwrap_or(change.act.report.actor)),
            tell::word(reason)
        );
        let shown = change.entry.take().filter(|_| !self.has_fault).map(|entry| {
            let verdict = self.judge(&change.act, change.act.received_ms).verdict;
            let details = entry.details.as_deref();
            (OpenedEntry::from(&*entry), self.judged(&change.act, details, &verdict))
        });
        let fault = Fault::new(Flaw::RefusalMissing, words).at(change.act.index);
        self.fault(fault, shown, tally);
    }
}
