//! What a replay found, as it is counted, told and kept.

use super::pseudonyms::is_pseudonym;
use super::{Replay, before};
use crate::permits::{Act, Refusal, Verdict};
use crate::signed::PermissionDetails;
use alloy_primitives::Address;
use medtrail_ledger::audit::evidence::{Judged, RecordedDocument};
use medtrail_ledger::audit::{Check, Tally};
use serde::Serialize;
use std::collections::BTreeMap;

/// Organisations that are named in words; the rest are counted.
const NAMED_MAX: usize = 8;
pub(super) const DAY_MS: u64 = 24 * 3_600_000;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Changes at organisations about people with an address.
    pub changes: u64,
    /// Those that their person had permitted or made.
    pub permitted: u64,
    /// Those that do not count.
    pub refused: u64,
    /// Those of them that a refusal tells.
    pub told: u64,
    /// Those of them, and of those about people without an address, for whose refusal the copy ends
    /// too early.
    pub untold: u64,
    /// The same that no refusal tells.
    pub missing: u64,
    /// Those that wait for their person's word.
    pub unconfirmed: u64,
    /// Those that waited, and were confirmed.
    pub confirmed: u64,
    /// Those that waited, and were not.
    pub contested: u64,
    /// Those for whose person's word the time has passed, as a line says.
    pub silent: u64,
    /// Those for which the copy ends too early to have such a line.
    pub untold_silence: u64,
    /// Those so close to what decides that both answers are honest.
    pub both: u64,
    /// Changes at organisations about people without an address, most of whom nobody could ask.
    pub without_key: u64,
    /// Those of them that a guardian had permitted.
    pub without_key_permitted: u64,
    /// Those of them that do not count: who acts for them had taken back what they rest on.
    pub without_key_refused: u64,
    /// Those of these that a refusal tells.
    pub without_key_told: u64,
    /// Those of these that no refusal tells, since the log did not judge them yet, as it says.
    pub without_key_before: u64,
    /// The first of those.
    pub first_before: Option<u64>,
    /// Changes and looks about people without an address of whom the log and the trust file do not
    /// tell who may speak for them.
    pub unknown_keeper: u64,
    /// Changes and looks in the log's own vault.
    pub in_vault: u64,
    /// Those of them that a person's session made: the operator's word.
    pub in_vault_relayed: u64,
    /// Those of them that were not permitted and that a refusal took back: they had no effect.
    pub in_vault_taken_back: u64,
    /// Those of them that name an order of a sale: a buyer's.
    pub sale_looks: u64,
    /// Those of these that their order permitted.
    pub sale_looks_permitted: u64,
    /// Those of these again at data of which the log does not tell what they are, and lists.
    pub sale_looks_data_not_told: u64,
    /// Those that their order did not permit, and that no refusal took back.
    pub sale_looks_unpermitted: u64,
    /// Deliveries of sales.
    pub deliveries: u64,
    /// Those of them under an order that was settled with them.
    pub deliveries_settled: u64,
    /// Those under an order whose money waits or went back: nobody was shown the key.
    pub deliveries_open: u64,
    /// Downloads of delivered files, sealed as they are.
    pub downloads: u64,
    /// Deliveries under an order that was not paid or does not stand, and downloads by others than
    /// its buyer.
    pub deliveries_unfounded: u64,
    /// Looks of buyers and deliveries that nobody judged: no market was asked.
    pub sale_no_market: u64,
    /// The same where no line that opens tells the order.
    pub sale_not_told: u64,
    /// Who made changes that do not count.
    pub by: BTreeMap<Address, OfOne>,
}

/// The changes of one organisation that do not count.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfOne {
    /// Its name.
    pub name: String,
    /// How many.
    pub refused: u64,
    /// How many of them name a permission that does not permit them.
    pub claimed: u64,
    /// The first of these: its entry, and why not.
    pub first_claim: Option<(u64, Refusal)>,
}

