//! What is sold is delivered, and nothing that only looks like it.

mod support;

use alloy_primitives::B256;
use medtrail_market::assemble::{AssembleError, Reason, opening};
use medtrail_market::manifest::{Manifest, ManifestError, Origin as From, Whose};
use medtrail_market::record::Word;
use medtrail_market::secret::SaleSecret;
use medtrail_permit::confidentiality::Confidentiality;
use medtrail_permit::dataset::{Form, Origin};
use medtrail_permit::scopes::Data;
use support::{Kept, NOON_S, RESOURCES, SAFE, dataset, everything, kept, sold, ten};

/// Why one record is left out of the glucose of the last 90 days.
fn left_out(kept: Kept) -> Option<Reason> {
    let glucose = dataset(
        "patient/Observation.rs",
        &["http://loinc.org|15074-8"],
        NOON_S - 90 * 86_400,
        Form::AsItIs,
        Origin::Signed,
    );
    let good = Kept { record: B256::repeat_byte(1), ..support::kept(RESOURCES[1]) };
    let assembly = sold(&glucose, &[good, kept]).unwrap();
    assert_eq!(assembly.files.len() + assembly.left_out.len(), 2);
    assembly.left_out.into_keys().next()
}

fn glucose() -> Kept {
    kept(RESOURCES[1])
}

fn changed(old: &str, new: &str) -> Kept {
    let text = RESOURCES[1].replacen(old, new, 1);
    assert_ne!(text, RESOURCES[1], "{old}");
    kept(&text)
}

#[test]
fn only_what_was_sold_is_delivered() {
    assert_eq!(left_out(glucose()), None);
    assert_eq!(left_out(Kept { counts: false, ..glucose() }), Some(Reason::DoesNotCount));
    assert_eq!(left_out(Kept { word: Word::Relayed, ..glucose() }), Some(Reason::Relayed));
    assert_eq!(left_out(Kept { word: Word::Uploaded, ..glucose() }), Some(Reason::Uploaded));
    assert_eq!(left_out(kept(RESOURCES[2])), Some(Reason::OutOfScope));
    assert_eq!(left_out(changed("15074-8", "4548-4")), Some(Reason::OtherCode));
    assert_eq!(left_out(changed("2025-12-24T07", "2024-12-24T07")), Some(Reason::OutOfPeriod));
    // All that may be meant must lie within.
    assert_eq!(left_out(changed("2025-12-24T07:30:00+02:00", "2025")), Some(Reason::OutOfPeriod));
    assert_eq!(left_out(changed("2025-12-24T07:30:00+02:00", "soon")), Some(Reason::Unread));
}

#[test]
fn a_person_s_details_are_of_no_time_and_of_a_scope_like_all_else() {
    // Long before and after what the log says of them.
    for (from_s, scopes, count) in [
        (NOON_S + 86_400, "patient/Patient.rs patient/Observation.rs", 1),
        (NOON_S - 90 * 86_400, "patient/Patient.rs patient/Observation.rs", 2),
        (NOON_S - 90 * 86_400, "patient/Observation.rs", 1),
    ] {
        let sale = dataset(scopes, &[], from_s, SAFE, Origin::Signed);
        let assembly = sold(&sale, &[kept(RESOURCES[0]), glucose()]).unwrap();
        assert_eq!(assembly.manifest.records.len(), count);
    }
}

