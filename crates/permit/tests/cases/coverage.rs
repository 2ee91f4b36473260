//! Who, what, for what: whether a document is about this act at all.

use super::{Case, counts, not};
use crate::support::{
    DAY_MS, HOSPITAL, LAB, MARI, NOON_S, REGISTRIES, STRANGER, Scene, address, approval, grant, id,
    look, measurements, revoke_all, sign, signed, signed_for,
};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::entry::Kind;
use medtrail_permit::confidentiality::Confidentiality;
use medtrail_permit::documents::{Document, Grant, Registries};
use medtrail_permit::permits::{Basis, Data, Refusal};
use medtrail_permit::signed::Signed;
use medtrail_permit::statements::{Language, worded};

fn with_scopes(scopes: &str) -> Grant {
    Grant { scopes: scopes.into(), ..grant() }
}

fn with_purposes(purposes: &str) -> Grant {
    Grant { purposes: purposes.into(), ..grant() }
}

fn data(scene: Scene, data: &[Data]) -> Scene {
    scene.with(|scene| scene.act.need.data = data.to_vec())
}

fn marked(level: Option<Confidentiality>, topics: &[&str]) -> Data {
    let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    Data { confidentiality: level, topics, ..measurements() }
}

fn fits(parameter: &str) -> Data {
    Data { parameters: vec![parameter.into()], ..measurements() }
}

/// A grant that covers, or does not, where a scene is all that differs.
fn covered(name: &'static str, grant: Grant, scene: Scene) -> Case {
    counts(name, Basis::Grant, id(grant.clone()), scene.before(DAY_MS, signed(MARI, grant)))
}

fn refused(name: &'static str, reason: Refusal, grant: Grant, scene: Scene) -> Case {
    not(name, reason, id(grant.clone()), scene.before(DAY_MS, signed(MARI, grant)))
}

/// A document that the report names, and that is not what it should be.
fn named(name: &'static str, reason: Refusal, grant: Grant) -> Case {
    let scene = look().naming(grant.clone()).before(DAY_MS, signed(MARI, grant.clone()));
    not(name, reason, id(grant), scene)
}

pub(crate) fn cases() -> Vec<Case> {
    [scopes(), marks(), purposes(), parties(), documents()].into_iter().flatten().collect()
}

