//! What a person reads, as vectors for the page (`tests/vectors/lines.json`, written with
//! `MEDTRAIL_BLESS=1`), and what must never stand in a line.

use alloy_primitives::{Address, B256};
use medtrail_fhir::event::read;
use medtrail_fhir::reading::{Facts, reading, sentence};
use medtrail_fhir::report::{Reporter, reports};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::ports::SecretKey;
use medtrail_ledger::schema::Report;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const KEY: SecretKey = SecretKey([7; 32]);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    name: String,
    report: Report,
    details: Option<String>,
    evidence: Word,
    organisation_name: Option<String>,
    facts: Facts,
    sentence: String,
}

/// What stands beside the report: the vectors carry no signatures.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Word {
    Signed,
    Relayed,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join(format!("tests/data/fhir/{name}.json"))).unwrap()
}

fn line(name: &str, report: Report, details: Option<String>, organisation: Option<&str>) -> Line {
    line_by(Word::Signed, name, report, details, organisation)
}

fn relayed(name: &str, report: Report, details: Option<String>) -> Line {
    line_by(Word::Relayed, name, report, details, None)
}

fn line_by(
    evidence: Word,
    name: &str,
    report: Report,
    details: Option<String>,
    organisation: Option<&str>,
) -> Line {
    let is_relayed = evidence == Word::Relayed;
    let facts = reading(&report, details.as_deref().map(str::as_bytes), is_relayed, &|_| {
        organisation.map(str::to_owned)
    });
    Line {
        name: name.to_owned(),
        report,
        details,
        evidence,
        organisation_name: organisation.map(str::to_owned),
        sentence: sentence(&facts),
        facts,
    }
}

/// The lines of an event, one a patient.
fn lines(
    name: &str,
    text: &str,
    organisation: Option<&str>,
    relayed_for: Option<&str>,
) -> Vec<Line> {
    let event = read(text.as_bytes()).unwrap_or_else(|issues| panic!("{name}: {issues:#?}"));
    let by = Reporter {
        log: B256::repeat_byte(1),
        organisation: Address::repeat_byte(2),
        actor: Address::repeat_byte(if relayed_for.is_some() { 9 } else { 2 }),
        key: &KEY,
        relayed_for,
    };
    let parts = reports(&event, text.as_bytes(), &by);
    let count = parts.len();
    let lines = parts.into_iter().enumerate().map(|(place, part)| {
        let name = if count == 1 { name.to_owned() } else { format!("{name} {}", place + 1) };
        let details = Some(String::from_utf8(part.details).unwrap());
        let evidence = if relayed_for.is_some() { Word::Relayed } else { Word::Signed };
        line_by(evidence, &name, part.report, details, organisation)
    });
    lines.collect()
}

fn plain(kind: Kind, action: u8) -> Report {
    let (subject, actor) = (B256::repeat_byte(3), Address::repeat_byte(2));
    let (log, event_id) = (B256::repeat_byte(1), B256::repeat_byte(4));
    let kind = kind.number();
    let time_ms = 1_795_245_150_120;
    Report {
        log,
        eventId: event_id,
        kind,
        action,
        timeMs: time_ms,
        subject,
        actor,
        ..Report::default()
    }
}

/// `patient-read` with some of its text changed.
fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(file("patient-read"), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replacen(old, new, 1)
    })
}

const NAME: &str = "\"Dr Liis Kask\"";

