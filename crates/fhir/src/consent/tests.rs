//! What is made, held against R4's elements and against files that other software was given:
//! `MEDTRAIL_BLESS=1` writes them.

use super::*;
use crate::rules::consent::assert_consent;
use crate::search::pairs;

const SIGNED: &[u8] = br#"{"version":"medtrail/permission-v1","document":{"grant":{}}}"#;
const SOURCE: &str = "https://log.example/v1/entries/12";
const DAY_MS: u64 = 86_400_000;
const GIVEN_MS: u64 = 1_767_605_400_120;

fn scope(resource: Option<&str>, letters: &str, parameter: Option<(&str, &str)>) -> Scope {
    let restriction =
        parameter.map_or_else(String::new, |(name, value)| format!("?{name}={value}"));
    Scope {
        text: format!("patient/{}.{letters}{restriction}", resource.unwrap_or("*")),
        resource: resource.map(str::to_owned),
        letters: letters.to_owned(),
        parameter: parameter.map(|(name, value)| (name.to_owned(), value.to_owned())),
    }
}

fn permission(scopes: &[Scope]) -> Permission<'_> {
    Permission {
        index: 12,
        id: B256::repeat_byte(0xd1),
        signed: SIGNED,
        subject: Address::repeat_byte(0xa1).into_word(),
        grantee: Address::repeat_byte(9),
        grantee_name: Some("Kalda Family Doctors"),
        signer: Signer::Person,
        scopes,
        purposes: &["TREAT", "PATRQT"],
        topics: &["HIV", "PSY"],
        recorded_ms: GIVEN_MS,
        from_ms: GIVEN_MS,
        until_ms: GIVEN_MS + 10 * DAY_MS,
        standing: Standing::Standing,
        statement: "I allow this.\nTo read <all> & \"more\".",
        language: Language::En,
    }
}

fn holds(name: &str, made: &Value) {
    let text = serde_json::to_string_pretty(made).unwrap() + "\n";
    assert_consent(&text);
    for empty in ["[]", "{}", "\"\"", "null"] {
        assert!(!text.contains(empty), "{empty} in {text}");
    }
    let file = format!("{}/../../tests/data/fhir/consents/{name}.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{name}");
}

#[test]
fn consents_are_those_of_the_files() {
    let plain = [scope(Some("Observation"), "rs", None)];
    holds("standing", &permission(&plain).consent(SOURCE));

    let marked = [
        scope(None, "r", None),
        scope(Some("Condition"), "cru", Some(("_security", "R"))),
        scope(Some("Condition"), "r", Some(("_security", "PSY"))),
        scope(Some("Observation"), "s", Some(("category", "http://x.example|laboratory"))),
        scope(Some("Observation"), "d", Some(("code", "http://loinc.org|8867-4"))),
    ];
    let by_delegate = Permission {
        signer: Signer::Other(Address::repeat_byte(0xb2)),
        grantee_name: None,
        statement: "Ma luban seda.",
        language: Language::Et,
        ..permission(&marked)
    };
    holds("many-scopes-by-a-delegate", &by_delegate.consent(SOURCE));

    let at_ms = GIVEN_MS + DAY_MS;
    let revoked = Permission {
        standing: Standing::Revoked { at_ms },
        signer: Signer::Contract,
        ..permission(&plain)
    };
    holds("revoked", &revoked.consent(SOURCE));
    let ended = Permission { standing: Standing::Ended, ..permission(&plain) };
    holds("ended", &ended.consent(SOURCE));
}

#[test]
fn only_what_stands_is_active_and_a_time_ends_where_it_was_taken_back() {
    let plain = [scope(None, "r", None)];
    let of = |standing| Permission { standing, ..permission(&plain) };
    for (standing, status, span) in [
        (Standing::Standing, "active", Some((GIVEN_MS, GIVEN_MS + 10 * DAY_MS))),
        (Standing::Expired, "inactive", Some((GIVEN_MS, GIVEN_MS + 10 * DAY_MS))),
        (Standing::Revoked { at_ms: GIVEN_MS + 5 }, "inactive", Some((GIVEN_MS, GIVEN_MS + 5))),
        // Taken back before it was shown: it never permitted anything.
        (Standing::Revoked { at_ms: GIVEN_MS - 1 }, "inactive", None),
        (Standing::Revoked { at_ms: GIVEN_MS }, "inactive", None),
        (
            Standing::Revoked { at_ms: u64::MAX },
            "inactive",
            Some((GIVEN_MS, GIVEN_MS + 10 * DAY_MS)),
        ),
        (Standing::Ended, "inactive", None),
    ] {
        let of = of(standing);
        assert_eq!((of.status(), of.span()), (status, span), "{standing:?}");
        let made = of.consent(SOURCE);
        assert_consent(&made.to_string());
        let rules = made["provision"]["provision"].as_array();
        assert_eq!(rules.is_some(), status == "active", "{made:#}");
        assert_eq!(made["provision"].get("period").is_some(), span.is_some(), "{made:#}");
        assert_eq!(made["provision"].get("type"), None, "R4: not at the root");
        let words = made["text"]["div"].as_str().unwrap();
        assert_eq!(words.contains("This permission stands."), status == "active", "{words}");
    }
    let short = Permission { until_ms: GIVEN_MS, ..permission(&plain) };
    assert_eq!(short.span(), None);
}