fn scopes() -> Vec<Case> {
    let wrong = Refusal::WrongScope;
    let laboratory =
        "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
    let only = || with_scopes(&format!("patient/Observation.rs?{laboratory}"));
    let two = [measurements(), Data { resource: Some("Condition".into()), ..Data::default() }];
    let search = || look().with(|scene| scene.act.need.is_search = true);
    let action = |letter: u8| look().with(|scene| scene.act.report.action = letter);
    let odd = Data { resource: Some("Diary".into()), ..Data::default() };
    let hand_over = || {
        look().with(|scene| {
            (scene.act.report.kind, scene.act.report.action) = (Kind::HandOver.number(), b'C');
        })
    };
    let kind = |kind: Kind| look().with(|scene| scene.act.report.kind = kind.number());
    vec![
        covered("a scope of this type", with_scopes("patient/Observation.r"), look()),
        covered("a scope of version 1", with_scopes("patient/Observation.read"), search()),
        refused("a scope of another type", wrong, with_scopes("patient/Condition.rs"), look()),
        refused("a scope to write only", wrong, with_scopes("patient/*.cud"), look()),
        refused("a search with a scope to read", wrong, with_scopes("patient/*.r"), search()),
        refused("a read with a scope to search", wrong, with_scopes("patient/*.s"), look()),
        refused(
            "an executed query with a scope to read",
            wrong,
            with_scopes("patient/*.r"),
            action(b'E'),
        ),
        refused(
            "a look without an action needs both",
            wrong,
            with_scopes("patient/*.r"),
            action(0),
        ),
        covered("a look without an action has both", with_scopes("patient/*.rs"), action(0)),
        covered(
            "two kinds of data by two scopes",
            with_scopes("patient/Observation.r patient/Condition.r"),
            data(look(), &two),
        ),
        refused(
            "two kinds of data, one allowed",
            wrong,
            with_scopes("patient/Observation.r"),
            data(look(), &two),
        ),
        refused(
            "data of a type that FHIR does not have",
            wrong,
            with_scopes("patient/Observation.r"),
            data(look(), std::slice::from_ref(&odd)),
        ),
        covered("data of any type", with_scopes("patient/*.r"), data(look(), &[odd])),
        covered("data that nobody tells of", with_scopes("patient/*.r"), data(look(), &[])),
        refused(
            "data that nobody tells of, and one type allowed",
            wrong,
            with_scopes("patient/Observation.r"),
            data(look(), &[]),
        ),
        covered("a restriction that the data fit", only(), data(look(), &[fits(laboratory)])),
        refused("a restriction of which nothing is known", wrong, only(), look()),
        refused(
            "a restriction that the data do not fit",
            wrong,
            only(),
            data(look(), &[fits("category=laboratory")]),
        ),
        covered(
            "a restriction to a code of any system",
            with_scopes("patient/Observation.r?category=laboratory"),
            data(look(), &[fits(laboratory)]),
        ),
        covered(
            "data passed on to who may read them",
            with_scopes("patient/Observation.r"),
            hand_over(),
        ),
        refused(
            "data passed on to who may add to them",
            wrong,
            with_scopes("patient/Observation.c"),
            hand_over(),
        ),
        not(
            "a look that calls itself an update",
            Refusal::Contradiction,
            None,
            action(b'U').before(DAY_MS, signed(MARI, grant())),
        ),
        not("a question needs no permission", Refusal::Kind, None, kind(Kind::Question)),
        not("a delivery is judged by its order", Refusal::Kind, None, kind(Kind::Delivery)),
        not("an unknown kind is not judged", Refusal::Kind, None, kind(Kind::Other(99))),
    ]
}

fn marks() -> Vec<Case> {
    use Confidentiality::{M, R, V};
    let unnamed = Refusal::MarkNotNamed;
    let all = grant;
    let named = |mark: &str| with_scopes(&format!("patient/*.r patient/*.r?_security={mark}"));
    let at = |level, topics: &[&str]| data(look(), &[marked(level, topics)]);
    vec![
        covered("data of a moderate level", all(), at(Some(M), &[])),
        refused("restricted data, not named", unnamed, all(), at(Some(R), &[])),
        covered("restricted data, named", named("R"), at(Some(R), &[])),
        covered("restricted data where very restricted are named", named("V"), at(Some(R), &[])),
        refused(
            "very restricted data where restricted are named",
            unnamed,
            named("R"),
            at(Some(V), &[]),
        ),
        refused("a sensitive topic, not named", unnamed, all(), at(None, &["PSY"])),
        covered("a sensitive topic, named", named("PSY"), at(Some(R), &["PSY"])),
        refused("another sensitive topic, named", unnamed, named("HIV"), at(None, &["PSY"])),
        refused("a topic that no table knows", unnamed, named("PSY"), at(None, &["XTOPIC"])),
        refused(
            "a named topic that is very restricted",
            unnamed,
            named("PSY"),
            at(Some(V), &["PSY"]),
        ),
        refused(
            "ordinary data where only a mark is allowed",
            Refusal::WrongScope,
            with_scopes("patient/*.r?_security=PSY"),
            look(),
        ),
        refused(
            "marked data of a type that is not allowed either",
            Refusal::WrongScope,
            with_scopes("patient/Condition.r"),
            at(Some(R), &[]),
        ),
    ]
}

