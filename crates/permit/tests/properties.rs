//! What must hold of every scope, every purpose and every world.

mod cases;
mod support;

use alloy_primitives::B256;
use medtrail_permit::confidentiality::Confidentiality;
use medtrail_permit::documents::{Document, Grant};
use medtrail_permit::permits::{Basis, Data, Held, Verdict, World, permits};
use medtrail_permit::scopes::{Interactions, Scope, parse_list};
use medtrail_permit::signed::Signed;
use medtrail_permit::{purposes, resources};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::sync::LazyLock;
use support::{
    DAY_MS, FATHER, HOUR_MS, KADRI, MARI, MOTHER, NOON_MS, NOON_S, STRANGER, Scene, address, grant,
    id, revoke, revoke_all, signed,
};

/// Few values, so that two scopes often have something in common.
fn scope() -> impl Strategy<Value = String> {
    let context = select(vec!["patient", "patient", "user"]);
    let resource = select(vec!["*", "Observation", "Condition"]);
    let letters = subsequence(vec!['c', 'r', 'u', 'd', 's'], 1..=5);
    let restrictions = [
        "",
        "",
        "?category=laboratory",
        "?category=http://codes.example|laboratory",
        "?code=laboratory",
        "?_security=R",
        "?_security=V",
        "?_security=PSY",
    ];
    (context, resource, letters, select(restrictions.to_vec())).prop_map(
        |(context, resource, letters, restriction)| {
            let letters: String = letters.into_iter().collect();
            format!("{context}/{resource}.{letters}{restriction}")
        },
    )
}

fn data() -> impl Strategy<Value = Data> {
    use Confidentiality::{N, R, U, V};
    let resource = select(vec![None, Some("Observation"), Some("Condition"), Some("Diary")]);
    let level = select(vec![None, Some(U), Some(N), Some(R), Some(V)]);
    let topics = subsequence(vec!["PSY", "HIV"], 0..=2);
    let facts = subsequence(
        vec!["category=http://codes.example|laboratory", "category=laboratory", "code=laboratory"],
        0..=3,
    );
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    (resource, level, topics, facts).prop_map(move |(resource, confidentiality, topics, facts)| {
        let resource = resource.map(str::to_owned);
        Data { resource, confidentiality, topics: owned(topics), parameters: owned(facts) }
    })
}

fn read(text: &str) -> Scope {
    text.parse().unwrap()
}

proptest! {
    #[test]
    fn a_scope_is_read_as_it_is_written(text in scope()) {
        prop_assert_eq!(read(&text).to_string(), text);
    }

    #[test]
    fn any_type_of_fhir_can_stand_in_a_scope(place in 0usize..146, old in select(vec!["read", "write", "*"])) {
        let name = resources::types().nth(place).unwrap();
        let scope = read(&format!("patient/{name}.{old}"));
        let text = scope.to_string();
        prop_assert!(!text.ends_with(old));
        prop_assert_eq!(read(&text), scope);
    }

    #[test]
    fn no_text_breaks_the_reader(text in ".{0,60}", list in "[pa/.*crs? ]{0,60}") {
        for text in [text, list] {
            if let Ok(scope) = text.parse::<Scope>() {
                prop_assert_eq!(read(&scope.to_string()), scope);
            }
            let _ = parse_list(&text);
            let _ = purposes::parse_list(&text);
        }
    }

    #[test]
    fn covering_is_a_partial_order(a in scope(), b in scope(), c in scope()) {
        let (a, b, c) = (read(&a), read(&b), read(&c));
        prop_assert!(a.covers(&a));
        prop_assert!(!(a.covers(&b) && b.covers(&a)) || a == b);
        prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c), "{a} {b} {c}");
    }

    #[test]
    fn who_covers_allows_all_that_the_covered_allows(a in scope(), b in scope(), data in data()) {
        let (a, b) = (read(&a), read(&b));
        let all = Interactions::READ
            .and(Interactions::SEARCH)
            .and(Interactions::CREATE)
            .and(Interactions::UPDATE)
            .and(Interactions::DELETE);
        for one in all.each().filter(|_| a.covers(&b)) {
            prop_assert!(!b.allows(one, &data) || a.allows(one, &data), "{a} {b} {data:?}");
        }
    }

    #[test]
    fn marked_data_need_their_mark(text in scope(), data in data()) {
        let scope = read(&text);
        let names_a_mark = text.contains("_security");
        prop_assert!(!data.is_marked() || names_a_mark || !scope.allows(Interactions::READ, &data));
    }
}

