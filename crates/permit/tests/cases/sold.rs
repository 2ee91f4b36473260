//! A settled order as a permission: one look of its buyer, and all that must be so.

use super::{Case, counts, not};
use crate::support::{
    DAY_MS, HOSPITAL, HOUR_MS, LAB, MARI, MINUTE_MS, NOON_MS, NOON_S, STRANGER, Scene, address,
    look, measurements, revoke, revoke_all, signed,
};
use alloy_primitives::{Address, B256, U256};
use medtrail_ledger::entry::Kind;
use medtrail_permit::confidentiality::Confidentiality;
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::permits::{Basis, Data, Epoch, Freeze, Granted, Refusal, Sold};
use medtrail_permit::sale::{Market, Offer, Order, Terms, words};
use medtrail_permit::statements::Language;

pub(crate) const DAY_S: u64 = 86_400;
pub(crate) const GLUCOSE: &str = "http://loinc.org|15074-8";
pub(crate) const MARKET: Market =
    Market { chain_id: 31338, data_market: Address::repeat_byte(0xd1) };

pub(crate) fn dataset(scopes: &str, codes: &[&str], form: Form) -> Dataset {
    let codes = codes.iter().map(|code| (*code).to_owned()).collect();
    Dataset::new(scopes, codes, NOON_S - 90 * DAY_S, NOON_S, form, Origin::Signed).unwrap()
}

pub(crate) fn measured() -> Dataset {
    dataset("patient/Observation.rs", &[], Form::AsItIs)
}

/// Mari sold a copy to the stranger, who may look for 30 days besides.
pub(crate) fn order_for(dataset: &Dataset, access_s: u64) -> Order {
    let offer = Offer {
        seller: address(MARI),
        log: B256::repeat_byte(0x10),
        token: Address::ZERO,
        price: U256::from(50_000_000_000_000_000_u64),
        accessS: access_s,
        expiresAt: NOON_S,
        epoch: 3,
        terms: Terms {
            statement: String::new(),
            purpose: "HRESCH".into(),
            dataset: dataset.id(),
            salt: B256::repeat_byte(0x61),
        },
    };
    Order {
        offer: words::worded(offer, dataset, Language::En).unwrap(),
        buyer: address(STRANGER),
        recipient: B256::repeat_byte(9),
        deliverBy: NOON_S,
        grace: DAY_S,
        salt: B256::repeat_byte(0x62),
    }
}

fn order() -> Order {
    order_for(&measured(), 30 * DAY_S)
}

fn id() -> B256 {
    order().id(&MARKET)
}

/// Settled a day before noon.
fn sold(order: Order, dataset: &Dataset) -> Sold {
    let settled = Some(Granted { at_s: NOON_S - DAY_S, is_final: true });
    let dataset = String::from_utf8(dataset.bytes()).unwrap();
    Sold { order, dataset, settled, revoked_s: None }
}

/// The buyer looks at noon, which the operator says for them, and names the order.
fn scene(sold: Sold) -> Scene {
    look().with(|scene| {
        scene.act.signer = None;
        scene.act.party = vec![address(STRANGER)];
        scene.act.in_vault = true;
        scene.act.received_ms = NOON_MS;
        scene.act.need.purposes = vec!["HRESCH".into()];
        scene.act.report.permission = sold.order.id(&MARKET);
        scene.world.market = Some(MARKET);
        scene.world.sales.push(sold);
    })
}

fn usual() -> Scene {
    scene(sold(order(), &measured()))
}

fn changed(change: impl FnOnce(&mut Sold)) -> Scene {
    usual().with(|scene| change(&mut scene.world.sales[0]))
}

fn covered(name: &'static str, scene: Scene) -> Case {
    let id = scene.act.report.permission;
    counts(name, Basis::Sale, id, scene)
}

fn refused(name: &'static str, reason: Refusal, scene: Scene) -> Case {
    let id = scene.act.report.permission;
    not(name, reason, id, scene)
}

pub(crate) fn cases() -> Vec<Case> {
    [orders(), data(), times(), ends()].into_iter().flatten().collect()
}

/// Another document than was sold, the same everywhere else; the report names it.
fn other(change: impl FnOnce(&mut Order)) -> Scene {
    let mut order = order();
    change(&mut order);
    scene(sold(order, &measured()))
}

