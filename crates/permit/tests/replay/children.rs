//! The same for people without a key: who acts for them is known from the log and the trust file. In
//! the log's own vault nothing happens without them.

use super::cases::{self, Case};
use super::support::*;
use super::*;
use medtrail_ledger::binding::{self, BindingDetails, Named};
use medtrail_ledger::schema::Binding;
use medtrail_permit::documents::{ChangeApproval, Document, Guardianship};
use medtrail_permit::guardianship_end::GuardianshipEnd;
use medtrail_permit::permits::End;

/// Whoever keeps a pseudonym had looked at somebody long before.
fn first(keeper: Address) -> Opened {
    let report = Report {
        kind: Kind::Access.number(),
        action: b'R',
        subject: JAAN,
        actor: keeper,
        ..Report::default()
    };
    entry(500, report, NOON_MS - 400 * DAY_MS, signed_evidence(), json!({}))
}

fn of_end(index: u64, end: &End) -> Opened {
    let document = GuardianshipEnd::new(end.guardianship, "Harju Maakohus 2-26-77".to_owned());
    let report = Report {
        kind: Kind::Binding.number(),
        action: b'D',
        subject: JAAN,
        actor: end.by,
        permission: end.guardianship,
        ..Report::default()
    };
    let details = serde_json::to_value(document).unwrap();
    entry(index, report, end.received_ms, signed_evidence(), details)
}

/// Jaan comes of age; the check of joins asks whether both signed.
pub(super) fn of_binding(index: u64, to: Address, received_ms: u64) -> Opened {
    let details = BindingDetails {
        version: binding::VERSION.to_owned(),
        organisation: Named { id: address(HOSPITAL), name: "Fjord Hospital".to_owned() },
        document: Binding {
            statement: String::new(),
            subject: to,
            custodian: address(HOSPITAL),
            pseudonym: JAAN,
            expiresAt: 0,
        },
        signature: Default::default(),
        countersignature: Default::default(),
    };
    let report = Report { kind: Kind::Binding.number(), subject: JAAN, ..Report::default() };
    let details = serde_json::to_value(details).unwrap();
    entry(index, report, received_ms, Evidence::Relayed, details)
}

/// A log about Jaan as an honest operator would have written it, and where in it the change stands.
pub(super) fn log_of(scene: &Scene) -> (Log, usize) {
    let Scene { act, world } = scene;
    let keepers = world.pseudonyms.first().and_then(|one| one.keepers.first());
    let mut entries = vec![first(keepers.copied().unwrap_or(address(HOSPITAL))), of_act(act)];
    // The change stands at 100: what is judged is what stands before it.
    let place = |number: u64, received_ms: u64| match received_ms <= act.received_ms {
        true => number,
        false => 600 + number,
    };
    for (held, number) in world.documents.iter().zip(10..) {
        let received_ms = held.received_ms.unwrap();
        let index = place(number, received_ms);
        entries.push(of_document(index, JAAN, &held.signed, received_ms));
    }
    let ends = world.ends.iter().zip(60..);
    entries.extend(ends.map(|(end, number)| of_end(place(number, end.received_ms), end)));
    let newest = entries.iter().map(|one| one.place.receivedMs).max().unwrap();
    entries.push(closing(newest + DAY_MS));
    entries.sort_by_key(|one| (one.place.receivedMs, one.index));
    let at = entries.iter().position(|one| one.commitment == act.commitment).unwrap();
    (Log { entries, chain: Vec::new() }, at)
}

/// The same act as a change, at the hospital or in the log's own vault.
pub(super) fn as_change(scene: Scene, in_vault: bool) -> Scene {
    scene.with(|scene| {
        let report = &mut scene.act.report;
        if Kind::from_number(report.kind) == Kind::Access {
            let made = change().act;
            (report.kind, report.action) = (made.report.kind, made.report.action);
            (report.record, report.fromVersion, report.toVersion) =
                (made.report.record, made.report.fromVersion, made.report.toVersion);
        }
        scene.act.in_vault = in_vault;
    })
}