#[test]
fn purposes_are_a_forest() {
    let codes: Vec<&str> = purposes::codes().collect();
    for a in &codes {
        assert!(purposes::covers(a, a));
        for b in &codes {
            assert!(a == b || !(purposes::covers(a, b) && purposes::covers(b, a)), "{a} {b}");
            for c in codes.iter().filter(|_| purposes::covers(a, b)) {
                assert!(!purposes::covers(b, c) || purposes::covers(a, c), "{a} {b} {c}");
                // A forest: two that cover one stand on one line.
                let both = purposes::covers(a, c) && purposes::covers(b, c);
                assert!(!both || purposes::covers(a, b) || purposes::covers(b, a));
            }
        }
    }
}

/// Documents of which random worlds are made.
static POOL: LazyLock<Vec<Signed>> = LazyLock::new(|| {
    let mari = address(MARI);
    let short = Grant { expiresAt: NOON_S + 60, ..grant() };
    let next = Grant { epoch: 1, ..grant() };
    let narrow = Grant { scopes: "patient/AllergyIntolerance.u".into(), ..grant() };
    let research = Grant { purposes: "HRESCH".into(), ..grant() };
    let by_kadri = Grant { scopes: "patient/*.rs".into(), ..grant() };
    let child = support::grant_for_jaan();
    let child_approval = medtrail_permit::documents::ChangeApproval {
        subject: support::jaan(),
        ..support::approval()
    };
    vec![
        signed(MARI, grant()),
        signed(MARI, short),
        signed(MARI, next),
        signed(MARI, narrow),
        signed(MARI, research),
        signed(STRANGER, grant()),
        signed(KADRI, by_kadri.clone()),
        signed(MARI, support::approval()),
        signed(MOTHER, child.clone()),
        signed(FATHER, child_approval),
        support::guardianship(MOTHER, "SEE PERMIT"),
        support::guardianship(FATHER, "PERMIT"),
        signed(MARI, support::delegation()),
        signed(MARI, revoke(mari, id(grant()))),
        signed(KADRI, revoke(mari, id(by_kadri))),
        signed(FATHER, revoke(support::jaan(), id(child))),
        signed(MARI, revoke_all(0)),
    ]
});

fn world() -> impl Strategy<Value = Scene> {
    let count = POOL.len();
    let documents = subsequence((0..count).collect::<Vec<_>>(), 0..=count);
    let times = proptest::collection::vec(0u64..3 * DAY_MS, count);
    let act = (any::<bool>(), any::<bool>(), 0u64..2 * HOUR_MS, any::<bool>(), any::<bool>());
    let named = proptest::option::of(0..count);
    let purpose = select(vec!["TREAT", "TREAT", "BTG", "CLINTRCH"]);
    (documents, times, act, named, purpose).prop_map(|(documents, times, act, named, purpose)| {
        let (is_change, is_child, late, is_late, in_vault) = act;
        let scene = if is_change { support::change() } else { support::look() };
        let scene = if is_child { support::about_jaan(scene) } else { scene };
        let mut scene = scene.late(if is_late { late } else { 0 }).purpose(purpose);
        scene.act.in_vault = in_vault;
        for (place, time) in documents.into_iter().zip(times) {
            scene = scene.at(NOON_MS - 2 * DAY_MS + time, POOL[place].clone());
        }
        if let Some(place) = named {
            scene.act.report.permission = POOL[place].document.id(&support::REGISTRIES);
        }
        scene
    })
}