fn orders() -> Vec<Case> {
    let of = |dataset: &Dataset, access_s| scene(sold(order_for(dataset, access_s), dataset));
    let safe = |profile| {
        dataset("patient/Observation.rs", &[], Form::DeIdentified(profile, Layout::Ndjson))
    };
    let kind = |kind: Kind| usual().with(|scene| scene.act.report.kind = kind.number());
    let named_by_nobody = usual().with(|scene| scene.act.report.permission = B256::ZERO);
    vec![
        covered("a settled order permits its buyer to look", usual()),
        not(
            "an order that no report names permits nothing",
            Refusal::NoPermission,
            None,
            named_by_nobody,
        ),
        refused(
            "an order where no market is known",
            Refusal::UnknownDocument,
            usual().with(|scene| scene.world.market = None),
        ),
        refused(
            "an order of another market",
            Refusal::UnknownDocument,
            usual().with(|scene| {
                scene.world.market =
                    Some(Market { data_market: Address::repeat_byte(0xd2), ..MARKET });
            }),
        ),
        refused(
            "an order that the log does not tell of",
            Refusal::UnknownDocument,
            usual().with(|scene| scene.world.sales.clear()),
        ),
        refused(
            "an order with another description of its data",
            Refusal::InvalidDocument,
            changed(|sold| {
                let wide = dataset("patient/*.rs", &[], Form::AsItIs);
                sold.dataset = String::from_utf8(wide.bytes()).unwrap();
            }),
        ),
        refused(
            "an order with a description that is none",
            Refusal::InvalidDocument,
            changed(|sold| sold.dataset.push('\n')),
        ),
        refused(
            "an order whose seller read something else",
            Refusal::InvalidStatement,
            other(|order| order.offer.terms.statement.push('!')),
        ),
        refused(
            "an order that is not valid",
            Refusal::InvalidDocument,
            other(|order| order.salt = B256::ZERO),
        ),
        refused(
            "an order of somebody else's data",
            Refusal::WrongSubject,
            usual().with(|scene| scene.act.report.subject = address(LAB).into_word()),
        ),
        refused(
            "another buyer",
            Refusal::WrongGrantee,
            usual().with(|scene| scene.act.party = vec![address(HOSPITAL)]),
        ),
        refused(
            "a change by an order",
            Refusal::NotALook,
            kind(Kind::Change).with(|scene| scene.act.report.action = b'U'),
        ),
        refused("data passed on by an order", Refusal::NotALook, kind(Kind::HandOver)),
        refused("a sale of a delivery only", Refusal::DeliveryOnly, of(&measured(), 0)),
        refused(
            "a sale of data made harmless",
            Refusal::DeliveryOnly,
            of(&safe(Profile::SafeHarbor), DAY_S * 30),
        ),
        refused(
            "a sale of data with moved dates",
            Refusal::DeliveryOnly,
            of(&safe(Profile::ShiftedDates), DAY_S * 30),
        ),
        counts(
            "the seller looks and names an order that is over",
            Basis::Own,
            None,
            changed(|sold| sold.settled = None)
                .with(|scene| scene.act.signer = Some(address(MARI))),
        ),
    ]
}

fn data() -> Vec<Case> {
    let told = |scene: Scene, told: &[Data]| scene.with(|s| s.act.need.data = told.to_vec());
    let coded = || {
        let dataset = dataset("patient/Observation.rs", &[GLUCOSE], Form::AsItIs);
        scene(sold(order_for(&dataset, 30 * DAY_S), &dataset))
    };
    let with = |parameter: &str| Data { parameters: vec![parameter.into()], ..measurements() };
    let glucose = || with("code=http://loinc.org|15074-8");
    let sodium = with("code=http://loinc.org|2951-2");
    let marked = Data { confidentiality: Some(Confidentiality::R), ..measurements() };
    let condition = Data { resource: Some("Condition".into()), ..Data::default() };
    let search = |scene: Scene| scene.with(|scene| scene.act.need.is_search = true);
    let purposes = |codes: &[&str]| {
        let codes = codes.iter().map(|code| (*code).to_owned()).collect();
        usual().with(|scene| scene.act.need.purposes = codes)
    };
    let wrong = Refusal::WrongScope;
    vec![
        covered("a search in what was sold", search(usual())),
        covered("a search that found nothing of what was sold", search(told(usual(), &[]))),
        refused("a look at sold data that nobody tells of", wrong, told(usual(), &[])),
        refused(
            "data of a type that was not sold",
            wrong,
            told(usual(), std::slice::from_ref(&condition)),
        ),
        refused("sold data and others", wrong, told(usual(), &[measurements(), condition])),
        refused(
            "sold data with a mark that was not named",
            Refusal::MarkNotNamed,
            told(usual(), &[marked]),
        ),
        covered("a code that was sold", told(coded(), &[glucose()])),
        covered(
            "a code that was sold, of a vaccine",
            told(coded(), &[with("vaccine-code=http://loinc.org|15074-8")]),
        ),
        refused("a code that was not sold", wrong, told(coded(), std::slice::from_ref(&sodium))),
        refused(
            "a category that reads like a code that was sold",
            wrong,
            told(coded(), &[with("category=http://loinc.org|15074-8")]),
        ),
        refused("codes of which one was not sold", wrong, told(coded(), &[glucose(), sodium])),
        refused("sold by its code, and no code is told", wrong, coded()),
        covered("a purpose below that of the sale", purposes(&["CLINTRCH"])),
        refused(
            "another purpose than that of the sale",
            Refusal::WrongPurpose,
            purposes(&["HMARKT"]),
        ),
        refused(
            "the purpose of the sale and another",
            Refusal::WrongPurpose,
            purposes(&["HRESCH", "HMARKT"]),
        ),
        refused("a look by an order without a purpose", Refusal::NoPurpose, purposes(&[])),
    ]
}