fn purposes() -> Vec<Case> {
    let both = |one: &str, other: &str| {
        look().with(|scene| scene.act.need.purposes = vec![one.into(), other.into()])
    };
    let wrong = Refusal::WrongPurpose;
    vec![
        covered(
            "a purpose below the granted one",
            with_purposes("HRESCH"),
            look().purpose("CLINTRCH"),
        ),
        refused(
            "a purpose above the granted one",
            wrong,
            with_purposes("CLINTRCH"),
            look().purpose("HRESCH"),
        ),
        refused("another purpose", wrong, grant(), look().purpose("HMARKT")),
        refused("a purpose that no table knows", wrong, grant(), look().purpose("XPARTY")),
        refused(
            "no purpose told",
            Refusal::NoPurpose,
            grant(),
            look().with(|scene| scene.act.need.purposes.clear()),
        ),
        refused("two purposes, one granted", wrong, grant(), both("TREAT", "HRESCH")),
        covered(
            "two purposes, both granted",
            with_purposes("HRESCH TREAT"),
            both("TREAT", "HRESCH"),
        ),
        covered("an emergency within what was granted", grant(), look().purpose("BTG")),
    ]
}

fn parties() -> Vec<Case> {
    let to_lab = Grant { grantee: address(LAB), ..grant() };
    let of_stranger = Grant { subject: address(STRANGER), ..grant() };
    let by_organisation = || {
        look().with(|scene| {
            scene.act.party = vec![Address::repeat_byte(0x0f), address(HOSPITAL)];
            scene.act.signer = Some(address(HOSPITAL));
        })
    };
    let to_organisation = Grant { grantee: Address::repeat_byte(0x0f), ..grant() };
    let wider = Grant { salt: B256::repeat_byte(0x99), ..with_scopes("patient/Observation.r") };
    let first = id(grant()).min(id(wider.clone()));
    vec![
        not(
            "a grant to somebody else, not named",
            Refusal::NoPermission,
            None,
            look().before(DAY_MS, signed(MARI, to_lab.clone())),
        ),
        named("a grant to somebody else, named", Refusal::WrongGrantee, to_lab.clone()),
        not(
            "a grant about somebody else, named",
            Refusal::WrongSubject,
            id(of_stranger.clone()),
            look().naming(of_stranger.clone()).before(DAY_MS, signed(STRANGER, of_stranger)),
        ),
        covered(
            "a grant to the organisation, used with its key",
            to_organisation,
            by_organisation(),
        ),
        covered("a grant to the key that signed", grant(), by_organisation()),
        not(
            "an act of nobody",
            Refusal::NoPermission,
            None,
            look().with(|scene| scene.act.party.clear()).before(DAY_MS, signed(MARI, grant())),
        ),
        not(
            "an act about nobody",
            Refusal::NoSubject,
            None,
            look()
                .with(|scene| scene.act.report.subject = B256::ZERO)
                .purpose("BTG")
                .before(DAY_MS, signed(MARI, grant())),
        ),
        counts(
            "of two grants that cover, the lowest id is told",
            Basis::Grant,
            first,
            look().before(DAY_MS, signed(MARI, grant())).before(DAY_MS, signed(MARI, wider)),
        ),
        not(
            "a named grant that does not cover, beside one that does",
            Refusal::WrongGrantee,
            id(to_lab.clone()),
            look()
                .naming(to_lab.clone())
                .before(DAY_MS, signed(MARI, to_lab))
                .before(DAY_MS, signed(MARI, grant())),
        ),
        not(
            "of two grants that do not cover, the nearest is told",
            Refusal::Expired,
            id(Grant { expiresAt: NOON_S - 1, ..grant() }),
            look()
                .before(DAY_MS, signed(MARI, Grant { expiresAt: NOON_S - 1, ..grant() }))
                .before(DAY_MS, signed(MARI, with_scopes("patient/Condition.r"))),
        ),
    ]
}