fn is_about_jaan(case: &&Case) -> bool {
    let Scene { act, world } = &case.scene;
    let party = act.signer.into_iter().collect::<Vec<Address>>();
    let is_party = act.signer.is_none() || act.party == party;
    act.report.subject == JAAN
        && is_party
        && world.registries == REGISTRIES
        && world.chain == ChainState::default()
        && world.pseudonyms.iter().all(|one| one.bound.is_none())
        && world.documents.iter().all(|held| held.received_ms.is_some())
        && world.uses.is_empty()
}

#[test]
fn every_case_about_a_child_is_judged_from_the_log_alone_as_the_engine_judges_it() {
    let mut seen = [0u64; 5];
    let all = cases::all();
    for case in all.iter().filter(is_about_jaan) {
        let name = case.name;
        let scene = as_change(case.scene.clone(), false);
        // What was said later answers a change, and is not what it was judged by.
        let is_later = |held: &Held| held.received_ms > Some(scene.act.received_ms);
        let mut known = scene.world.clone();
        known.documents.retain(|held| !is_later(held));
        let expected = medtrail_permit::permits::permits(&scene.act, &known);
        let (log, at) = log_of(&scene);
        let (bare, refused) = (log.replay(), log.refusing(at).replay());
        assert_eq!((bare.found.without_key, bare.found.unknown_keeper), (1, 0), "{name}");
        let found = (bare.found.without_key_permitted, bare.found.without_key_refused);
        match expected {
            Verdict::Counts { .. } => {
                assert_eq!((bare.flaw(), found), (None, (1, 0)), "{name}");
                assert_eq!(refused.flaw(), Some(Flaw::RefusalUnfounded), "{name}");
                seen[0] += 1;
            }
            Verdict::DoesNotCount { .. } => {
                // Where nobody gave a document the log judges nothing.
                let is_owed = !known.documents.is_empty();
                let flaw = is_owed.then_some(Flaw::RefusalMissing);
                assert_eq!((bare.flaw(), found), (flaw, (0, 1)), "{name}");
                let told = u64::from(is_owed);
                assert_eq!(
                    (refused.flaw(), refused.found.without_key_told),
                    (None, told),
                    "{name}"
                );
                seen[1] += told;
            }
            Verdict::Unconfirmed { .. } => {
                assert_eq!((bare.flaw(), found), (None, (0, 0)), "{name}");
                assert_eq!(refused.flaw(), Some(Flaw::RefusalUnfounded), "{name}");
                seen[2] += 1;
            }
        }
        // In the vault it is asked before, and nothing waits.
        let scene = as_change(case.scene.clone(), true);
        let (log, _) = log_of(&scene);
        let replayed = log.replay();
        if replayed.found.both > 0 {
            assert_eq!(replayed.flaw(), None, "{name}");
            continue;
        }
        let known = World { documents: known.documents.clone(), ..scene.world.clone() };
        let counts = match medtrail_permit::permits::permits(&scene.act, &known) {
            Verdict::Counts { .. } => true,
            Verdict::DoesNotCount { .. } | Verdict::Unconfirmed { .. } => false,
        };
        let flaw = (!counts).then_some(Flaw::VaultUnpermitted);
        assert_eq!(replayed.flaw(), flaw, "in the vault: {name}");
        seen[if counts { 3 } else { 4 }] += 1;
    }
    let least = [8, 3, 15, 8, 20];
    assert!(seen.iter().zip(least).all(|(seen, least)| *seen >= least), "{seen:?}");
}

/// Both parents act for Jaan, the mother let the hospital in, and the hospital changes something in
/// the vault at noon.
pub(super) fn permitted_by_mother() -> Scene {
    let scene = about_jaan(change())
        .before(2 * DAY_MS, guardianship(MOTHER, "SEE PERMIT"))
        .before(2 * DAY_MS, guardianship(FATHER, "SEE PERMIT"))
        .before(DAY_MS, signed(MOTHER, grant_for_jaan()));
    as_change(scene, true)
}

fn flaw(scene: &Scene) -> Option<Flaw> {
    log_of(scene).0.replay().flaw()
}