fn times() -> Vec<Case> {
    let settled =
        |at_s: u64, is_final: bool| changed(|sold| sold.settled = Some(Granted { at_s, is_final }));
    let late = |delay_ms: u64| usual().late(delay_ms).with(|scene| scene.act.in_vault = false);
    let lasting = |access_s: u64| scene(sold(order_for(&measured(), access_s), &measured()));
    vec![
        refused(
            "an order that is not settled",
            Refusal::NotSettled,
            changed(|sold| sold.settled = None),
        ),
        refused(
            "an order settled in a block that is not final",
            Refusal::NotFinal,
            settled(NOON_S - DAY_S, false),
        ),
        refused("an order settled a second later", Refusal::NotYetGiven, settled(NOON_S + 1, true)),
        covered("an order settled in this second", settled(NOON_S, true)),
        refused("the time of access was over this second", Refusal::Expired, lasting(DAY_S)),
        covered("the last second of access", lasting(DAY_S + 1)),
        refused(
            "a look told late, from before it was settled",
            Refusal::NotYetGiven,
            late(2 * DAY_MS),
        ),
        covered("a look told late, while it stood", late(HOUR_MS)),
        refused(
            "a look told late, when it was over",
            Refusal::Expired,
            lasting(DAY_S - 60).late(HOUR_MS).with(|scene| scene.act.in_vault = false),
        ),
    ]
}

fn ends() -> Vec<Case> {
    let ended = |at_s: u64| changed(|sold| sold.revoked_s = Some(at_s));
    let standing =
        |subject: u8, revoked_s| usual().standing(address(subject), id(), None, Some(revoked_s));
    let epoch = |at_s: u64| {
        let start = Epoch { subject: address(MARI), epoch: 1, at_s };
        usual().with(|scene| scene.world.chain.epochs.push(start))
    };
    let frozen = Freeze { subject: address(MARI), from_s: NOON_S - 60, until_s: None };
    vec![
        refused("an order revoked on the market in this second", Refusal::Revoked, ended(NOON_S)),
        covered("an order revoked on the market a second later", ended(NOON_S + 1)),
        refused("an order revoked in the registry", Refusal::Revoked, standing(MARI, NOON_S - 60)),
        covered(
            "an order that somebody else revoked in the registry",
            standing(STRANGER, NOON_S - 60),
        ),
        refused(
            "an order that its seller revoked in the log",
            Refusal::Revoked,
            usual().before(MINUTE_MS, signed(MARI, revoke(address(MARI), id()))),
        ),
        covered(
            "an order that its seller revokes later",
            usual().after(MINUTE_MS, signed(MARI, revoke(address(MARI), id()))),
        ),
        covered(
            "an order that its buyer revoked in the log",
            usual().before(MINUTE_MS, signed(STRANGER, revoke(address(MARI), id()))),
        ),
        refused(
            "an order settled before everything was taken back",
            Refusal::WrongEpoch,
            usual().before(HOUR_MS, signed(MARI, revoke_all(0))),
        ),
        covered(
            "an order settled after everything was taken back",
            usual().before(2 * DAY_MS, signed(MARI, revoke_all(0))),
        ),
        refused(
            "an order settled before everything was taken back on the chain",
            Refusal::WrongEpoch,
            epoch(NOON_S - 60),
        ),
        covered(
            "an order settled after everything was taken back on the chain",
            epoch(NOON_S - 2 * DAY_S),
        ),
        covered(
            "the seller froze permissions after the order was settled",
            usual().with(|scene| scene.world.chain.freezes.push(frozen)),
        ),
    ]
}