fn judge(scene: &Scene) -> Verdict {
    permits(&scene.act, &scene.world)
}

fn permissions(world: &World) -> Vec<usize> {
    let is_one = |held: &Held| {
        matches!(held.signed.document, Document::Grant(_) | Document::ChangeApproval(_))
    };
    (0..world.documents.len()).filter(|place| is_one(&world.documents[*place])).collect()
}

/// No permission makes an act less permitted, and none taken away makes it more so.
fn nothing_is_won_by_hiding_a_permission(scene: &Scene) {
    for place in permissions(&scene.world) {
        let mut fewer = scene.clone();
        fewer.world.documents.remove(place);
        let (before, after) = (judge(scene), judge(&fewer));
        assert!(before.rank() > 0 || after.rank() < 2, "{before:?} {after:?}");
    }
    let mut unsold = scene.clone();
    unsold.world.sales.clear();
    assert!(judge(&unsold).rank() <= judge(scene).rank());
}

/// One revocation more, whoever's and whenever.
fn nothing_is_won_by_a_revocation(scene: &Scene) {
    let before = judge(scene);
    for place in permissions(&scene.world) {
        let document = &scene.world.documents[place].signed.document;
        let of = document.id(&support::REGISTRIES);
        for (seed, later_ms) in
            [(MARI, 0), (KADRI, 0), (FATHER, 0), (STRANGER, 0), (MARI, 2 * HOUR_MS)]
        {
            let revoke = signed(seed, revoke(document.subject(), of));
            let more = scene.clone().at(NOON_MS - HOUR_MS + later_ms, revoke);
            let after = judge(&more);
            assert!(after.rank() <= before.rank(), "{before:?} {after:?}");
        }
        let more = scene.clone().standing(document.subject(), of, None, Some(NOON_S - 60));
        assert!(judge(&more).rank() <= before.rank());
    }
    for (place, sold) in scene.world.sales.iter().enumerate() {
        let Some(market) = &scene.world.market else { continue };
        let (seller, of) = (sold.order.offer.seller, sold.order.id(market));
        for who in [MARI, STRANGER] {
            let more = scene.clone().at(NOON_MS - HOUR_MS, signed(who, revoke(seller, of)));
            assert!(judge(&more).rank() <= before.rank());
        }
        let more = scene.clone().standing(seller, of, None, Some(NOON_S - 60));
        assert!(judge(&more).rank() <= before.rank());
        let mut more = scene.clone();
        more.world.sales[place].revoked_s = Some(NOON_S - 60);
        assert!(judge(&more).rank() <= before.rank());
    }
    // All, after everything else: one that came earlier begins an epoch in which others were given.
    let more = scene.clone().at(NOON_MS + 90 * DAY_MS, signed(MARI, revoke_all(9)));
    assert!(judge(&more).rank() <= before.rank());
    let no = signed(MARI, revoke(address(MARI), scene.act.commitment));
    assert!(judge(&scene.clone().at(NOON_MS, no)).rank() <= before.rank());
}

/// Nobody learns from the order, or from a second copy.
fn order_and_copies_do_not_matter(scene: &Scene) {
    let mut other = scene.clone();
    let world = &mut other.world;
    world.documents.reverse();
    world.chain.standings.reverse();
    world.chain.epochs.reverse();
    world.chain.freezes.reverse();
    world.uses.reverse();
    world.sales.reverse();
    let copies = world.documents.clone();
    world.documents.extend(copies);
    assert_eq!(judge(scene), judge(&other));
}