#[test]
fn a_record_is_what_its_bytes_say_and_not_what_is_said_of_it() {
    // A psychiatric diagnosis with a label that was sold.
    let told = Data { resource: Some("Observation".into()), ..Data::default() };
    let smuggled = Kept { told: told.clone(), ..kept(RESOURCES[2]) };
    assert_eq!(left_out(smuggled), Some(Reason::Unread));
    // One name that stands twice: this reader sees a measurement, the next one a diagnosis.
    let twice = changed(r#""id":"o1""#, r#""id":"o1","resourceType":"Condition""#);
    assert_eq!(left_out(twice), Some(Reason::Unread));
    // Marks, in the bytes or in the log's own knowledge.
    let restricted = r#""id":"o1","meta":{"security":[{"code":"R"}]}"#;
    assert_eq!(left_out(changed(r#""id":"o1""#, restricted)), Some(Reason::OutOfScope));
    let topic = r#""id":"o1","meta":{"security":[{"code":"PSY"}]}"#;
    assert_eq!(left_out(changed(r#""id":"o1""#, topic)), Some(Reason::OutOfScope));
    for unread in
        [r#""R""#, r#"[{"display":"restricted"}]"#, r#"[{"code":"N"},{"system":"urn:x"}]"#]
    {
        let unread = format!(r#""id":"o1","meta":{{"security":{unread}}}"#);
        assert_eq!(left_out(changed(r#""id":"o1""#, &unread)), Some(Reason::Unread));
    }
    let marked = Data { confidentiality: Some(Confidentiality::V), ..told };
    assert_eq!(left_out(Kept { told: marked, ..glucose() }), Some(Reason::OutOfScope));
    // A label in the bytes does not make less of what the log knows.
    let softer = changed(r#""id":"o1""#, r#""id":"o1","meta":{"security":[{"code":"N"}]}"#);
    let hard = Data { confidentiality: Some(Confidentiality::R), ..Data::default() };
    assert_eq!(left_out(Kept { told: hard, ..softer }), Some(Reason::OutOfScope));
}

/// What comes of one record where all that is not marked was sold as it is.
fn of_everything(kept: Kept) -> Option<Reason> {
    let good = Kept { record: B256::repeat_byte(1), ..support::kept(RESOURCES[3]) };
    let assembly = sold(&everything(Form::AsItIs), &[good, kept]).unwrap();
    assert_eq!(assembly.files.len() + assembly.left_out.len(), 2);
    assembly.left_out.into_keys().next()
}

#[test]
fn what_holds_other_resources_is_not_sold_for_what_it_seems() {
    let inner = r#"{"resourceType":"Condition","meta":{"security":[{"code":"R"}]}}"#;
    for outer in [
        format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{inner}}}]}}"#
        ),
        format!(
            r#"{{"resourceType":"Parameters","parameter":[{{"name":"x","resource":{inner}}}]}}"#
        ),
    ] {
        assert_eq!(of_everything(kept(&outer)), Some(Reason::Unread), "{outer}");
        let json = Kept { media_type: "application/json".into(), ..kept(&outer) };
        assert_eq!(of_everything(json), Some(Reason::Unread), "{outer}");
    }
}

#[test]
fn json_has_its_marks_however_its_media_type_and_its_bytes_are_written() {
    let restricted = changed(r#""id":"o1""#, r#""id":"o1","meta":{"security":[{"code":"R"}]}"#);
    // As a label has it that somebody made: nothing in it says that it is restricted.
    let told = Data { resource: Some("Observation".into()), ..Data::default() };
    for media_type in [
        "application/FHIR+JSON",
        "Application/Json",
        "application/fhir+json;charset=utf-8",
        "application/FHIR+json ; fhirVersion=4.0",
    ] {
        let media_type = media_type.to_owned();
        let marked =
            Kept { media_type: media_type.clone(), told: told.clone(), ..restricted.clone() };
        assert_eq!(of_everything(marked), Some(Reason::OutOfScope), "{media_type}");
        let mut latin =
            Kept { media_type: media_type.clone(), told: told.clone(), ..restricted.clone() };
        latin.bytes.splice(latin.bytes.len() - 1.., *b",\"x\":\"\xf5\"}");
        assert_eq!(of_everything(latin), Some(Reason::Unread), "{media_type}");
        let utf_16 = String::from_utf8(restricted.bytes.clone()).unwrap();
        let bytes = utf_16.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wide = Kept { media_type: media_type.clone(), told: told.clone(), bytes, ..glucose() };
        assert_eq!(of_everything(wide), Some(Reason::Unread), "{media_type}");
        assert_eq!(of_everything(Kept { media_type, ..glucose() }), None);
    }
}

#[test]
fn altered_doubled_or_no_records_make_no_delivery() {
    let altered = Kept { version: Some(B256::repeat_byte(7)), ..glucose() };
    let record = altered.record;
    assert_eq!(sold(&everything(Form::AsItIs), &[altered]), Err(AssembleError::Altered(record)));
    let twice = sold(&everything(Form::AsItIs), &[glucose(), glucose()]);
    assert_eq!(twice, Err(AssembleError::Twice(record)));
    let nothing = |left_out: &[(Reason, u64)]| {
        Err(AssembleError::Nothing { left_out: left_out.iter().copied().collect() })
    };
    assert_eq!(sold(&everything(Form::AsItIs), &[]), nothing(&[]));
    let scan = Kept { media_type: "application/pdf".into(), ..kept("%PDF") };
    assert_eq!(sold(&everything(SAFE), &[scan]), nothing(&[(Reason::NotHarmless, 1)]));
}

#[test]
fn as_it_is_means_the_signed_bytes_and_says_whose_they_are() {
    let own = Kept { word: Word::Uploaded, ..kept(RESOURCES[3]) };
    let scan = Kept { media_type: "application/pdf".into(), ..kept("%PDF") };
    let assembly = sold(&everything(Form::AsItIs), &[glucose(), own.clone(), scan]).unwrap();
    assert_eq!(assembly.files.len(), 3);
    for (entry, (path, bytes)) in assembly.manifest.records.iter().zip(&assembly.files) {
        assert_eq!(&entry.path, path);
        let From::Open(original) = &entry.origin else { panic!("hidden") };
        assert_eq!(original.version, medtrail_ledger::entry::details_hash(bytes));
        assert_eq!(path.ends_with(".bin"), original.media_type == "application/pdf");
        let is_own = original.record == own.record;
        let expected = if is_own { Whose::UploadedByPerson } else { Whose::SignedByOrganisation };
        assert_eq!(entry.word, expected);
        assert_eq!(original.signer.is_none(), is_own);
    }
    assert!(assembly.files.iter().any(|(_, bytes)| bytes == RESOURCES[1].as_bytes()));
}

#[test]
fn a_hidden_origin_opens_by_itself_and_to_nothing_else() {
    let all = ten();
    let assembly = sold(&everything(SAFE), &all).unwrap();
    let text = String::from_utf8(assembly.manifest.bytes()).unwrap();
    for kept in &all {
        let record = kept.of();
        for known in [record.version, record.record, record.proof.commitment] {
            assert!(!text.contains(&known.to_string()), "a hash of what is known confirms it");
        }
        let opened = opening(&SaleSecret::new([9; 32]), &record);
        let hidden = From::Hidden(opened.hidden());
        assert_eq!(assembly.manifest.records.iter().filter(|one| one.origin == hidden).count(), 1);
        let mut other = opened.clone();
        other.original.version = B256::repeat_byte(1);
        assert_ne!(other.hidden(), opened.hidden());
        let mut guessed = opened.clone();
        guessed.blind = B256::ZERO;
        assert_ne!(guessed.hidden(), opened.hidden());
    }
    assert!(!text.contains("4711"), "the entry's place would tell its day");
    assert!(!text.to_lowercase().contains("0x4a4a4a"), "the signer would tell a town");
}

#[test]
fn a_manifest_has_one_spelling_and_holds_together() {
    for form in [Form::AsItIs, SAFE] {
        let manifest = sold(&everything(form), &ten()).unwrap().manifest;
        let bytes = manifest.bytes();
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
        let text = String::from_utf8(bytes).unwrap();
        let blank = text.replacen("\",\"", "\", \"", 1);
        assert!(matches!(Manifest::parse(blank.as_bytes()), Err(ManifestError::Spelling)));
        let more = text.replacen('{', "{\"mood\":1,", 1);
        assert!(matches!(Manifest::parse(more.as_bytes()), Err(ManifestError::Json(_))));
        let newer = text.replacen("manifest-v1", "manifest-v2", 1);
        assert!(matches!(Manifest::parse(newer.as_bytes()), Err(ManifestError::Version(_))));
        let with = |change: fn(&mut Manifest)| {
            let mut other = manifest.clone();
            change(&mut other);
            Manifest::parse(&other.bytes())
        };
        let path = |path: &'static str| {
            let mut other = manifest.clone();
            let old = std::mem::replace(&mut other.files[0].path, path.into());
            for entry in other.records.iter_mut().filter(|entry| entry.path == old) {
                entry.path = path.into();
            }
            Manifest::parse(&other.bytes())
        };
        for wrong in ["../x", "/etc/x", "a/b/c", "a\\b", ".x", "manifest.json", "a//b", ""] {
            assert!(matches!(path(wrong), Err(ManifestError::Paths)), "{wrong}");
        }
        assert!(matches!(with(|one| one.files.clear()), Err(ManifestError::Entry(0))));
        let hidden = |one: &mut Manifest| one.records[0].origin = From::Hidden(B256::ZERO);
        if form == Form::AsItIs {
            assert!(matches!(with(hidden), Err(ManifestError::Entry(0))));
            // A file of other bytes under the name of a signed version.
            let other = |one: &mut Manifest| one.files[0].hash = B256::ZERO;
            assert!(matches!(with(other), Err(ManifestError::Entry(0))));
            let praised = |one: &mut Manifest| one.records[0].word = Whose::UploadedByPerson;
            assert!(matches!(with(praised), Err(ManifestError::Entry(0))));
        }
    }
}