fn all() -> Vec<Line> {
    let (kalda, harbour, lumi) = ("Kalda Family Doctors", "Harbour Hospital", "Lumi Laboratory");
    let mut all = Vec::new();
    for (name, organisation) in [
        ("patient-read", kalda),
        ("patient-query", lumi),
        ("patient-update", kalda),
        ("patient-create", lumi),
        ("patient-delete", kalda),
        ("disclosure-source", kalda),
        ("break-glass", harbour),
        ("psychiatric-note-at-night", harbour),
        ("two-patients", harbour),
        ("without-patient", harbour),
        ("machine-read", lumi),
        ("access-denied", harbour),
        ("failed-update", kalda),
        ("everything-r4-allows", kalda),
    ] {
        all.extend(lines(name, &file(name), Some(organisation), None));
    }
    let import = file("disclosure-source").replacen("110106", "110107", 1).replacen(
        "\"action\": \"R\"",
        "\"action\": \"C\"",
        1,
    );
    all.extend(lines("disclosure-recipient", &import, Some(harbour), None));
    all.extend(lines("relayed read", &file("patient-read"), None, Some(kalda)));
    all.extend(lines("relayed, two patients", &file("two-patients"), None, Some(harbour)));
    all.extend(lines("nobody knows the organisation", &file("patient-read"), None, None));
    let own = changed(&[
        (
            r#""reference": "Patient/mari-tamm""#,
            r#""reference": "Patient/mari-tamm", "type": "Patient""#,
        ),
        (
            r#""system": "https://registers.example/doctors""#,
            r#""system": "https://id.example/person""#,
        ),
        ("\"D01882\"", "\"48504120221\""),
        (NAME, r#""Mari Tamm", "type": "Patient""#),
        ("\"TREAT\"", "\"PATRQT\""),
    ]);
    all.extend(lines("she herself", &own, Some(kalda), None));
    let permitted = file("access-denied").replacen("\"outcome\": \"8\"", "\"outcome\": \"0\"", 1);
    all.extend(lines("access permitted", &permitted, Some("Tide Sensors"), None));
    for (name, code) in [
        ("emergency treatment", "ETREAT"),
        ("for research", "HRESCH"),
        ("at her request", "PATRQT"),
        ("an unknown purpose", "XPARTY"),
    ] {
        let text = changed(&[("\"TREAT\"", &format!("\"{code}\""))]);
        all.extend(lines(name, &text, Some(kalda), None));
    }
    let unknown = changed(&[("AllergyIntolerance/a7/_history/2", "Basic/b1")]);
    all.extend(lines("an uncommon resource", &unknown, Some(kalda), None));

    let legacy =
        changed(&[("\"IRCP\"", "\"OTHER\""), ("\"requestor\": true", "\"requestor\": false")]);
    all.extend(lines("nobody is called requestor", &legacy, Some(kalda), None));
    let device = file("machine-read").replacen("\"requestor\": false", "\"requestor\": true", 1);
    all.extend(lines("a machine that requested", &device, Some(lumi), None));
    let office = changed(&[
        ("\"IRCP\"", "\"OTHER\""),
        (NAME, r#""Kalda Family Doctors", "type": "Organization""#),
    ]);
    all.extend(lines("an organisation that requested", &office, Some(kalda), None));

    let hostile = [
        (
            "control characters in a name",
            r#""Dr\u001b[31m\r\nLiis\u0000 Kask\t\u2028\u0085x""#.to_owned(),
        ),
        ("bidi overrides in a name", r#""\u202eksaK siiL rD\u202c\u2066\u200b\ufeff""#.to_owned()),
        ("a name of 10 kB", format!("\"{}\"", "Liis ".repeat(2000))),
        ("marks of emphasis in a name", r#""**Emergency.** Kask""#.to_owned()),
        ("a name of astral letters", format!("\"{}\"", "🩺".repeat(90))),
        ("a name that hides", r#""\u200b\u200e""#.to_owned()),
    ];
    for (name, display) in hostile {
        all.extend(lines(name, &changed(&[(NAME, &display)]), Some(kalda), None));
    }
    all.extend(lines(
        "a hostile organisation",
        &file("patient-read"),
        Some("Kalda\u{202e}\nxyz"),
        None,
    ));

    let read_only = || plain(Kind::Access, b'R');
    let nested = |depth| format!("\"x\": {}{}, \"agent\":", "[".repeat(depth), "]".repeat(depth));
    let odd = [
        ("half a letter in a name", changed(&[(NAME, r#""Liis \ud83e Kask""#)])),
        ("nested as deeply as is read", changed(&[("\"agent\":", &nested(23))])),
        ("nested too deeply", changed(&[("\"agent\":", &nested(24))])),
        ("a name that stands twice", changed(&[(NAME, r#""Dr One", "display": "Dr Two""#)])),
        ("a number out of range", changed(&[(NAME, r#""Dr Liis Kask", "x": 1e999"#)])),
        (
            "texts of wrong types",
            changed(&[(NAME, "[1]"), ("\"D01882\"", "{}"), ("\"TREAT\"", "null")]),
        ),
    ];
    for (name, text) in odd {
        all.push(line(name, read_only(), Some(text), Some(kalda)));
    }

    let mut act = plain(Kind::Access, b'R');
    all.push(line("no details", act.clone(), None, Some(kalda)));
    all.push(line("details that are no JSON", act.clone(), Some("{\"a\":".into()), Some(kalda)));
    all.push(line("details of another kind", act.clone(), Some("{\"a\":[1]}".into()), Some(kalda)));
    act.kind = Kind::Change.number();
    all.push(line(
        "details that tell of another act",
        act,
        Some(file("patient-read")),
        Some(kalda),
    ));
    let broken = r#"{"version":"medtrail/relayed-v1","organisation":7,"document":"{"}"#;
    all.push(relayed("a broken relayed document", plain(Kind::Access, b'R'), Some(broken.into())));
    all.extend(hostile_words());
    all.extend(permissions());
    all.extend(inquiries());
    all.extend(sources());
    all.extend(vault());
    let refused = plain(Kind::Refusal, b'U');
    let told = |change: &str| {
        let mut event: serde_json::Value = serde_json::from_str(&file("patient-update")).unwrap();
        event["entity"][0]["description"] = "Insulin glargine, every evening".into();
        event["entity"][0]["detail"] = serde_json::from_str(change).unwrap();
        event
    };
    let values =
        r#"[{"type":"before","valueString":"18 units"},{"type":"after","valueString":"20 units"}]"#;
    let update = || plain(Kind::Change, b'U');
    all.push(line("a value that changed", update(), Some(told(values).to_string()), Some(kalda)));
    let half = told(r#"[{"type":"after","valueString":"20 units"}]"#);
    all.push(line("a value without the one before", update(), Some(half.to_string()), Some(kalda)));
    let mut marked = told(values);
    marked["entity"][0]["securityLabel"] = serde_json::json!([
        { "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R" }
    ]);
    all.push(line(
        "a restricted value that changed",
        update(),
        Some(marked.to_string()),
        Some(kalda),
    ));
    let report = plain(Kind::Access, b'R');
    all.push(line("a look that tells values", report, Some(told(values).to_string()), Some(kalda)));
    all.push(line("a refused change", refused, Some(file("patient-update")), Some(harbour)));
    all.push(line("a refused look", plain(Kind::Refusal, b'R'), None, Some(harbour)));
    for number in (4..=18).filter(|number| *number != 8) {
        let kind = Kind::from_number(number);
        all.push(line(&format!("kind {number}"), plain(kind, 0), None, Some(kalda)));
    }
    all.push(line(
        "an operation with details",
        plain(Kind::Operation, 0),
        Some(file("patient-read")),
        None,
    ));
    all
}

/// What people gave and took back, and what was not permitted.
fn permissions() -> Vec<Line> {
    let kalda = Some("Kalda Family Doctors");
    let entry = |name: &str, document: String, organisation: Option<&str>| {
        let details = format!(r#"{{"version":"medtrail/permission-v1","document":{document}}}"#);
        line_by(Word::Relayed, name, plain(Kind::Permission, b'C'), Some(details), organisation)
    };
    let grant = |scopes: &str, purposes: &str| {
        let grantee = Address::repeat_byte(7);
        format!(
            r#"{{"grant":{{"grantee":"{grantee}","scopes":"{scopes}","purposes":"{purposes}"}}}}"#
        )
    };
    let to = |word: &str, member: &str| {
        format!(r#"{{"{word}":{{"{member}":"{}"}}}}"#, Address::repeat_byte(7))
    };
    let many = "patient/Observation.r patient/Condition.r patient/Encounter.r patient/Goal.r \
                patient/Task.r patient/Bundle.r";
    let mut lines = vec![
        entry(
            "a grant",
            grant("patient/MedicationRequest.rs patient/Observation.cruds", "TREAT"),
            kalda,
        ),
        entry("a grant to read", grant("patient/Observation.read", "HRESCH"), kalda),
        entry("a grant to change", grant("patient/AllergyIntolerance.write", "TREAT"), kalda),
        entry("a grant of everything", grant("patient/*.*", "TREAT COVERAGE"), kalda),
        entry("a grant of much", grant(many, "TREAT"), kalda),
        entry(
            "a grant of marked data",
            grant("patient/Observation.rs?_security=PSY", "TREAT"),
            kalda,
        ),
        entry("a grant to an address", grant("patient/Observation.s", "TREAT"), None),
        entry(
            "a grant that cannot be read",
            grant("user/Observation.rs everything", "TREAT"),
            kalda,
        ),
        entry("an approval", to("changeApproval", "custodian"), kalda),
        entry("a delegation", to("delegation", "delegate"), None),
        entry("a guardianship", to("guardianship", "guardian"), None),
        entry("a guardianship of nobody", to("guardianship", "mood"), None),
        entry("a permission taken back", r#"{"revoke":{}}"#.into(), kalda),
        entry("all permissions taken back", r#"{"revokeAll":{"epoch":0}}"#.into(), kalda),
        entry("a document of another kind", r#"{"pardon":{}}"#.into(), kalda),
        entry("a document that is none", "[1]".into(), kalda),
    ];
    let details = r#"{"version":"medtrail/permission-v1","document":{"revoke":{}}}"#.to_owned();
    let signed = plain(Kind::Permission, b'D');
    lines.push(line("a signed permission", signed, Some(details.clone()), kalda));
    let access = plain(Kind::Access, b'R');
    lines.push(relayed("a look that calls itself a permission", access, Some(details)));
    let refusal = |refused: &str| {
        let organisation = Address::repeat_byte(7);
        format!(
            r#"{{"version":"medtrail/refusal-v1","refused":"{refused}","index":7,"reason":"revoked","organisation":"{organisation}"}}"#
        )
    };
    let told = |name: &str, refused: &str, organisation| {
        let report = plain(Kind::Refusal, 0);
        line_by(Word::Relayed, name, report, Some(refusal(refused)), organisation)
    };
    lines.push(told("a change that was not permitted", "change", kalda));
    lines.push(told("a change of nobody known that was not permitted", "change", None));
    lines.push(told("a second connection", "second-binding", kalda));
    lines.push(told("a look into the vault that was not permitted", "read", kalda));
    lines.push(told("a version that was not permitted", "write", kalda));
    let titled = |name: &str, titles: &str| {
        let document = refusal("write").replacen('{', &format!("{{{titles},"), 1);
        line_by(Word::Relayed, name, plain(Kind::Refusal, 0), Some(document), kalda)
    };
    let (before, after) = (r#""before":"Allergy: penicillin""#, r#""after":"No known allergies""#);
    lines.push(titled("a title that was not permitted", &format!("{before},{after}")));
    lines.push(titled("a deletion that was not permitted", before));
    let hostile = r#""after":"Nothing\u202e *You* allowed\nthis""#;
    lines.push(titled("a title of a stranger's words", &format!("{before},{hostile}")));
    let signed = plain(Kind::Refusal, 0);
    lines.push(line("a signed refusal of a change", signed, Some(refusal("change")), kalda));
    lines
}

/// Questions, corrections, claims and notices, by those who may say so and by others.
fn inquiries() -> Vec<Line> {
    let (harbour, payer) = (Some("Harbour Hospital"), Some("State Health Insurance"));
    let id = Address::repeat_byte(7);
    let question = |act: &str, rest: &str| {
        Some(format!(r#"{{"version":"medtrail/question-v1","act":"{act}"{rest}}}"#))
    };
    let asked = |wants: &str, rest: &str| {
        question("asked", &format!(r#","organisation":"{id}","wants":"{wants}"{rest}"#))
    };
    let correction = |rest: &str| {
        let reason = r#""reason":"Another patient of the same name.""#;
        let version = r#""version":"medtrail/correction-v1","act":"corrected""#;
        Some(format!("{{{version},{reason}{rest}}}"))
    };
    let claim = |act: &str, rest: &str| {
        Some(format!(r#"{{"version":"medtrail/claim-v1","act":"{act}"{rest}}}"#))
    };
    let bill = |day: &str, what: &str| {
        claim("billed", &format!(r#","day":"{day}","service":{{"text":"{what}"}}"#))
    };
    let notice = |channel: &str| {
        Some(format!(r#"{{"version":"medtrail/notice-v1","channel":"{channel}"}}"#))
    };
    let envelope = |document: Option<String>| {
        let text = serde_json::json!({ "version": "medtrail/relayed-v1", "organisation": id,
            "name": "Lumi Laboratory", "document": document });
        Some(text.to_string())
    };
    let own = |name: &str, kind: Kind, details, organisation| {
        line_by(Word::Relayed, name, plain(kind, 0), details, organisation)
    };
    let signed = |name: &str, kind: Kind, details, organisation| {
        line(name, plain(kind, 0), details, organisation)
    };
    let emergency = || {
        let version = r#""version":"medtrail/emergency-v1","act":"unanswered""#;
        Some(format!(r#"{{{version},"organisation":"{id}","sinceMs":1,"dueMs":2}}"#))
    };
    let why = r#","text":"Why was my note opened?""#;
    let answer = || question("answered", r#","text":"By mistake.\n\u202eSorry.""#);
    use Kind::{Claim, Correction, Notice, Question};
    vec![
        own("asked why", Question, asked("reason", why), harbour),
        own("asked why without words", Question, asked("reason", ""), harbour),
        own("asked why of nobody known", Question, asked("reason", ""), None),
        own("asked to correct", Question, asked("correction", why), harbour),
        own(
            "unanswered",
            Question,
            question("unanswered", &format!(r#","organisation":"{id}""#)),
            harbour,
        ),
        own("silent about an emergency", Question, emergency(), harbour),
        own("silent about an emergency of nobody known", Question, emergency(), None),
        signed("a signed silence about an emergency", Question, emergency(), harbour),
        own("a silence in an envelope", Question, envelope(emergency()), None),
        signed("answered", Question, answer(), harbour),
        own("answered by API key", Question, envelope(answer()), None),
        signed("a signed question", Question, asked("reason", why), harbour),
        own("an answer of nobody", Question, answer(), None),
        own("a question in an envelope", Question, envelope(asked("reason", why)), None),
        signed("an answer in a claim", Claim, answer(), harbour),
        signed("a corrected line", Correction, correction(r#","fields":[]"#), harbour),
        signed("a line of nobody", Correction, correction(r#","mistake":"didNotHappen""#), harbour),
        signed(
            "a line of somebody else",
            Correction,
            correction(r#","mistake":"wrongPerson""#),
            harbour,
        ),
        own("a correction of nobody", Correction, correction(r#","mistake":"wrongPerson""#), None),
        signed("billed", Claim, bill("2026-11-07", "MRI of the knee"), payer),
        signed("billed on no day", Claim, bill("2026-13-07", "MRI"), payer),
        own("billed by API key", Claim, envelope(bill("2026-11-27", "MRI")), None),
        signed("billed for long words", Claim, bill("x", &"MRI ".repeat(200)), payer),
        own("had it", Claim, claim("answered", r#","answer":"yes""#), None),
        own(
            "had it not",
            Claim,
            claim("answered", r#","answer":"no","text":"I was abroad.""#),
            None,
        ),
        signed("a signed answer to a claim", Claim, claim("answered", r#","answer":"yes""#), payer),
        own("a notice by mail", Notice, notice("email"), None),
        own("a notice by webhook", Notice, notice("webhook"), None),
        own("a notice by pigeon", Notice, notice("pigeon"), None),
        signed("a signed notice", Notice, notice("email"), harbour),
    ]
}

/// Where records are kept, by those who may say so and by others.
fn sources() -> Vec<Line> {
    let harbour = Some("Harbour Hospital");
    let report = || plain(Kind::Source, 0);
    let mine = || {
        let report = report();
        Report { subject: report.actor.into_word(), ..report }
    };
    let place = r#""title":"90 days of readings","keeper":"Tide Sensors""#;
    let told = |act: &str, rest: &str| {
        Some(format!(r#"{{"version":"medtrail/source-v1","act":"{act}",{rest}}}"#))
    };
    let found = |act: &str, rest: &str| told(act, &format!(r#""source":{{{place}}}{rest}"#));
    let moved = || told("moved", r#""keeper":"Harbour Hospital""#);
    let mut lines = vec![
        line("a source", report(), told("registered", place), harbour),
        line("a source of nobody known", report(), told("registered", place), None),
        line("a source of one's own", mine(), told("registered", place), None),
        line("a source that moved", report(), moved(), harbour),
        line("a source that its person moved", mine(), moved(), None),
        relayed("a source that is back", report(), found("back", "")),
        line("a signed loss", report(), found("lost", ""), harbour),
        relayed("a source of the log", report(), told("registered", place)),
        relayed("a loss without words", report(), told("lost", r#""source":{}"#)),
        relayed("a loss in an access", plain(Kind::Access, b'R'), found("lost", "")),
    ];
    for act in ["lost", "changed"] {
        for kept in ["here", "elsewhere", "nowhere"] {
            let rest = format!(r#","kept":"{kept}""#);
            let name = format!("a source {act}, kept {kept}");
            lines.push(relayed(&name, report(), found(act, &rest)));
        }
    }
    lines
}

#[test]
fn only_the_log_says_that_a_source_is_lost() {
    let lines = sources();
    let read = |name: &str| {
        let line = lines.iter().find(|line| line.name == name).unwrap_or_else(|| panic!("{name}"));
        line.sentence.as_str()
    };
    assert_eq!(
        read("a source lost, kept here"),
        "Tide Sensors stopped answering. Still kept here: 90 days of readings."
    );
    let bare = "Harbour Hospital told something new about where your data are kept.";
    assert_eq!(read("a signed loss"), bare);
    assert!(!read("a source of the log").contains("Tide Sensors"));
    assert!(!read("a loss in an access").contains("stopped answering"));
}

#[test]
fn nobody_signs_a_persons_question_or_answer_and_the_log_signs_no_organisations() {
    let lines = inquiries();
    let read = |name: &str| {
        let line = lines.iter().find(|line| line.name == name).unwrap_or_else(|| panic!("{name}"));
        line.sentence.as_str()
    };
    assert_eq!(read("asked why"), "You asked Harbour Hospital why: “Why was my note opened?”");
    assert_eq!(read("answered"), "Harbour Hospital answered your question: “By mistake. Sorry.”");
    let billed = "State Health Insurance was billed for “MRI of the knee” for you on 7 November 2026. Was this you?";
    assert_eq!(read("billed"), billed);
    let bare = "A question about a line was asked or answered.";
    assert_eq!(read("a signed question"), bare);
    assert!(read("an answer of nobody").starts_with(bare));
    assert!(read("a question in an envelope").starts_with(bare));
    assert_eq!(
        read("a signed answer to a claim"),
        "State Health Insurance billed something for you."
    );
    assert_eq!(read("a signed notice"), "A notice was sent to you.");
    assert!(
        read("answered by API key").ends_with("Not signed by Harbour Hospital.")
            || read("answered by API key").ends_with("Not signed by Lumi Laboratory.")
    );
}

/// What happens in the vault.
fn vault() -> Vec<Line> {
    let kalda = Some("Kalda Family Doctors");
    let (own, other) = (Address::repeat_byte(5), Address::repeat_byte(7));
    let by = |kind: Kind, action: u8, actor: Address| Report {
        subject: own.into_word(),
        actor,
        ..plain(kind, action)
    };
    let version = |about: &str, purposes: &str| {
        format!(
            r#"{{"version":"medtrail/version-v1","about":{{"title":"Allergy to penicillin","mediaType":"application/fhir+json","resourceType":"AllergyIntolerance",{about}}},"bytes":9,"purposes":[{purposes}]}}"#
        )
    };
    let plainly = r#""confidentiality":null,"topics":[]"#;
    let marked = r#""confidentiality":"R","topics":["HIV"]"#;
    let change = |action, actor| by(Kind::Change, action, actor);
    let read =
        |more: &str| format!(r#"{{"version":"medtrail/read-v1","purposes":["TREAT"]{more}}}"#);
    let read_by = |who: Address| read(&format!(r#","reader":"{who}""#));
    let listed_by = |who: Address| read(&format!(r#","listed":2,"reader":"{who}""#));
    let look = || by(Kind::Access, b'R', other);
    let sold =
        |action| Report { permission: B256::repeat_byte(0x0d), ..by(Kind::Access, action, other) };
    let wrapped = serde_json::json!({
        "version": "medtrail/relayed-v1",
        "organisation": other,
        "name": "Kalda Family Doctors",
        "document": read(""),
    });
    let request = |act: &str, more: &str| {
        format!(
            r#"{{"version":"medtrail/change-request-v1","act":"{act}","organisation":"{other}"{more}}}"#
        )
    };
    let about =
        r#","about":{"title":"Penicillin","resourceType":"AllergyIntolerance","topics":[]}"#;
    let question = || by(Kind::Question, 0, other);
    let ended = |name: &str, act: &str, organisation| {
        line_by(Word::Relayed, name, question(), Some(request(act, "")), organisation)
    };
    let treat = r#""TREAT""#;
    vec![
        line("an own record", change(b'C', own), Some(version(plainly, "")), None),
        line("an own record over another", change(b'U', own), Some(version(plainly, "")), None),
        line(
            "a version by an organisation",
            change(b'U', other),
            Some(version(plainly, treat)),
            kalda,
        ),
        line("a sensitive version", change(b'U', other), Some(version(marked, treat)), kalda),
        line(
            "a version in an emergency",
            change(b'D', other),
            Some(version(plainly, r#""TREAT","BTG""#)),
            kalda,
        ),
        relayed("a version that nobody signed", change(b'U', own), Some(version(plainly, ""))),
        line("a version that is a look", look(), Some(version(plainly, treat)), kalda),
        line("a signed look into the vault", look(), Some(read("")), kalda),
        line("a signed look that names a reader", look(), Some(read_by(own)), kalda),
        line_by(Word::Relayed, "an own look", look(), Some(read_by(own)), kalda),
        relayed("an own look at the list", by(Kind::Access, b'E', other), Some(listed_by(own))),
        relayed("a look for somebody", look(), Some(read_by(other))),
        relayed("a look of a buyer", sold(b'R'), Some(read_by(other))),
        relayed("a look of a buyer at the list", sold(b'E'), Some(listed_by(other))),
        line("a signed look that names an order", sold(b'R'), Some(read_by(other)), kalda),
        line_by(
            Word::Relayed,
            "a relayed look into the vault",
            look(),
            Some(wrapped.to_string()),
            kalda,
        ),
        line("a change asked for", question(), Some(request("asked", about)), kalda),
        line("a change asked for by nobody known", question(), Some(request("asked", about)), None),
        relayed("a change asked for that nobody signed", question(), Some(request("asked", about))),
        ended("a change declined", "declined", kalda),
        ended("a change withdrawn", "withdrawn", None),
        ended("a change not answered", "expired", kalda),
        line("a signed no", question(), Some(request("declined", "")), kalda),
    ]
}

/// Whose word a line is comes from what stands beside the report, never from its document.
fn hostile_words() -> Vec<Line> {
    let read = || plain(Kind::Access, b'R');
    let event = file("patient-read");
    let envelope = serde_json::json!({
        "version": "medtrail/relayed-v1",
        "organisation": Address::repeat_byte(7),
        "name": "Harbour Hospital",
        "document": event,
    });
    let open = event.replacen('{', "{\"version\": \"medtrail/relayed-v1\",", 1);
    let other = open.replacen("relayed-v1", "binding-v1", 1);
    let organisation = |name: &str| {
        let id = Address::repeat_byte(2);
        Some(format!(
            r#"{{"version":"medtrail/binding-v1","organisation":{{"id":"{id}","name":"{name}"}}}}"#
        ))
    };
    let lumi = Some("Lumi Laboratory");
    let mut lines = vec![
        line("signed, and said to be relayed", read(), Some(envelope.to_string()), lumi),
        line("signed, and said to be relayed, in the open", read(), Some(open.clone()), lumi),
        relayed("relayed, and not said to be", read(), Some(event)),
        relayed("relayed, in the open", read(), Some(open)),
        relayed("relayed without a document", read(), None),
        line_by(Word::Relayed, "relayed by a name", read(), None, lumi),
        relayed("a relayed refusal", plain(Kind::Refusal, b'R'), None),
        relayed("a connection", plain(Kind::Binding, 0), organisation("Tide Sensors")),
        relayed(
            "an address to sell under",
            plain(Kind::Binding, 0),
            Some(r#"{"version":"medtrail/alias-v1"}"#.into()),
        ),
        relayed("a connection that is not told", plain(Kind::Binding, 0), None),
        line(
            "a signed address to sell under",
            plain(Kind::Binding, 0),
            Some(r#"{"version":"medtrail/alias-v1"}"#.into()),
            lumi,
        ),
        line("a signed connection", plain(Kind::Binding, 0), organisation("Tide Sensors"), None),
        line("an event of another version", read(), Some(other), lumi),
        relayed("a relayed operation", plain(Kind::Operation, 0), None),
    ];
    let account = r#"{"version":"medtrail/accounting-v1","fromMs":1,"untilMs":2,"form":"csv"}"#;
    lines.push(relayed("an accounting", read(), Some(account.into())));
    let reader = r#","reader":"0x0909090909090909090909090909090909090909"}"#;
    let looked = format!(r#"{{"version":"medtrail/look-v1"{reader}"#);
    let ended = r#"{"version":"medtrail/guardianship-end-v1","guardianship":"0x00","order":"Harju Maakohus 2-26-77"}"#;
    lines.push(relayed("a look for the person", read(), Some(looked.clone())));
    lines.push(line("a signed look for the person", read(), Some(looked), lumi));
    lines.push(relayed("an accounting for the person", read(), Some(account.replace('}', reader))));
    lines.push(line("an order", plain(Kind::Binding, b'D'), Some(ended.into()), lumi));
    lines.push(relayed("an order nobody signed", plain(Kind::Binding, b'D'), Some(ended.into())));
    lines.push(line("a signed accounting", read(), Some(account.into()), lumi));
    for (name, act, form, reason) in [
        ("erasure asked for", "asked", "everything", None),
        ("erasure of records asked for", "asked", "records", None),
        ("erasure cancelled", "cancelled", "everything", None),
        ("erasure against a duty", "refused", "everything", Some("retention")),
        ("erasure against an order", "refused", "records", Some("legal-hold")),
        ("erasure for a reason of another version", "refused", "records", Some("toString")),
        ("erasure done", "done", "everything", None),
        ("erasure of records done", "done", "records", None),
    ] {
        let mut details =
            serde_json::json!({ "version": "medtrail/erasure-v1", "act": act, "form": form });
        if let Some(kind) = reason {
            details["reason"] = serde_json::json!({ "kind": kind });
        }
        lines.push(relayed(name, plain(Kind::Erasure, 0), Some(details.to_string())));
    }
    let buyer = r#","order":{"buyer":"0x0909090909090909090909090909090909090909"}}"#;
    for act in [
        "paid",
        "settled",
        "refunded",
        "withdrawn",
        "deleted",
        "not-answered",
        "opted-out",
        "opted-in",
        "toString",
    ] {
        let told = format!(r#"{{"version":"medtrail/sale-v1","act":"{act}"{buyer}"#);
        lines.push(relayed(&format!("a sale: {act}"), plain(Kind::Sale, b'U'), Some(told)));
    }
    let nobody = r#"{"version":"medtrail/sale-v1","act":"paid","order":{"buyer":"Mallory"}}"#;
    lines.push(relayed("a sale to nobody", plain(Kind::Sale, b'C'), Some(nobody.into())));
    lines.push(line("a signed sale", plain(Kind::Sale, b'C'), Some(nobody.into()), lumi));
    let buyer = r#","call":{"buyer":"0x0909090909090909090909090909090909090909"}}"#;
    for act in [
        "accepted",
        "withdrawn",
        "settled",
        "closed",
        "deletion-asked",
        "deleted",
        "not-answered",
        "paid",
        "toString",
    ] {
        let told = format!(r#"{{"version":"medtrail/call-v1","act":"{act}"{buyer}"#);
        lines.push(relayed(&format!("a call: {act}"), plain(Kind::Sale, b'U'), Some(told)));
    }
    let nobody = r#"{"version":"medtrail/call-v1","act":"accepted","call":{"buyer":"Mallory"}}"#;
    lines.push(relayed("a call of nobody", plain(Kind::Sale, b'C'), Some(nobody.into())));
    lines.push(line("a signed call", plain(Kind::Sale, b'C'), Some(nobody.into()), lumi));
    let download = format!(r#"{{"version":"medtrail/download-v1"{reader}"#);
    lines.push(relayed("a download", read(), Some(download.clone())));
    lines.push(line("a signed download", read(), Some(download), lumi));
    let done = r#"{"version":"medtrail/erasure-v1","act":"done","form":"everything"}"#;
    lines.push(line("a signed erasure", plain(Kind::Erasure, 0), Some(done.into()), None));
    for number in [7, 12, 13, 14, 15, 18] {
        let kind = Kind::from_number(number);
        lines.push(relayed(&format!("relayed, kind {number}"), plain(kind, 0), None));
    }
    lines
}

#[test]
fn only_what_stands_beside_a_report_says_whose_word_it_is() {
    let lines = hostile_words();
    let read = |name: &str| {
        let line = lines.iter().find(|line| line.name == name).unwrap_or_else(|| panic!("{name}"));
        (line.facts.relayed, line.facts.organisation.as_deref(), line.sentence.as_str())
    };
    let lumi = (false, Some("Lumi Laboratory"), "Lumi Laboratory read your data.");
    assert_eq!(read("signed, and said to be relayed"), lumi);
    assert_eq!(read("signed, and said to be relayed, in the open"), lumi);
    let nobody = (
        true,
        None,
        "An organisation without a name read your data. Only the operator of this service says so.",
    );
    for name in ["relayed without a document", "relayed by a name", "relayed, in the open"] {
        assert_eq!(read(name), nobody, "{name}");
    }
    let (is_relayed, organisation, words) = read("relayed, and not said to be");
    assert_eq!((is_relayed, organisation), (true, None));
    assert!(words.ends_with("Only the operator of this service says so."), "{words}");
    let connected = (false, Some("Tide Sensors"), "Tide Sensors was connected to your trail.");
    assert_eq!(read("a connection"), connected);
    assert_eq!(read("a signed connection").1, None);
    for line in lines.iter().filter(|line| line.name.starts_with("relayed, kind")) {
        assert!(line.sentence.ends_with("Only the operator of this service says so."), "{line:?}");
    }
    for (name, words) in [
        ("erasure asked for", "You asked that your records and the lines until then be erased."),
        ("erasure against an order", "Nothing was erased: this service was ordered to keep it."),
        ("erasure for a reason of another version", "The content of lines was erased."),
        ("erasure of records done", "Your records were erased, as you wished."),
        // Signed by an organisation it says nothing in the person's name.
        ("a signed erasure", "The content of lines was erased."),
    ] {
        assert_eq!(read(name).2, words, "{name}");
    }
    let taken = "You took a table of who was given your data.";
    assert_eq!(read("an accounting"), (false, None, taken));
    let looked = (false, None, "0x090909…0909 looked at your data for you.");
    assert_eq!(read("a look for the person"), looked);
    assert_eq!(read("an accounting for the person"), looked);
    let order = "Lumi Laboratory ended that somebody may act for you, by this order: “Harju Maakohus 2-26-77”";
    assert_eq!(read("an order").2, order);
    assert!(!read("an order nobody signed").2.contains("order"));
    assert_eq!(read("a signed accounting").2, "Lumi Laboratory read your data.");
    let own = "The operator of this service worked on it.";
    assert_eq!(read("a relayed operation"), (false, None, own));
}

#[test]
fn lines_are_those_of_the_vectors() {
    let path = root().join("tests/vectors/lines.json");
    let lines = all();
    assert!(lines.len() >= 25);
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&lines).unwrap();
        std::fs::write(&path, format!("{text}\n")).unwrap();
    }
    let known: Vec<Line> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(lines.len(), known.len());
    for (line, known) in lines.iter().zip(&known) {
        assert_eq!(line, known);
    }
}

#[test]
fn lines_read_as_they_should() {
    let lines = all();
    let sentence = |name: &str| {
        let line = lines.iter().find(|line| line.name == name).unwrap_or_else(|| panic!("{name}"));
        line.sentence.as_str()
    };
    for (name, expected) in [
        (
            "patient-read",
            "Dr Liis Kask, Kalda Family Doctors, read your allergies. For your treatment.",
        ),
        (
            "patient-query",
            "Rein Oja, Lumi Laboratory, searched your measurements. For your treatment.",
        ),
        (
            "patient-update",
            "Dr Liis Kask, Kalda Family Doctors, changed your medicines. For your treatment.",
        ),
        (
            "patient-delete",
            "Dr Liis Kask, Kalda Family Doctors, deleted your appointments. For patient administration.",
        ),
        (
            "disclosure-source",
            "Kalda Family Doctors passed your documents on to Harbour Hospital. To coordinate your care.",
        ),
        (
            "disclosure-recipient",
            "Harbour Hospital received your documents from Kalda Family Doctors. To coordinate your care.",
        ),
        (
            "break-glass",
            "Emergency. Dr Peeter Saar, Harbour Hospital, opened your allergies and medicines; you could not be asked.",
        ),
        (
            "psychiatric-note-at-night",
            "Unusual. A nurse at Harbour Hospital (no. 4417, name not given) read a psychiatric note. No reason given.",
        ),
        ("machine-read", "Automatic check: Lumi Laboratory read your measurements."),
        ("a machine that requested", "Automatic check: Lumi Laboratory read your measurements."),
        (
            "nobody is called requestor",
            "Dr Liis Kask, Kalda Family Doctors, read your allergies. For your treatment.",
        ),
        (
            "an organisation that requested",
            "Kalda Family Doctors read your allergies. For your treatment.",
        ),
        (
            "access-denied",
            "Refused. Dr Peeter Saar, Harbour Hospital, asked to see your data. The answer was no. For your treatment.",
        ),
        (
            "failed-update",
            "Dr Liis Kask, Kalda Family Doctors, tried to change your allergies. It did not succeed. For your treatment.",
        ),
        (
            "relayed read",
            "Dr Liis Kask, Kalda Family Doctors, read your allergies. For your treatment. Not signed by Kalda Family Doctors.",
        ),
        ("she herself", "You, through Kalda Family Doctors, read your allergies. At your request."),
        (
            "a refused change",
            "Refused. Dr Liis Kask, Harbour Hospital, tried to change your medicines without your permission. Nothing changed. For your treatment.",
        ),
        ("no details", "Kalda Family Doctors read your data."),
        (
            "details that tell of another act",
            "Dr Liis Kask, Kalda Family Doctors, changed your allergies. For your treatment.",
        ),
        (
            "a name that hides",
            "Somebody at Kalda Family Doctors (no. D01882, name not given) read your allergies. For your treatment.",
        ),
        ("kind 11", "Kalda Family Doctors was connected to your trail."),
        ("kind 18", "Something happened that this version cannot name."),
        (
            "a grant",
            "You gave Kalda Family Doctors permission to read and change your medicines and measurements. For your treatment.",
        ),
        (
            "a grant to read",
            "You gave Kalda Family Doctors permission to read your measurements. For research.",
        ),
        (
            "a grant to change",
            "You gave Kalda Family Doctors permission to change your allergies. For your treatment.",
        ),
        (
            "a grant of everything",
            "You gave Kalda Family Doctors permission to read and change your data.",
        ),
        (
            "a grant of much",
            "You gave Kalda Family Doctors permission to read your measurements, diagnoses, visits, care plan and more. For your treatment.",
        ),
        (
            "a grant of marked data",
            "You gave Kalda Family Doctors permission to read your measurements, also sensitive ones. For your treatment.",
        ),
        (
            "a grant to an address",
            "You gave 0x070707…0707 permission to read your measurements. For your treatment.",
        ),
        ("a grant that cannot be read", "A permission was given or taken back in your name."),
        ("an approval", "You approved one change by Kalda Family Doctors."),
        ("a delegation", "You let 0x070707…0707 act for you."),
        ("a guardianship", "0x070707…0707 was named to act for you."),
        ("a guardianship of nobody", "Somebody was named to act for you."),
        ("a permission taken back", "You took back a permission."),
        ("all permissions taken back", "You took back all permissions that you had given."),
        ("a document of another kind", "A permission was given or taken back in your name."),
        ("a signed permission", "A permission was given or taken back in your name."),
        (
            "a change that was not permitted",
            "A change by Kalda Family Doctors was not permitted by you.",
        ),
        (
            "a change of nobody known that was not permitted",
            "A change by an organisation without a name was not permitted by you.",
        ),
        (
            "a look into the vault that was not permitted",
            "Refused. Kalda Family Doctors tried to read your data without your permission. Nothing was shown.",
        ),
        (
            "a version that was not permitted",
            "Refused. Kalda Family Doctors tried to change your data without your permission. Nothing changed.",
        ),
        (
            "a title that was not permitted",
            "Refused. Kalda Family Doctors tried to change “Allergy: penicillin” to “No known allergies” without your permission. Nothing changed.",
        ),
        (
            "a title of a stranger's words",
            "Refused. Kalda Family Doctors tried to change “Allergy: penicillin” to “Nothing You allowed this” without your permission. Nothing changed.",
        ),
        (
            "a deletion that was not permitted",
            "Refused. Kalda Family Doctors tried to change your data without your permission. Nothing changed.",
        ),
        (
            "a value that changed",
            "Dr Liis Kask, Kalda Family Doctors, changed your medicines: “Insulin glargine, every evening” from “18 units” to “20 units”. For your treatment.",
        ),
        (
            "a value without the one before",
            "Dr Liis Kask, Kalda Family Doctors, changed your medicines. For your treatment.",
        ),
        (
            "a restricted value that changed",
            "Dr Liis Kask, Kalda Family Doctors, changed your medicines. For your treatment.",
        ),
        (
            "a look that tells values",
            "Dr Liis Kask, Kalda Family Doctors, read your medicines. For your treatment.",
        ),
        ("an own record", "You added to your allergies."),
        (
            "a version by an organisation",
            "Kalda Family Doctors changed your allergies. For your treatment.",
        ),
        (
            "a sensitive version",
            "Kalda Family Doctors changed your HIV records. For your treatment.",
        ),
        (
            "a version that nobody signed",
            "An organisation without a name changed your allergies. Only the operator of this service says so.",
        ),
        (
            "a signed look into the vault",
            "Kalda Family Doctors read your data. For your treatment.",
        ),
        (
            "a signed look that names a reader",
            "Kalda Family Doctors read your data. For your treatment.",
        ),
        ("an own look", "You read your data. Only the operator of this service says so."),
        (
            "a look for somebody",
            "0x070707…0707 looked at your data for you. Only the operator of this service says so.",
        ),
        (
            "a relayed look into the vault",
            "Kalda Family Doctors read your data. For your treatment. Not signed by Kalda Family Doctors.",
        ),
        (
            "a change asked for",
            "Kalda Family Doctors asks you to allow a change in your allergies.",
        ),
        (
            "a change declined",
            "You said no to a change that Kalda Family Doctors had asked for. Only the operator of this service says so.",
        ),
        (
            "a change withdrawn",
            "An organisation without a name no longer asks you for a change. Only the operator of this service says so.",
        ),
        (
            "a change not answered",
            "A change that Kalda Family Doctors had asked for was not answered in time.",
        ),
        ("a signed no", "A question about a line was asked or answered."),
    ] {
        assert_eq!(sentence(name), expected, "{name}");
    }
}

#[test]
fn no_word_of_the_log_stands_on_a_persons_screen() {
    const WORDS: [&str; 15] = [
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
        "ledger",
    ];
    for line in all() {
        let text = line.sentence.to_lowercase();
        let mut words = text.split(|letter: char| !letter.is_alphanumeric());
        assert!(words.all(|word| !WORDS.contains(&word)), "{}: {text}", line.name);
    }
}

#[test]
fn no_foreign_text_breaks_a_line() {
    for line in all() {
        let hides = |letter: char| {
            letter.is_control()
                || matches!(letter, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
        };
        assert!(!line.sentence.contains(hides), "{}: {:?}", line.name, line.sentence);
        assert!(!line.sentence.contains("**"), "{}: {}", line.name, line.sentence);
        assert!(line.sentence.chars().count() < 500, "{}: {}", line.name, line.sentence);
        let facts = serde_json::to_string(&line.facts).unwrap();
        assert!(facts.len() < 4000, "{}: {} bytes of facts", line.name, facts.len());
    }
}