fn documents() -> Vec<Case> {
    let far = Registries { chain_id: 1, ..REGISTRIES };
    let elsewhere = Registries { consent_registry: REGISTRIES.anchor_registry, ..REGISTRIES };
    let broken = |change: &dyn Fn(&mut Grant)| {
        let mut grant = grant();
        change(&mut grant);
        grant
    };
    let Some(Document::Grant(mut other_words)) = worded(Document::Grant(grant()), Language::En)
    else {
        panic!("it can be told")
    };
    other_words.scopes = "patient/*.r".into();
    let other_words = Document::Grant(other_words);
    let estonian = worded(Document::Grant(grant()), Language::Et).unwrap();
    let by_stranger = signed(STRANGER, grant());
    let signature = |bytes: Bytes| Signed { signature: Some(bytes), ..signed(MARI, grant()) };
    let mut upper = sign(MARI, id(grant())).to_vec();
    upper[64] -= 27;
    let invalid = Refusal::InvalidDocument;
    vec![
        not(
            "a grant signed for another chain",
            Refusal::NotTheController,
            id(grant()),
            look().before(DAY_MS, signed_for(&far, MARI, grant())),
        ),
        not(
            "a grant signed for another registry",
            Refusal::NotTheController,
            id(grant()),
            look().before(DAY_MS, signed_for(&elsewhere, MARI, grant())),
        ),
        not(
            "the id of a grant for another chain",
            Refusal::UnknownDocument,
            Document::Grant(grant()).id(&far),
            look()
                .with(|scene| scene.act.report.permission = Document::Grant(grant()).id(&far))
                .before(DAY_MS, signed(MARI, grant())),
        ),
        not(
            "an id that nobody has shown, though the chain knows it",
            Refusal::UnknownDocument,
            id(grant()),
            look().naming(grant()).standing(
                address(MARI),
                id(grant()),
                Some((NOON_S - 60, true)),
                None,
            ),
        ),
        not(
            "a revocation named as a permission",
            Refusal::NotAPermission,
            id(revoke_all(0)),
            look().naming(revoke_all(0)).before(DAY_MS, signed(MARI, revoke_all(0))),
        ),
        not(
            "an approval named by a look",
            Refusal::NotAChange,
            id(approval()),
            look().naming(approval()).before(DAY_MS, signed(MARI, approval())),
        ),
        counts(
            "a grant in Estonian",
            Basis::Grant,
            estonian.id(&REGISTRIES),
            look().before(DAY_MS, signed(MARI, estonian)),
        ),
        not(
            "a grant whose wallet showed another scope",
            Refusal::InvalidStatement,
            other_words.id(&REGISTRIES),
            look().naming(other_words.clone()).before(DAY_MS, signed(MARI, other_words)),
        ),
        not(
            "a grant that a stranger signed",
            Refusal::NotTheController,
            id(grant()),
            look().before(DAY_MS, by_stranger),
        ),
        not(
            "a grant that the hospital signed for itself",
            Refusal::NotTheController,
            id(grant()),
            look().before(DAY_MS, signed(HOSPITAL, grant())),
        ),
        not(
            "a signature of a contract wallet, off chain",
            Refusal::InvalidSignature,
            id(grant()),
            look().before(DAY_MS, signature(Bytes::from_static(b"ERC-1271 says so"))),
        ),
        not(
            "a signature in another spelling",
            Refusal::InvalidSignature,
            id(grant()),
            look().before(DAY_MS, signature(upper.into())),
        ),
        not(
            "a grant without a signature, and not on chain",
            Refusal::NotSigned,
            id(grant()),
            look().before(DAY_MS, Signed { signature: None, ..signed(MARI, grant()) }),
        ),
        named("a grant to nobody", invalid, broken(&|grant| grant.grantee = Address::ZERO)),
        named("a grant about nobody", invalid, broken(&|grant| grant.subject = Address::ZERO)),
        named("a grant without scopes", invalid, broken(&|grant| grant.scopes.clear())),
        named("a grant without purposes", invalid, broken(&|grant| grant.purposes.clear())),
        named("a grant without a salt", invalid, broken(&|grant| grant.salt = B256::ZERO)),
        named("a grant of what others may see", invalid, with_scopes("user/*.r")),
        named("a grant with a scope that is none", invalid, with_scopes("patient/Observation.sr")),
        named("a grant without an end", invalid, broken(&|grant| grant.expiresAt = u64::MAX >> 11)),
    ]
}