#[test]
fn what_a_guardian_took_back_permits_nothing_in_the_vault_unless_the_log_took_it_back_too() {
    let fine = permitted_by_mother();
    assert_eq!(flaw(&fine), None);
    let no = || signed(FATHER, revoke(jaan(), id(grant_for_jaan())));
    let lie = fine.clone().before(HOUR_MS, no());
    let (log, at) = log_of(&lie);
    let replayed = log.replay();
    assert_eq!(replayed.flaw(), Some(Flaw::VaultUnpermitted));
    let (shown, judged) = replayed.evidence.unwrap();
    assert_eq!((shown.report.subject, judged.reason.as_str()), (JAAN, "revoked"));
    assert_eq!((judged.documents.len(), judged.pseudonyms.len()), (4, 1));
    // Left out; told; told to somebody else.
    let told_after = |between: Option<Opened>, subject: B256| {
        let change = &log.entries[at];
        let mut refusal = refusal(800, change, change.place.receivedMs + 1);
        let details = json!({ "version": "medtrail/refusal-v1", "refused": "write" });
        refusal.details = Some(details.to_string().into_bytes());
        (refusal.report.record, refusal.report.subject) = (change.report.record, subject);
        let mut entries = log.entries.clone();
        entries.splice(at + 1..at + 1, between.into_iter().chain([refusal]));
        Log { entries, chain: Vec::new() }.replay().flaw()
    };
    let told = |subject: B256| told_after(None, subject);
    assert_eq!(told(JAAN), None);
    // Bound before the vault could tell: then his new address is told, and nobody else's.
    let new = address(NEW_KEY).into_word();
    let binding = || of_binding(801, address(NEW_KEY), log.entries[at].place.receivedMs);
    assert_eq!(told_after(Some(binding()), new), None);
    assert_eq!(told(new), Some(Flaw::VaultUnpermitted), "nothing says that he is that");
    assert_eq!(told(address(MARI).into_word()), Some(Flaw::VaultUnpermitted));
    // While the vault was at work an honest one may not have seen it.
    assert_eq!(flaw(&fine.clone().before(5_000, no())), None);
    assert_eq!(flaw(&fine.before(15_000, no())), Some(Flaw::VaultUnpermitted));
}

#[test]
fn an_order_ends_what_its_guardian_gave_where_the_keepers_key_signed_it() {
    let by = |by: u8, earlier_ms: u64| permitted_by_mother().ordered(MOTHER, by, earlier_ms);
    assert_eq!(flaw(&by(HOSPITAL, HOUR_MS)), Some(Flaw::VaultUnpermitted));
    assert_eq!(flaw(&by(LAB, HOUR_MS)), None);
    assert_eq!(flaw(&permitted_by_mother().ordered(FATHER, HOSPITAL, HOUR_MS)), None);
    let close = log_of(&by(HOSPITAL, 5_000)).0.replay();
    assert_eq!((close.flaw(), close.found.both), (None, 1));
}

#[test]
fn whose_pseudonym_it_is_is_decided_by_its_first_entry_and_a_key_of_another_makes_no_guardian() {
    // The lab's entry came first: the hospital's countersignature is worth nothing.
    let stolen = permitted_by_mother().with(|scene| {
        scene.world.pseudonyms[0].keepers = vec![address(LAB)];
    });
    assert_eq!(flaw(&stolen), Some(Flaw::VaultUnpermitted));
    // A key that the hospital was given later speaks for it.
    let by_new_key = |signed_by: Signed| {
        let Document::Guardianship(known) = signed_by.document else { panic!() };
        let custodian = address(NEW_KEY);
        let document = Guardianship { statement: String::new(), custodian, ..known };
        let signed = signed(MOTHER, document);
        let countersignature = Some(sign(NEW_KEY, signed.document.id(&REGISTRIES)));
        Signed { countersignature, ..signed }
    };
    let scene = about_jaan(change())
        .before(2 * DAY_MS, by_new_key(guardianship(MOTHER, "SEE PERMIT")))
        .before(DAY_MS, signed(MOTHER, grant_for_jaan()));
    let (mut log, _) = log_of(&as_change(scene, true));
    let unknown = log.replay();
    assert_eq!((unknown.flaw(), unknown.found.unknown_keeper), (None, 1));
    let operation = |organisation: u8| {
        let details = json!({
            "version": "medtrail/operation-v1", "act": "key-enrolled", "name": "x",
            "organisation": address(organisation), "key": address(NEW_KEY),
        });
        let report = Report { kind: Kind::Operation.number(), ..Report::default() };
        entry(801, report, 0, Evidence::Relayed, details)
    };
    log.entries.insert(0, operation(HOSPITAL));
    assert_eq!((log.replay().flaw(), log.replay().found.unknown_keeper), (None, 0));
    log.entries[0] = operation(LAB);
    assert_eq!(log.replay().flaw(), Some(Flaw::VaultUnpermitted));
}

