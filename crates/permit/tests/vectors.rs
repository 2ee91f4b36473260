//! The cases that Rust and the page share: `permits.json` (what counts), `statements.json` (what a
//! person reads). `MEDTRAIL_BLESS=1` writes them; what is expected of each case stands in
//! `tests/cases`, written by hand.

mod cases;
mod support;

use alloy_primitives::{Address, B256, address};
use alloy_sol_types::SolStruct;
use medtrail_ledger::schema::{Eip712Domain, domain};
use medtrail_permit::documents::{
    ChangeApproval, Document, Erase, Grant, RecoveryPolicy, Revoke, RevokeAll, named,
};
use medtrail_permit::permits::{CONFIRM_MS, Held, clock, permits};
use medtrail_permit::statements::{Language, language_of, render};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn agrees_with_the_file(name: &str, text: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let file = folder.join(name);
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    assert!(stored == text, "{name} is not what this code makes; MEDTRAIL_BLESS=1 rewrites it");
}

/// `permissions.json` was made by viem and is what the contract's tests are held to.
#[test]
fn documents_hash_as_wallet_and_contract_hash_them() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let text = std::fs::read_to_string(folder.join("permissions.json")).unwrap();
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let registry = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");
    let domain = domain(31338, registry);
    let mut seen = BTreeSet::new();
    for vector in vectors["documents"].as_array().unwrap() {
        let kind = vector["primaryType"].as_str().unwrap();
        let message = &vector["message"];
        let agrees = match kind {
            "Grant" => agrees::<Grant>(vector, message, &["epoch", "expiresAt"], &domain),
            "ChangeApproval" => {
                agrees::<ChangeApproval>(vector, message, &["epoch", "expiresAt"], &domain)
            }
            "Revoke" => agrees::<Revoke>(vector, message, &[], &domain),
            "RevokeAll" => agrees::<RevokeAll>(vector, message, &["epoch"], &domain),
            "RecoveryPolicy" => {
                agrees::<RecoveryPolicy>(vector, message, &["delayS", "epoch"], &domain)
            }
            // What trustees sign is between them and the contract.
            _ => continue,
        };
        assert!(agrees, "{kind}");
        seen.insert(kind);
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

/// Whether type, struct hash and digest are those of the vector, whose large numbers are texts.
fn agrees<T: SolStruct + DeserializeOwned>(
    vector: &Value,
    message: &Value,
    numbers: &[&str],
    domain: &Eip712Domain,
) -> bool {
    let mut message = message.clone();
    for name in numbers {
        let number: u64 = message[name].as_str().unwrap().parse().unwrap();
        message[name] = number.into();
    }
    let document: T = serde_json::from_value(message).unwrap();
    json!({
        "typeString": T::eip712_encode_type(),
        "structHash": document.eip712_hash_struct(),
        "digest": document.eip712_signing_hash(domain),
    }) == json!({
        "typeString": vector["typeString"],
        "structHash": vector["structHash"],
        "digest": vector["digest"],
    })
}

#[test]
fn every_case_is_judged_as_it_should_be() {
    let cases = cases::all();
    assert!(cases.len() >= 180, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let found = permits(&case.scene.act, &case.scene.world);
        if found != case.expected {
            wrong.push(format!("{}:\n  {found:?}\n  {:?}", case.name, case.expected));
        }
        let clock = clock(&case.scene.act, &case.scene.world);
        if clock.map(|clock| clock.until_ms) != case.until_ms {
            wrong.push(format!("{}:\n  {clock:?}\n  {:?}", case.name, case.until_ms));
        }
        assert!(clock.is_none_or(|clock| clock.until_ms - clock.since_ms == CONFIRM_MS));
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "a name stands twice");
}

#[test]
fn every_reason_has_a_case() {
    let reasons: BTreeSet<String> = cases::all()
        .iter()
        .map(|case| {
            let value = serde_json::to_value(case.expected).unwrap();
            value["reason"].as_str().unwrap().to_owned()
        })
        .collect();
    let all = "grant approval confirmed own representative sale noKey emergency kind noSubject ahead \
               contradiction noPermission unknownDocument notAPermission invalidDocument \
               invalidStatement wrongSubject wrongGrantee notAChange notALook deliveryOnly wrongRecord wrongVersions \
               wrongScope markNotNamed noPurpose wrongPurpose notSigned invalidSignature \
               notTheController controlMoved noRight frozen notSettled notFinal notYetGiven revoked \
               wrongEpoch expired used contested";
    assert_eq!(reasons, all.split_whitespace().map(str::to_owned).collect());
}

#[test]
fn the_vectors_hold_every_case() {
    let mut documents: Vec<Value> = Vec::new();
    let mut place = |held: &Held| {
        let signed = serde_json::to_value(&held.signed).unwrap();
        let known = documents.iter().position(|known| *known == signed);
        let place = known.unwrap_or_else(|| {
            documents.push(signed);
            documents.len() - 1
        });
        json!({"document": place, "receivedMs": held.received_ms})
    };
    let lines: Vec<String> = cases::all()
        .iter()
        .map(|case| {
            let (world, until_ms) = (&case.scene.world, case.until_ms);
            let held: Vec<Value> = world.documents.iter().map(&mut place).collect();
            let mut case = json!({
                "name": case.name,
                "act": case.scene.act,
                "documents": held,
                "chain": world.chain,
                "pseudonyms": world.pseudonyms,
                "uses": world.uses,
                "expected": case.expected,
            });
            // Only where there are any: the cases that were there before stay as they are.
            if !world.ends.is_empty() {
                case["ends"] = json!(world.ends);
            }
            if let Some(market) = &world.market {
                case["market"] = json!(market);
            }
            if !world.sales.is_empty() {
                case["sales"] = json!(world.sales);
            }
            if let Some(until_ms) = until_ms {
                case["confirmUntilMs"] = json!(until_ms);
            }
            case.to_string()
        })
        .collect();
    let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
    // One line a document and one a case: a difference is one line too.
    let text = format!(
        "{{\n\"version\": 1,\n\"registries\": {},\n\"documents\": [\n{}\n],\n\"cases\": [\n{}\n]\n}}\n",
        json!(support::REGISTRIES),
        documents.join(",\n"),
        lines.join(",\n"),
    );
    agrees_with_the_file("permits.json", &text);
}

/// Every template, and every turn that one can take.
fn told() -> Vec<Document> {
    let grant = |scopes: &str, purposes: &str| {
        let (scopes, purposes) = (scopes.to_owned(), purposes.to_owned());
        Document::Grant(medtrail_permit::documents::Grant { scopes, purposes, ..support::grant() })
    };
    let approval = |from, to| {
        Document::ChangeApproval(medtrail_permit::documents::ChangeApproval {
            fromVersion: from,
            toVersion: to,
            ..support::approval()
        })
    };
    let delegation = |rights: &str| {
        Document::Delegation(medtrail_permit::documents::Delegation {
            rights: rights.into(),
            ..support::delegation()
        })
    };
    let guardianship = |rights: &str| support::guardianship(support::MOTHER, rights).document;
    let recovery = |count: u8, needed: u8, delay_s: u64| {
        Document::RecoveryPolicy(RecoveryPolicy {
            subject: support::address(support::MARI),
            trustees: (1..=count).map(Address::repeat_byte).collect(),
            needed,
            delayS: delay_s,
            ..RecoveryPolicy::default()
        })
    };
    let erase = |up_to_ordinal: u64| {
        Document::Erase(Erase {
            subject: support::address(support::MARI),
            log: B256::repeat_byte(0x10),
            upToOrdinal: up_to_ordinal,
            expiresAt: support::NOON_S,
            ..Erase::default()
        })
    };
    let resources = medtrail_permit::resources::types();
    let every_type = resources.map(|name| grant(&format!("patient/{name}.c"), "TREAT"));
    let every_purpose = medtrail_permit::purposes::codes().map(|code| grant("patient/*.r", code));
    let marks = "R V BH COGN DVD EMOTDIS ETH ETHUD GDIS HIV MH MST OPIOIDUD PREGNANT PSY PSYTHPN SCA \
                 SDV SEX SPI STD SUD TBOO VIO";
    let marks = marks.split_whitespace();
    let every_mark = marks.map(|mark| grant(&format!("patient/*.r?_security={mark}"), "TREAT"));
    let category = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
    let (a, b) = (support::version('A'), support::version('B'));
    let few = [
        grant("patient/*.cruds", "TREAT"),
        grant("patient/Observation.rs patient/MedicationRequest.cu", "TREAT HRESCH"),
        grant(&format!("patient/Observation.rs?{category} patient/Condition.*"), "PUBHLTH HMARKT"),
        grant("patient/Account.read patient/Basic.write", "PATRQT"),
        approval(a, b),
        approval(B256::ZERO, b),
        approval(a, B256::ZERO),
        recovery(1, 1, 2 * 86_400),
        recovery(2, 2, 7 * 86_400),
        recovery(16, 9, 90 * 86_400),
        recovery(3, 2, 49 * 3600),
        recovery(3, 2, 2881 * 60),
        recovery(3, 2, 172_801),
        delegation("SEE"),
        delegation("PERMIT"),
        delegation("SEE PERMIT"),
        guardianship("SEE"),
        guardianship("PERMIT"),
        guardianship("SEE PERMIT"),
        erase(137),
        erase(0),
    ];
    few.into_iter().chain(every_type).chain(every_purpose).chain(every_mark).collect()
}

#[test]
fn the_vectors_hold_every_template_in_both_languages() {
    let lines: Vec<String> = told()
        .iter()
        .map(|document| {
            let text =
                |language| render(document, language).unwrap_or_else(|| panic!("{document:?}"));
            let (en, et) = (text(Language::En), text(Language::Et));
            let mut bare = serde_json::to_value(document).unwrap();
            for fields in bare.as_object_mut().unwrap().values_mut() {
                fields["statement"] = json!("");
            }
            json!({"document": bare, "en": en, "et": et}).to_string()
        })
        .collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    agrees_with_the_file("statements.json", &text);
}

#[test]
fn statements_read_as_they_should() {
    let told = told();
    let read = |place: usize, language| render(&told[place], language).unwrap();
    let mari = support::address(support::MARI);
    let hospital = support::address(support::HOSPITAL);
    assert_eq!(
        read(1, Language::En),
        format!(
            "I allow {hospital} to do this with the health data of {mari}: see and search \
             measurements; add and change prescriptions. Only for: treatment, also in an emergency \
             or a clinical trial; health research of any kind. Data marked as restricted or \
             sensitive are included only where that mark is named here. Valid until 2026-02-04 \
             12:00 UTC; it can be taken back at any time. (Medtrail grant 1)"
        )
    );
    assert_eq!(
        read(1, Language::Et),
        format!(
            "Luban aadressi {hospital} omanikul teha isiku {mari} terviseandmetega järgmist: \
             vaadata ja otsida mõõtmistulemusi; lisada ja muuta retsepte. Lubatud eesmärgid: ravi, \
             ka hädaolukorras või kliinilises uuringus; igasugused terviseuuringud. Piiratud \
             juurdepääsuga või tundlikuks märgitud andmeid hõlmab luba ainult siis, kui see märge \
             on siin nimetatud. Kehtib kuni 04.02.2026 kell 12:00 UTC; loa võib igal ajal tagasi \
             võtta. (Medtrail luba 1)"
        )
    );
}

#[test]
fn no_word_of_the_log_stands_in_a_statement() {
    const WORDS: [&str; 14] = [
        "subject",
        "controller",
        "custodian",
        "actor",
        "entry",
        "commitment",
        "roster",
        "checkpoint",
        "anchor",
        "refusal",
        "binding",
        "withheld",
        "merkle",
        "hash",
    ];
    for document in told() {
        let text = render(&document, Language::En).unwrap().to_lowercase();
        let mut words = text.split(|letter: char| !letter.is_alphanumeric());
        assert!(words.all(|word| !WORDS.contains(&word)), "{text}");
    }
}

#[test]
fn a_statement_is_known_in_its_language_and_no_other_text_is() {
    for document in told() {
        let [en, et] = Language::ALL.map(|language| {
            medtrail_permit::statements::worded(document.clone(), language).unwrap()
        });
        assert_eq!(language_of(&en), Some(Language::En));
        assert_eq!(language_of(&et), Some(Language::Et));
        medtrail_permit::check::check(&en).unwrap();
        medtrail_permit::check::check(&et).unwrap();
        let mut other = serde_json::to_value(&en).unwrap();
        for fields in other.as_object_mut().unwrap().values_mut() {
            fields["statement"] = json!(format!("{} ", en.statement().unwrap()));
        }
        let other: Document = serde_json::from_value(other).unwrap();
        assert_eq!(language_of(&other), None);
    }
    assert_eq!(named(B256::ZERO), Address::ZERO);
}
