//! What joined a trail shows the two signatures that join it; nothing else does.

use crate::assert_found;
use crate::log::{CHAIN_ID, HONEST, NOW_MS, REGISTRY, RELAYED, address_of, secret, sign};
use alloy_primitives::{B256, Bytes};
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::joins::Joins;
use medtrail_ledger::audit::order::InOrder;
use medtrail_ledger::audit::{Check, Flaw, Tally};
use medtrail_ledger::binding::alias::{self, AliasDetails, Language};
use medtrail_ledger::binding::{self, BindingDetails, Named};
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Binding, digest, domain};
use medtrail_ledger::verify::Verdict;
use serde::Serialize;

const UNTIL_S: u64 = NOW_MS / 1000 + 60;

fn by(seed: u8, document: &Binding) -> Bytes {
    sign(&secret(seed), digest(document, &domain(CHAIN_ID, REGISTRY))).to_vec().into()
}

fn joined(own: u8, fresh: u8, keys: [u8; 2]) -> AliasDetails {
    let [subject, alias] = [own, fresh].map(|seed| address_of(&secret(seed)));
    let document = alias::document(subject, alias, UNTIL_S, Language::En);
    let [signature, countersignature] = keys.map(|seed| by(seed, &document));
    AliasDetails { version: alias::VERSION.into(), document, signature, countersignature }
}

fn bound(keys: [u8; 2]) -> BindingDetails {
    let [subject, custodian] = [1, 5].map(|seed| address_of(&secret(seed)));
    let document = binding::document("Clinic", custodian, B256::repeat_byte(9), subject, UNTIL_S);
    let [signature, countersignature] = keys.map(|seed| by(seed, &document));
    let organisation = Named { id: custodian, name: "Clinic".into() };
    let version = binding::VERSION.into();
    BindingDetails { version, organisation, document, signature, countersignature }
}

fn entry(details: Option<&impl Serialize>, subject: B256, permission: B256) -> Opened {
    let mut entry = HONEST.entries[RELAYED as usize].clone();
    entry.report.kind = 11;
    (entry.report.subject, entry.report.permission) = (subject, permission);
    entry.report.timeMs = NOW_MS;
    entry.details = details.map(|details| serde_json::to_vec(details).unwrap());
    entry
}

fn of(seed: u8) -> B256 {
    subject_of(address_of(&secret(seed)))
}

fn both(own: u8, fresh: u8, keys: [u8; 2]) -> Vec<Opened> {
    let details = joined(own, fresh, keys);
    [fresh, own].map(|seed| entry(Some(&details), of(seed), B256::ZERO)).into()
}

fn follow(entries: Vec<Opened>) -> Tally {
    let (mut joins, mut tally) = (Joins::new(domain(CHAIN_ID, REGISTRY)), Tally::default());
    for (index, mut entry) in (0..).zip(entries) {
        entry.index = index;
        joins.opened(&entry, &mut tally);
    }
    joins.finish(&mut tally);
    tally
}

#[test]
fn an_entry_between_two_addresses_with_both_signatures_is_right() {
    let document = bound([1, 5]);
    let id = digest(&document.document, &domain(CHAIN_ID, REGISTRY));
    let pseudonym = document.document.pseudonym;
    let mut entries = both(1, 2, [1, 2]);
    entries.extend(both(1, 3, [1, 3]));
    entries.extend([pseudonym, of(1)].map(|subject| entry(Some(&document), subject, id)));
    let tally = follow(entries);
    assert_eq!(tally.first_fault(), None);
    let checked = tally.of(Check::Joins).unwrap();
    assert_eq!((checked.verdict(), checked.count), (Verdict::Green, 6));
    assert!(follow(Vec::new()).of(Check::Joins).is_none());
    // What an organisation signs under this kind joins nothing.
    let mut signed = entry(Some(&document), pseudonym, id);
    signed.evidence = Evidence::Signed([1; 65].to_vec().into());
    assert!(follow(vec![signed]).of(Check::Joins).is_none());
}

#[test]
fn with_one_signature_or_in_another_trail_it_is_a_fault() {
    for keys in [[1, 1], [2, 2], [2, 1], [1, 3], [3, 2]] {
        assert_found(&follow(both(1, 2, keys)), Flaw::JoinUnfounded, 0);
    }
    let good = joined(1, 2, [1, 2]);
    let late = {
        let mut late = entry(Some(&good), of(1), B256::ZERO);
        late.report.timeMs = UNTIL_S * 1000;
        late
    };
    let id = digest(&good.document, &domain(CHAIN_ID, REGISTRY));
    let (whole, half) = (bound([1, 5]), bound([1, 1]));
    let its_id = digest(&whole.document, &domain(CHAIN_ID, REGISTRY));
    let pseudonym = whole.document.pseudonym;
    for wrong in [
        late,
        entry(Some(&good), of(3), B256::ZERO),
        // Whoever guesses the other address could see in it that they are right.
        entry(Some(&good), of(1), id),
        entry(Some(&"medtrail/alias-v1"), of(1), B256::ZERO),
        entry(None::<&str>.as_ref(), of(1), B256::ZERO),
        entry(Some(&half), pseudonym, its_id),
        entry(Some(&whole), of(2), its_id),
        entry(Some(&whole), pseudonym, B256::ZERO),
    ] {
        assert_found(&follow(vec![wrong]), Flaw::JoinUnfounded, 0);
    }
}

#[test]
fn an_alias_of_two_people_or_in_a_chain_is_a_fault() {
    for (own, fresh) in [(3, 2), (2, 4), (4, 1)] {
        let mut entries = both(1, 2, [1, 2]);
        entries.extend(both(own, fresh, [own, fresh]));
        assert_found(&follow(entries), Flaw::JoinedTwice, 2);
    }
}
