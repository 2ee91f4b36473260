//! De-identification: of ten FHIR types the elements that a table names pass, each value by a rule
//! that knows what it may look like. Everything else is dropped and counted: names, texts,
//! identifiers, extensions, and what nobody has thought of yet.
//!
//! What is made is a smaller resource that says nothing the original did not: where an element
//! that changes the meaning of the rest cannot pass, the whole resource is dropped.
//!
//! `hipaa-safe-harbor-v1` leaves of dates the year, of a birth more than 89 years ago nothing.
//! `shifted-dates-v1` moves dates instead, which is **not** Safe Harbor: 45 CFR 164.514(b)(2)(i)(C)
//! takes all of a date but the year.

mod codes;
mod tables;

use crate::json::{self, Out};
use crate::moment::Moment;
use medtrail_permit::dataset::Profile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tables::{Field, Need, Rule};

/// Ages above this one are not told (45 CFR 164.514(b)(2)(i)(C)).
const AGE_TOLD_MAX: i32 = 89;
/// The halves of a period.
const ENDS: [&str; 2] = ["start", "end"];
/// Items of one element that are taken over.
const ITEMS_MAX: usize = 1000;

/// What was left out: counts by the path of the element.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removed {
    /// Elements, by path: `Observation.note`. `*` stands for a name that no table knows: it could
    /// be a person's.
    pub elements: BTreeMap<String, u64>,
    /// Whole resources, by the path of what could not pass and could not be left out.
    pub resources: BTreeMap<String, u64>,
}

impl Removed {
    fn element(&mut self, path: &str) {
        *self.elements.entry(path.to_owned()).or_default() += 1;
    }
}

/// How one sale's resources are made harmless.
pub(crate) struct Rules<'a> {
    pub(crate) profile: Profile,
    /// Days by which dates are moved back.
    pub(crate) days: i64,
    /// The year in which it is made.
    pub(crate) year: i32,
    /// The fresh id of a resource that is chosen for the same delivery, by its `Type/id`.
    pub(crate) ids: &'a dyn Fn(&str) -> Option<String>,
}

/// The resource that may be given away; none if it is to be dropped, which the counts then say.
pub(crate) fn strip(text: &str, id: &str, rules: &Rules<'_>, removed: &mut Removed) -> Option<Out> {
    let mut own = Removed::default();
    match resource(text, id, rules, &mut own) {
        Ok(out) => {
            for (path, count) in own.elements {
                *removed.elements.entry(path).or_default() += count;
            }
            Some(out)
        }
        Err(Lost(path)) => {
            *removed.resources.entry(path).or_default() += 1;
            None
        }
    }
}

/// The resource is lost by what stands at this path.
struct Lost(String);

fn resource(text: &str, id: &str, rules: &Rules<'_>, own: &mut Removed) -> Result<Out, Lost> {
    let unread = || Lost("*".to_owned());
    let members = json::members(text).ok_or_else(unread)?;
    let name = json::member(&members, "resourceType").and_then(json::string);
    let (name, fields) = name.as_deref().and_then(tables::table).ok_or_else(unread)?;
    // The rest may mean the opposite of what it says without it.
    if members.iter().any(|(member, _)| member == "implicitRules") {
        return Err(Lost(format!("{name}.implicitRules")));
    }
    let own_name = |member: &str| member == "resourceType";
    let mut out =
        vec![("resourceType", Out::Text(name.to_owned())), ("id", Out::Text(id.to_owned()))];
    out.extend(parts(&members, fields, name, &own_name, rules, own)?);
    Ok(Out::Object(out))
}

/// The parts that pass of an object.
fn parts(
    members: &[(String, &str)],
    fields: &[Field],
    path: &str,
    is_taken: &dyn Fn(&str) -> bool,
    rules: &Rules<'_>,
    own: &mut Removed,
) -> Result<Vec<(&'static str, Out)>, Lost> {
    for (name, _) in members {
        // It may say that the rest is denied, and nobody here understands it.
        if name == "modifierExtension" {
            return Err(Lost(format!("{path}.modifierExtension")));
        }
        // Extensions where the value should be: it stood there, and what it says is lost.
        if let Some(bare) = name.strip_prefix('_') {
            let is_missed = fields.iter().any(|f| f.name == bare && f.need == Need::IfThere);
            if is_missed && is_hollow(members, bare) {
                return Err(Lost(format!("{path}.{bare}")));
            }
        }
        if !is_taken(name) && !fields.iter().any(|field| field.name == name) {
            let is_known = tables::DROPPED.split_whitespace().any(|known| known == name);
            own.element(&format!("{path}.{}", if is_known { name } else { "*" }));
        }
    }
    let mut out = Vec::new();
    for field in fields {
        let path = format!("{path}.{}", field.name);
        let Some(raw) = json::member(members, field.name) else {
            if field.need == Need::Always {
                return Err(Lost(path));
            }
            continue;
        };
        match element(raw, field, &path, rules, own)? {
            Some(value) => out.push((field.name, value)),
            None if field.need == Need::No => own.element(&path),
            None => return Err(Lost(path)),
        }
    }
    Ok(out)
}