/// What no verdict may say, told without the code under test.
fn what_counts_was_given(scene: &Scene) {
    let Verdict::Counts { reason, document: Some(of) } = judge(scene) else { return };
    if reason == Basis::Sale {
        return what_was_sold_was_settled(scene, of);
    }
    let shown: Vec<&Held> = scene
        .world
        .documents
        .iter()
        .filter(|held| held.signed.document.id(&support::REGISTRIES) == of)
        .collect();
    assert!(!shown.is_empty());
    let happened = scene.act.report.timeMs.min(scene.act.received_ms);
    let moment = if scene.act.in_vault { scene.act.received_ms } else { happened };
    let on_chain = scene.world.chain.standings.iter().any(|standing| standing.id == of);
    let was_given = shown.iter().any(|held| held.received_ms.is_some_and(|at| at <= moment));
    assert!(reason == Basis::Confirmed || was_given || on_chain);
    if let Document::Grant(grant) = &shown[0].signed.document {
        assert!(moment < grant.expiresAt * 1000);
        assert!(scene.act.party.contains(&grant.grantee));
    }
    if reason == Basis::Approval {
        assert_eq!(of, scene.act.report.permission);
    }
}

/// The same of a sale.
fn what_was_sold_was_settled(scene: &Scene, of: B256) {
    let (act, market) = (&scene.act, scene.world.market.unwrap());
    let sold = scene.world.sales.iter().find(|sold| sold.order.id(&market) == of).unwrap();
    let at_s = sold.settled.filter(|settled| settled.is_final).unwrap().at_s;
    let moment_s = act.report.timeMs.min(act.received_ms) / 1000;
    assert!((at_s..at_s + sold.order.offer.accessS).contains(&moment_s));
    assert!(act.party.contains(&sold.order.buyer) && act.report.kind == 1);
    assert_eq!(act.report.subject, sold.order.offer.seller.into_word());
    assert_eq!(act.report.permission, of);
}

/// The page reads no such number, so it would judge otherwise.
#[test]
fn a_revocation_of_all_beyond_the_numbers_of_json_is_none() {
    use medtrail_permit::check::NUMBER_MAX;
    let ended = |epoch| {
        let scene = support::look().before(DAY_MS, signed(MARI, grant()));
        judge(&scene.before(HOUR_MS, signed(MARI, revoke_all(epoch)))).rank()
    };
    assert_eq!((ended(NUMBER_MAX), ended(NUMBER_MAX + 1)), (0, 2));
}

fn holds(scene: &Scene) {
    nothing_is_won_by_hiding_a_permission(scene);
    nothing_is_won_by_a_revocation(scene);
    order_and_copies_do_not_matter(scene);
    what_counts_was_given(scene);
}

#[test]
fn in_every_case_nothing_is_won_by_hiding_or_revoking() {
    cases::all().iter().for_each(|case| holds(&case.scene));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn in_every_world_nothing_is_won_by_hiding_or_revoking(scene in world()) {
        holds(&scene);
    }

    #[test]
    fn a_grant_stands_from_its_entry_to_its_end_and_at_no_other_time(
        given in 0u64..4 * DAY_MS,
        length_s in 1u64..200_000,
        happened in 0u64..6 * DAY_MS,
    ) {
        let start = NOON_MS - 2 * DAY_MS;
        let grant = Grant { expiresAt: (start + given) / 1000 + length_s, ..grant() };
        let end = grant.expiresAt * 1000;
        let scene = support::look().at(start + given, signed(MARI, grant)).with(|scene| {
            scene.act.report.timeMs = start + happened;
            scene.act.received_ms = start + happened;
        });
        let stands = (start + given..end).contains(&(start + happened));
        prop_assert_eq!(judge(&scene).rank() == 2, stands);
    }

    #[test]
    fn a_report_that_comes_later_is_never_better_off(scene in world(), delay in 0u64..DAY_MS) {
        let mut later = scene.clone();
        later.act.received_ms += delay;
        later.act.in_vault = false;
        let mut sooner = scene;
        sooner.act.in_vault = false;
        let is_voiceless = sooner.act.report.subject == support::JAAN;
        let is_emergency = sooner.act.need.is_emergency();
        prop_assert!(is_voiceless || is_emergency || judge(&later).rank() <= judge(&sooner).rank());
    }
}