/// The word for a reason, as in JSON.
pub(super) fn word(reason: impl Serialize) -> String {
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

impl Found {
    pub(super) fn of_one(&mut self, id: Address, name: String, act: &Act, reason: Refusal) {
        let one = self.by.entry(id).or_default();
        one.name = name;
        one.refused += 1;
        if !act.report.permission.is_zero() {
            one.claimed += 1;
            one.first_claim.get_or_insert((act.index, reason));
        }
    }

    /// One that does not count, from before the log judged such changes.
    pub(super) fn before_judging(&mut self, index: u64) {
        self.without_key_before += 1;
        self.first_before.get_or_insert(index);
    }

    pub(super) fn say(&self, grace_ms: u64, tally: &mut Tally) {
        let Self { changes, permitted, refused, told, unconfirmed, .. } = self;
        let mut words = format!(
            "{changes} changes judged again: {permitted} permitted, {refused} not ({told} of them \
             told), {unconfirmed} unconfirmed."
        );
        let others = [
            (self.confirmed, "confirmed afterwards"),
            (self.contested, "denied by their person afterwards"),
            (self.silent, "about which nobody answered in time, as a line says"),
            (self.both, "too new, or too close to what decides, to be held against anybody"),
            (self.without_key, "about people without a key"),
            (self.without_key_permitted, "of these permitted by a guardian"),
            (self.without_key_refused, "of these on what a guardian had taken back, or void"),
            (self.without_key_told, "of those told"),
            (
                self.unknown_keeper,
                "about people without a key of whom the log and your trust file do not tell who may \
                 speak for them",
            ),
            (self.in_vault, "in the log's own vault"),
            (self.sale_looks, "of these by buyers, under the order of a sale"),
            (self.sale_looks_permitted, "of those permitted by their order"),
            (
                self.sale_looks_data_not_told,
                "of those lists, or of data of which the log does not tell whether they were sold",
            ),
            (self.deliveries, "deliveries of sales"),
            (self.deliveries_settled, "of these settled on the market"),
            (self.deliveries_open, "of these not settled: the money waits or went back"),
            (self.downloads, "downloads of them"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            words.push_str(&format!(" {count} {what}."));
        }
        if !self.by.is_empty() {
            let named = self.by.values().take(NAMED_MAX);
            let named = named.map(|one| format!("{} ({})", one.name, one.refused));
            words
                .push_str(&format!(" Not permitted, by: {}", named.collect::<Vec<_>>().join(", ")));
            match self.by.len().saturating_sub(NAMED_MAX) {
                0 => words.push('.'),
                more => words.push_str(&format!(", and {more} more.")),
            }
        }
        for one in self.by.values().filter(|one| one.claimed > 0).take(NAMED_MAX) {
            let Some((index, reason)) = one.first_claim else { continue };
            tally.note(
                Check::Permissions,
                format!(
                    "{} named a permission for {} changes that it does not permit, first in entry \
                     {index} ({}).",
                    one.name,
                    one.claimed,
                    word(reason)
                ),
            );
        }
        if let Some(first) = self.first_before {
            tally.note(
                Check::Permissions,
                format!(
                    "{} changes about people without a key do not count and are not told, first in \
                     entry {first}: by its own word the log judges these only from a later entry on.",
                    self.without_key_before
                ),
            );
        }
        let not_judged = [
            (self.sale_no_market, "this chain has no market that could be asked"),
            (self.sale_not_told, "no line that opens tells their order"),
        ];
        for (count, why) in not_judged.into_iter().filter(|(count, _)| *count > 0) {
            let words = format!(
                "{count} looks of buyers, deliveries and downloads under the order of a sale were not judged: \
                 {why}."
            );
            tally.note(Check::Permissions, words);
        }
        if self.untold > 0 {
            tally.note(
                Check::Permissions,
                format!(
                    "{} changes of the copy's last {} s do not count and are not told yet.",
                    self.untold,
                    grace_ms / 1000
                ),
            );
        }
        if self.untold_silence > 0 {
            tally.note(
                Check::Permissions,
                format!(
                    "{} emergency changes were not answered in time, and that is not told yet.",
                    self.untold_silence
                ),
            );
        }
        tally.say(Check::Permissions, words);
    }
}

impl Replay<'_> {
    /// All that an act was judged by.
    pub(super) fn judged(&self, act: &Act, details: Option<&[u8]>, verdict: &Verdict) -> Judged {
        let trail = self.trails.get(&act.report.subject);
        let before = before(act);
        let recorded = trail.into_iter().flat_map(|trail| trail.papers.documents());
        let recorded = recorded.filter(|one| one.index < before);
        let documents = recorded.map(|one| RecordedDocument {
            index: one.index,
            received_ms: one.received_ms,
            details: serde_json::to_string(&PermissionDetails::of(one.signed.clone()))
                .unwrap_or_default(),
        });
        let subject = act.report.subject;
        let (pseudonyms, ends) = match trail.filter(|_| is_pseudonym(subject)) {
            Some(trail) => {
                let registries = self.setting.registries.clone();
                let ends = trail.papers.world_before(before, registries, Default::default()).ends;
                let is_silent = trail.papers.documents().is_empty();
                (self.pseudonyms.of(subject, &self.organisations, is_silent), ends)
            }
            None => Default::default(),
        };
        let (market, sales) = self.judged_by(act);
        let (verdict, reason, document) = match verdict {
            Verdict::Counts { reason, document } => {
                ("counts", serde_json::to_value(reason), document)
            }
            Verdict::DoesNotCount { reason, document } => {
                ("doesNotCount", serde_json::to_value(reason), document)
            }
            Verdict::Unconfirmed { reason, document } => {
                ("unconfirmed", serde_json::to_value(reason), document)
            }
        };
        let reason = reason.ok().and_then(|value| value.as_str().map(str::to_owned));
        Judged {
            index: act.index,
            commitment: act.commitment,
            party: act.party.clone(),
            details: details.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            documents: documents.collect(),
            chain: trail.and_then(|trail| trail.chain.clone()).unwrap_or_default(),
            pseudonyms: as_values(&pseudonyms),
            ends: as_values(&ends),
            market: market.and_then(|market| serde_json::to_value(market).ok()),
            sales: as_values(&sales),
            consent_registry: self.setting.registries.consent_registry,
            verdict: verdict.to_owned(),
            reason: reason.unwrap_or_default(),
            document: *document,
        }
    }
}

fn as_values(all: &[impl Serialize]) -> Vec<serde_json::Value> {
    all.iter().filter_map(|one| serde_json::to_value(one).ok()).collect()
}