fn element(
    raw: &str,
    field: &Field,
    path: &str,
    rules: &Rules<'_>,
    own: &mut Removed,
) -> Result<Option<Out>, Lost> {
    if !field.many {
        return value(raw, field.rule, path, rules, own);
    }
    let Some(items) = json::items(raw).filter(|items| items.len() <= ITEMS_MAX) else {
        return Ok(None);
    };
    let mut kept = Vec::new();
    for item in items {
        match value(item, field.rule, path, rules, own)? {
            Some(item) => kept.push(item),
            None if field.need == Need::No => own.element(path),
            // One condition less holds for more.
            None => return Ok(None),
        }
    }
    Ok(if kept.is_empty() { None } else { Some(Out::List(kept)) })
}

fn value(
    raw: &str,
    rule: Rule,
    path: &str,
    rules: &Rules<'_>,
    own: &mut Removed,
) -> Result<Option<Out>, Lost> {
    let date = |raw: &str, is_birth| {
        let told = told(Moment::parse(&json::string(raw)?)?, is_birth, rules)?;
        Some(Out::Text(told))
    };
    Ok(match rule {
        Rule::Never => None,
        Rule::Code(codes) => {
            let code = json::string(raw);
            code.filter(|code| codes.split_whitespace().any(|known| known == code)).map(Out::Text)
        }
        Rule::Boolean => matches!(raw, "true" | "false").then(|| Out::Plain(raw.to_owned())),
        Rule::Date => date(raw, false),
        Rule::Birth => date(raw, true),
        Rule::Coding => coding(raw, path, own),
        Rule::Concept => concept(raw, path, own),
        Rule::Quantity => quantity(raw, path, own),
        Rule::Two(first, second) => pair(raw, [first, second], path, own, quantity),
        Rule::Period => pair(raw, ENDS, path, own, |raw, _, _| date(raw, false)),
        Rule::Years => pair(raw, ENDS, path, own, |raw, _, _| date(raw, true)),
        Rule::Reference(of) => reference(raw, of, path, rules, own),
        Rule::Parts(fields) => {
            let Some(members) = json::members(raw) else { return Ok(None) };
            let inner = parts(&members, fields, path, &|_| false, rules, own);
            match inner {
                Ok(out) if !out.is_empty() => Some(Out::Object(out)),
                // A part that is nothing without what it lost; a modifier takes the resource along.
                Ok(_) => None,
                Err(Lost(lost)) if lost.ends_with(".modifierExtension") => return Err(Lost(lost)),
                Err(_) => None,
            }
        }
    })
}