#[test]
fn each_rule_alone_names_grantee_purpose_time_and_action() {
    let scopes = [scope(None, "r", None), scope(Some("Observation"), "c", Some(("code", "x")))];
    let made = permission(&scopes).consent(SOURCE);
    let rules = made["provision"]["provision"].as_array().unwrap();
    assert_eq!(rules.len(), 2);
    for rule in rules {
        assert_eq!(rule["type"], "permit");
        for element in ["actor", "purpose", "period"] {
            assert_eq!(rule[element], made["provision"][element], "{element}");
        }
        assert!(!rule["action"].as_array().unwrap().is_empty(), "none would be any");
        assert!(!rule["securityLabel"].as_array().unwrap().is_empty(), "none would be all");
    }
    // Nothing of HL7's consent actions says as little as "create".
    assert_eq!(rules[1]["action"][0]["coding"].as_array().unwrap().len(), 1);
    assert_eq!(rules[1]["modifierExtension"][0]["valueString"], "code=x");
    assert_eq!(rules[0].get("modifierExtension"), None);
}

#[test]
fn searches_find_by_what_the_consent_says() {
    let plain = [scope(None, "r", None)];
    let standing = permission(&plain);
    let ended = Permission { standing: Standing::Ended, ..permission(&plain) };
    let finds = |query: &str, of: &Permission<'_>| read(&pairs(query), true).unwrap().admits(of);
    let id = B256::repeat_byte(0xd1);
    let grantee = Address::repeat_byte(9);
    for (query, first, second) in [
        ("".to_owned(), true, true),
        ("status=active".into(), true, false),
        ("status=inactive".into(), false, true),
        ("status=active,inactive".into(), true, true),
        ("status=active&status=inactive".into(), false, false),
        ("status=rejected".into(), false, false),
        ("date=2026-01-05".into(), true, true),
        ("date=lt2026-01-05".into(), false, false),
        ("period=ge2026-01-10".into(), true, false),
        ("period=sa2026-01-10".into(), false, false),
        (format!("identifier={id}"), true, true),
        (format!("identifier=urn:medtrail:permission|{id}"), true, true),
        (format!("identifier={}", B256::ZERO), false, false),
        ("identifier=x".into(), false, false),
        (format!("actor={grantee}"), true, true),
        (format!("actor=Organization/{grantee:#x}"), true, true),
        (format!("actor.identifier=urn:medtrail:address|{grantee}"), true, true),
        ("actor=Organization/7".into(), false, false),
        ("purpose=PATRQT".into(), true, true),
        ("purpose=HRESCH".into(), false, false),
        ("_id=12".into(), true, true),
        ("_id=13".into(), false, false),
        ("_id=x".into(), false, false),
        ("_cursor=13".into(), true, true),
        ("_cursor=12".into(), false, false),
    ] {
        assert_eq!((finds(&query, &standing), finds(&query, &ended)), (first, second), "{query}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_a_person_signed_makes_a_consent_and_no_markup_of_its_own(
        statement in proptest::prelude::any::<String>(),
        name in "[a-z_-]{1,12}|code|_security",
        value in "[!-~]{1,24}",
        letters in "[cruds]",
    ) {
        let scopes = [scope(Some("Observation"), &letters, Some((name.as_str(), value.as_str())))];
        let made = Permission { statement: &statement, ..permission(&scopes) }.consent(SOURCE);
        assert_consent(&made.to_string());
        let div = made["text"]["div"].as_str().unwrap();
        let tags = div.matches('<').count();
        let lines = statement.lines().filter(|line| !line.trim().is_empty()).count();
        assert_eq!(tags, 6 + 2 * lines, "{div}");
    }
}