#[test]
fn where_the_keeper_or_a_line_of_the_trail_is_not_known_both_answers_are_honest() {
    let lie = permitted_by_mother().ordered(MOTHER, HOSPITAL, HOUR_MS);
    let (log, at) = log_of(&lie);
    assert_eq!(log.replay().flaw(), Some(Flaw::VaultUnpermitted));
    let unknown = |log: Log| {
        for log in [log.refusing(at), log] {
            let replayed = log.replay();
            assert_eq!((replayed.flaw(), replayed.found.unknown_keeper), (None, 1));
            assert_eq!(replayed.found.both, 1);
        }
    };
    let with = |edit: &dyn Fn(&mut Vec<Opened>)| {
        let mut entries = log.entries.clone();
        let mut ordinal = 0;
        for one in entries.iter_mut().filter(|one| one.report.subject == JAAN) {
            ordinal += 1;
            one.header.ordinal = ordinal;
        }
        edit(&mut entries);
        Log { entries, chain: Vec::new() }
    };
    // Who reported first stands in no trust file.
    unknown(with(&|entries| entries[0].report.actor = address(STRANGER)));
    // Its content is gone.
    unknown(with(&|entries| {
        (entries[0].evidence, entries[0].details) = (Evidence::Relayed, None);
    }));
    // An order by a key that nobody knows.
    unknown(with(&|entries| {
        let order = entries.iter_mut().find(|one| one.report.action == b'D').unwrap();
        order.report.actor = address(STRANGER);
    }));
    // The first line, or one between, was erased.
    for gone in [0, 2] {
        let mut log = with(&|_| ());
        log.entries.remove(gone);
        let replayed = log.replay();
        assert_eq!((replayed.flaw(), replayed.found.unknown_keeper), (None, 1), "{gone}");
    }
    // What the log itself said first is nobody's: nobody can be a guardian then.
    let nobodys = with(&|entries| entries[0].evidence = Evidence::Relayed);
    assert_eq!(nobodys.replay().flaw(), Some(Flaw::VaultUnpermitted));
}

#[test]
fn who_comes_of_age_is_bound_by_nothing_that_a_guardian_gave() {
    let (log, at) = log_of(&permitted_by_mother());
    let bound = |at_ms: u64| {
        let mut entries = log.entries.clone();
        entries.push(of_binding(801, address(NEW_KEY), at_ms));
        entries.sort_by_key(|one| one.place.receivedMs);
        Log { entries, chain: Vec::new() }.replay()
    };
    let received_ms = log.entries[at].place.receivedMs;
    assert_eq!(bound(received_ms + 1).flaw(), None, "what came before stays");
    let late = bound(received_ms - HOUR_MS);
    assert_eq!(late.flaw(), Some(Flaw::VaultUnpermitted));
    assert_eq!(bound(received_ms - 5_000).flaw(), None);
    // Somebody else's pseudonym is another's.
    let mut entries = log.entries.clone();
    let mut other = of_binding(801, address(NEW_KEY), received_ms - HOUR_MS);
    other.report.subject = B256::repeat_byte(0x9b);
    entries.insert(at, other);
    assert_eq!(Log { entries, chain: Vec::new() }.replay().flaw(), None);
}

#[test]
fn what_a_guardian_approved_is_used_once() {
    let approval = ChangeApproval { subject: jaan(), ..approval() };
    let scene = about_jaan(change().naming(approval.clone()))
        .before(2 * DAY_MS, guardianship(MOTHER, "SEE PERMIT"))
        .before(DAY_MS, signed(MOTHER, approval));
    let (log, at) = log_of(&as_change(scene, true));
    assert_eq!(log.replay().flaw(), None);
    let mut again = log.entries[at].clone();
    (again.index, again.commitment) = (802, keccak256("again"));
    again.place.receivedMs += HOUR_MS;
    let mut entries = log.entries;
    entries.insert(at + 1, again);
    assert_eq!(Log { entries, chain: Vec::new() }.replay().flaw(), Some(Flaw::VaultUnpermitted));
}