/// Two halves that pass together: half of a range is another range, half of a ratio is none, and a
/// period without its end goes on.
fn pair(
    raw: &str,
    names: [&'static str; 2],
    path: &str,
    own: &mut Removed,
    half: impl Fn(&str, &str, &mut Removed) -> Option<Out>,
) -> Option<Out> {
    let members = json::members(raw)?;
    count_others(&members, &names, path, own);
    let mut out = Vec::new();
    for name in names {
        match json::member(&members, name) {
            Some(raw) => out.push((name, half(raw, path, own)?)),
            None if is_hollow(&members, name) => return None,
            None => {}
        }
    }
    (!out.is_empty()).then_some(Out::Object(out))
}

/// Whether an element stands there without its value: `_name` has its extensions only.
fn is_hollow(members: &[(String, &str)], name: &str) -> bool {
    let hollow = members.iter().any(|(other, _)| other.strip_prefix('_') == Some(name));
    hollow && json::member(members, name).is_none()
}

/// What is told of a moment.
fn told(moment: Moment, is_birth: bool, rules: &Rules<'_>) -> Option<String> {
    let year = moment.year();
    // A year so long ago tells of an age above 89, whatever happened in it; one yet to come is no
    // year but a number.
    if year < rules.year - AGE_TOLD_MAX || year > rules.year + 1 {
        return None;
    }
    let moved = match rules.profile {
        Profile::SafeHarbor => moment,
        Profile::ShiftedDates => moment.earlier(rules.days)?,
    };
    match rules.profile {
        Profile::ShiftedDates if !is_birth => moved.written(),
        _ => Moment::Year(moved.year()).written(),
    }
}

/// Counts the members that are left out.
fn count_others(members: &[(String, &str)], taken: &[&str], path: &str, own: &mut Removed) {
    for (name, _) in members.iter().filter(|(name, _)| !taken.contains(&name.as_str())) {
        let is_known = tables::DROPPED.split_whitespace().any(|known| known == name);
        own.element(&format!("{path}.{}", if is_known { name } else { "*" }));
    }
}

fn coding(raw: &str, path: &str, own: &mut Removed) -> Option<Out> {
    let members = json::members(raw)?;
    count_others(&members, &["system", "code"], path, own);
    let text = |name| json::member(&members, name).and_then(json::string);
    let (system, code) = (text("system")?, text("code")?);
    codes::is_code(&system, &code)
        .then(|| Out::Object(vec![("system", Out::Text(system)), ("code", Out::Text(code))]))
}

fn concept(raw: &str, path: &str, own: &mut Removed) -> Option<Out> {
    let members = json::members(raw)?;
    count_others(&members, &["coding"], path, own);
    let items = json::items(json::member(&members, "coding")?)?;
    let mut kept = Vec::new();
    for item in items.into_iter().take(ITEMS_MAX) {
        match coding(item, path, own) {
            Some(coding) => kept.push(coding),
            None => own.element(&format!("{path}.coding")),
        }
    }
    (!kept.is_empty()).then(|| Out::Object(vec![("coding", Out::List(kept))]))
}

fn quantity(raw: &str, path: &str, own: &mut Removed) -> Option<Out> {
    let members = json::members(raw)?;
    count_others(&members, &["value", "comparator", "system", "code"], path, own);
    let text = |name| json::member(&members, name).and_then(json::string);
    let value = json::member(&members, "value").filter(|raw| is_number(raw))?;
    let mut out = vec![("value", Out::Plain(value.to_owned()))];
    // Without it "less than five" would say five.
    if is_hollow(&members, "comparator") {
        return None;
    }
    if let Some(raw) = json::member(&members, "comparator") {
        let comparator = json::string(raw)?;
        let is_known = matches!(comparator.as_str(), "<" | "<=" | ">=" | ">");
        out.push(("comparator", is_known.then_some(Out::Text(comparator))?));
    }
    let system = text("system");
    let code = match (system.as_deref(), text("code")) {
        (Some(codes::UCUM), Some(code)) => code,
        // Many write the unit's code where its name belongs.
        (None, None) => text("unit")?,
        _ => return None,
    };
    // A number without its unit says something else.
    if !codes::is_unit(&code) || is_great_age(value, &code) {
        return None;
    }
    out.push(("system", Out::Text(codes::UCUM.to_owned())));
    out.push(("code", Out::Text(code)));
    Some(Out::Object(out))
}

/// A decimal of at most seven digits: no number of a person is that short in Estonia or the USA,
/// but for a local telephone number.
fn is_number(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && is_digits(fraction) && digits.len() <= 8 && whole.len() <= 7
}

/// A span of time that may be an age above 89 years.
fn is_great_age(value: &str, unit: &str) -> bool {
    let years = match unit {
        "a" => 1.0,
        "mo" => 12.0,
        "wk" => 52.18,
        "d" => 365.25,
        "h" => 8766.0,
        _ => return false,
    };
    value.parse::<f64>().is_ok_and(|value| value / years >= f64::from(AGE_TOLD_MAX + 1))
}

fn reference(raw: &str, of: &str, path: &str, rules: &Rules<'_>, own: &mut Removed) -> Option<Out> {
    let members = json::members(raw)?;
    count_others(&members, &["reference"], path, own);
    let text = json::member(&members, "reference").and_then(json::string)?;
    let target = target(&text)?;
    let (kind, _) = target.split_once('/')?;
    let fresh = (rules.ids)(target).filter(|_| kind == of)?;
    let fresh = Out::Text(format!("{of}/{fresh}"));
    Some(Out::Object(vec![("reference", fresh)]))
}

/// `Type/id` of a reference within its server: `Patient/p1`, `Patient/p1/_history/2`.
fn target(text: &str) -> Option<&str> {
    let parts: Vec<&str> = text.split('/').collect();
    match *parts {
        [_, _] => Some(text),
        [kind, id, "_history", _] => text.get(..kind.len() + 1 + id.len()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: Rules<'static> =
        Rules { profile: Profile::SafeHarbor, days: 0, year: 2026, ids: &|_| None };
    const SHIFTED: Rules<'static> =
        Rules { profile: Profile::ShiftedDates, days: 10, year: 2026, ids: &|_| None };

    fn stripped(text: &str, rules: &Rules<'_>) -> (Option<String>, Removed) {
        let mut removed = Removed::default();
        let out = strip(text, "1", rules, &mut removed).map(|out| {
            let mut text = String::new();
            out.write(&mut text);
            text
        });
        (out, removed)
    }

    fn patient(more: &str, rules: &Rules<'_>) -> Option<String> {
        stripped(&format!(r#"{{"resourceType":"Patient","gender":"female"{more}}}"#), rules).0
    }

    #[test]
    fn of_a_birth_the_year_stays_and_of_a_great_age_nothing() {
        let born = |date: &str| patient(&format!(r#","birthDate":"{date}""#), &SAFE).unwrap();
        let with = r#"{"resourceType":"Patient","id":"1","gender":"female","birthDate":"1985"}"#;
        assert_eq!(born("1985-03-04"), with);
        assert!(born("1937-12-31").contains("1937"), "89 at most");
        let without = r#"{"resourceType":"Patient","id":"1","gender":"female"}"#;
        assert_eq!(born("1936-01-01"), without, "may be 90");
        assert_eq!(born("1936"), without);
        assert_eq!(born("3760-05-03"), without, "a number in a date's clothes");
        let shifted = patient(r#","birthDate":"1985-01-04""#, &SHIFTED).unwrap();
        assert!(shifted.contains(r#""birthDate":"1984""#), "{shifted}");
    }

    #[test]
    fn dates_are_years_or_moved_and_never_both() {
        let dead = |date: &str, rules| {
            patient(&format!(r#","deceasedDateTime":"{date}""#), rules).unwrap()
        };
        assert!(dead("2025-03-04T10:00:00+02:00", &SAFE).contains(r#":"2025""#));
        let moved = dead("2025-03-04T10:00:00+02:00", &SHIFTED);
        assert!(moved.contains(r#":"2025-02-22T08:00:00Z""#), "{moved}");
        // It changes the meaning of the rest: a patient is not alive for lack of a date.
        assert_eq!(patient(r#","deceasedDateTime":"spring of 2025""#, &SAFE), None);
    }

    #[test]
    fn a_quantity_has_its_unit_or_is_none() {
        let observed = |value: &str| {
            let text = format!(
                r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"15074-8"}}]}},"valueQuantity":{value}}}"#
            );
            let out = stripped(&text, &SAFE).0.unwrap();
            out.split_once(r#""valueQuantity":"#).map(|(_, value)| value.to_owned())
        };
        let ucum = r#","system":"http://unitsofmeasure.org","code":"mmol/L"}"#;
        let kept = observed(
            r#"{"value":6.30,"unit":"mmol/L (Mari)","system":"http://unitsofmeasure.org","code":"mmol/L"}"#,
        );
        assert_eq!(kept.unwrap(), format!(r#"{{"value":6.30{ucum}}}"#));
        let kept = observed(r#"{"value":6.3,"unit":"mmol/L"}"#);
        assert_eq!(kept.unwrap(), format!(r#"{{"value":6.3{ucum}}}"#));
        let kept = observed(&format!(r#"{{"value":5,"comparator":"<"{ucum}"#));
        assert!(kept.unwrap().contains(r#""comparator":"<""#));
        for lost in [
            r#"{"value":6.3}"#,
            r#"{"value":6.3,"unit":"Mari"}"#,
            r#"{"value":6.3,"system":"urn:mari","code":"mmol/L"}"#,
            &format!(r#"{{"value":5,"comparator":"about"{ucum}"#),
            &format!(r#"{{"value":37605030299{ucum}"#),
            &format!(r#"{{"value":1e99{ucum}"#),
            &format!(r#"{{"value":"6.3"{ucum}"#),
            r#"{"value":90,"system":"http://unitsofmeasure.org","code":"a"}"#,
            r#"{"value":1080,"system":"http://unitsofmeasure.org","code":"mo"}"#,
        ] {
            assert_eq!(observed(lost), None, "{lost}");
        }
        assert!(observed(r#"{"value":89,"unit":"a"}"#).is_some());
    }

    #[test]
    fn what_would_mean_something_else_is_dropped_whole() {
        let code = r#""code":{"coding":[{"system":"http://snomed.info/sct","code":"73211009"}]}"#;
        let condition = |more: &str| {
            let text = format!(r#"{{"resourceType":"Condition",{code}{more}}}"#);
            let (out, removed) = stripped(&text, &SAFE);
            out.ok_or_else(|| removed.resources.into_keys().next().unwrap())
        };
        condition("").unwrap();
        let refuted = r#","verificationStatus":{"text":"refuted"}"#;
        assert_eq!(condition(refuted), Err("Condition.verificationStatus".into()));
        let denied = r#","modifierExtension":[{"url":"urn:no","valueBoolean":true}]"#;
        assert_eq!(condition(denied), Err("Condition.modifierExtension".into()));
        assert_eq!(condition(r#","implicitRules":"urn:x""#), Err("Condition.implicitRules".into()));
        let linked = r#","link":[{"other":{"reference":"Patient/2"},"type":"replaced-by"}]"#;
        assert_eq!(patient(linked, &SAFE), None);
        let deep = r#"{"resourceType":"AllergyIntolerance","code":{"coding":[{"system":"http://snomed.info/sct","code":"91936005"}]},"reaction":[{"severity":"mild","modifierExtension":[{}]}]}"#;
        let (out, removed) = stripped(deep, &SAFE);
        assert_eq!(out, None);
        assert!(removed.resources.contains_key("AllergyIntolerance.reaction.modifierExtension"));
        // Two readers would read two statuses.
        let twice = r#"{"resourceType":"Patient","gender":"male","gender":"female"}"#;
        assert_eq!(stripped(twice, &SAFE).0, None);
        for other in ["[]", "", "{}", r#"{"resourceType":"DocumentReference","status":"current"}"#]
        {
            assert_eq!(stripped(other, &SAFE).0, None, "{other}");
        }
    }

    #[test]
    fn a_modifier_without_its_value_is_lost_and_not_absent() {
        let why = r#"{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}"#;
        let lost = |text: &str| {
            let (out, removed) = stripped(text, &SAFE);
            assert_eq!(out, None, "{text}");
            removed.resources.into_keys().next().unwrap()
        };
        let dead = format!(r#"{{"resourceType":"Patient","_deceasedDateTime":{why}}}"#);
        assert_eq!(lost(&dead), "Patient.deceasedDateTime");
        let atc = r#"{"coding":[{"system":"http://www.whocc.no/atc","code":"A10AB05"}]}"#;
        let order = format!(
            r#"{{"resourceType":"MedicationRequest","status":"active","intent":"order","_doNotPerform":{why},"medicationCodeableConcept":{atc}}}"#
        );
        assert_eq!(lost(&order), "MedicationRequest.doNotPerform");
        let cvx = r#"{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"140"}]}"#;
        let shot = format!(
            r#"{{"resourceType":"Immunization","status":"completed","vaccineCode":{cvx},"_isSubpotent":{why}}}"#
        );
        assert_eq!(lost(&shot), "Immunization.isSubpotent");
        // With its value, and where nothing hangs on it, only the extensions go.
        let more =
            format!(r#","deceasedBoolean":true,"_deceasedBoolean":{why},"_birthDate":{why}"#);
        assert!(patient(&more, &SAFE).unwrap().contains(r#""deceasedBoolean":true"#));
    }

    #[test]
    fn a_period_with_a_lost_end_does_not_go_on() {
        let onset = |period: &str| {
            let text = format!(
                r#"{{"resourceType":"Condition","code":{{"coding":[{{"system":"http://snomed.info/sct","code":"73211009"}}]}},"onsetPeriod":{period}}}"#
            );
            let (out, removed) = stripped(&text, &SAFE);
            let out = out.unwrap();
            let kept = out.split_once(r#""onsetPeriod":"#).map(|(_, kept)| kept.to_owned());
            (kept, removed.elements.get("Condition.onsetPeriod").copied())
        };
        let whole = (Some(r#"{"start":"2020","end":"2021"}}"#.to_owned()), None);
        assert_eq!(onset(r#"{"start":"2020-01-02","end":"2021-03-04"}"#), whole);
        let on = (Some(r#"{"start":"2020"}}"#.to_owned()), None);
        assert_eq!(onset(r#"{"start":"2020-01-02"}"#), on);
        for half in [
            r#"{"start":"2020-01-02","end":"last spring"}"#,
            r#"{"start":"2020-01-02","end":null}"#,
            r#"{"start":"2020-01-02","_end":{"extension":[]}}"#,
            r#"{"start":"1930-01-02","end":"2020-01-02"}"#,
        ] {
            assert_eq!(onset(half), (None, Some(1)), "{half}");
        }
    }

    #[test]
    fn a_date_that_is_a_value_is_a_year_in_every_profile() {
        let coded = r#""code":{"coding":[{"system":"http://loinc.org","code":"15074-8"}]}"#;
        for value in [
            r#""valuePeriod":{"start":"2025-03-04","end":"2025-03-11"}"#,
            r#""valueDateTime":"2025-03-04""#,
        ] {
            let text = format!(
                r#"{{"resourceType":"Observation","status":"final",{coded},{value},"component":[{{{coded},{value}}}]}}"#
            );
            for rules in [&SAFE, &SHIFTED] {
                let out = stripped(&text, rules).0.unwrap();
                assert!(!out.contains("2025-"), "{out}");
                let count = out.matches(r#""2025""#).count();
                assert_eq!(count, 2 * value.matches("2025").count(), "{out}");
            }
        }
    }

    #[test]
    fn a_reference_range_is_whole_or_gone() {
        let ranges = |range: &str| {
            let text = format!(
                r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"15074-8"}}]}},"referenceRange":[{range}]}}"#
            );
            let (out, removed) = stripped(&text, &SAFE);
            let count = removed.elements.get("Observation.referenceRange").copied();
            (out.unwrap().contains("referenceRange"), count)
        };
        let low = r#""low":{"value":4,"unit":"mmol/L"}"#;
        let meant = r#"{"coding":[{"system":"http://snomed.info/sct","code":"73211009"}]}"#;
        let whole =
            format!(r#"{{{low},"high":{{"value":6,"unit":"mmol/L"}},"appliesTo":[{meant}]}}"#);
        assert_eq!(ranges(&whole), (true, None));
        for lost in [
            r#""high":{"value":6}"#.to_owned(),
            r#""high":{"value":6,"_comparator":{},"unit":"mmol/L"}"#.to_owned(),
            r#""type":{"text":"in pregnancy"}"#.to_owned(),
            r#""appliesTo":[{"text":"men"}]"#.to_owned(),
            format!(r#""appliesTo":[{meant},{{"text":"men"}}]"#),
            r#""age":{"high":{"value":12,"unit":"a"}}"#.to_owned(),
        ] {
            // Itself, and the list that is empty then.
            assert_eq!(ranges(&format!("{{{low},{lost}}}")), (false, Some(2)), "{lost}");
            let (is_there, count) = ranges(&format!("{{{low},{lost}}},{whole}"));
            assert_eq!((is_there, count), (true, Some(1)), "{lost}");
        }
    }

    #[test]
    fn the_report_counts_and_repeats_no_name() {
        let (_, removed) = stripped(
            r#"{"resourceType":"Patient","id":"p1","name":[{"family":"Tamm"}],"37605030299":"x","_birthDate":{},"gender":"Mari"}"#,
            &SAFE,
        );
        let found: Vec<(&str, u64)> =
            removed.elements.iter().map(|(path, count)| (path.as_str(), *count)).collect();
        let expected =
            [("Patient.*", 2), ("Patient.gender", 1), ("Patient.id", 1), ("Patient.name", 1)];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_reference_leads_to_what_is_delivered_or_nowhere() {
        let ids = |target: &str| (target == "Patient/p1").then(|| "7".to_owned());
        let rules = Rules { ids: &ids, ..SAFE };
        let with = |reference: &str| {
            let text = format!(
                r#"{{"resourceType":"Encounter","status":"finished","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"}},"subject":{{"reference":"{reference}","display":"Mari Tamm"}}}}"#
            );
            stripped(&text, &rules).0.unwrap()
        };
        assert!(with("Patient/p1").ends_with(r#""subject":{"reference":"Patient/7"}}"#));
        assert!(with("Patient/p1/_history/3").contains("Patient/7"));
        for lost in
            ["Patient/p2", "https://h.example/Patient/p1", "#p1", "Group/p1", "Patient/p1/x"]
        {
            assert!(!with(lost).contains("subject"), "{lost}");
        }
    }
}
