//! The file of a call to many: each seller's records as in a sale of their own, each with the
//! consent that it stands on, and nobody's records beside their address where they are de-identified.

#[path = "support/sold.rs"]
mod sold;
mod support;

use alloy_primitives::{B256, Bytes, hex};
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::signature;
use medtrail_market::assemble::{AssembleError, Reason};
use medtrail_market::cohort::assemble::{Gather, GatherError, consent_opening, record_opening};
use medtrail_market::cohort::manifest::{Consent, ConsentOf};
use medtrail_market::manifest::Origin;
use medtrail_market::record::Record;
use medtrail_market::secret::SaleSecret;
use medtrail_permit::dataset::Form;
use medtrail_permit::sale::check::SaleError;
use serde_json::Value;
use sold::{Files, SELLERS, World, address, consent, kept, with};
use std::collections::BTreeSet;
use std::io;
use support::{IDENTIFIERS, Kept, SAFE, SHIFTED, ten};

#[test]
fn one_file_holds_what_each_would_have_sold_alone() {
    for form in [Form::AsItIs, SAFE, SHIFTED] {
        let world = World::new(form);
        let sold = world.sell();
        let (checked, files) = sold.open().unwrap();
        assert_eq!(checked.manifest, sold.manifest);
        assert!(checked.unpaid.is_empty() && checked.by_others.is_empty());
        assert_eq!(files[0].1, sold.manifest.bytes());
        assert_eq!(sold.manifest.persons.len(), 3);
        for person in &sold.manifest.persons {
            assert_eq!(person.records.len(), 10);
        }
        if form == Form::AsItIs {
            let own: BTreeSet<Vec<u8>> = ten().into_iter().map(|kept| kept.bytes).collect();
            for person in &sold.manifest.persons {
                let folder = format!("person-{}/", person.label);
                let theirs = files.iter().filter(|(path, _)| path.starts_with(&folder));
                assert_eq!(theirs.map(|(_, bytes)| bytes.clone()).collect::<BTreeSet<_>>(), own);
            }
        } else {
            assert_eq!(files.len(), 4);
        }
    }
}

#[test]
fn as_it_is_each_record_leads_to_the_signed_consent_of_its_person() {
    let world = World::new(Form::AsItIs);
    let manifest = world.sell().manifest;
    let mut led_to = BTreeSet::new();
    for person in &manifest.persons {
        let ConsentOf::Place(place) = person.consent else { panic!("{:?}", person.consent) };
        let consent = manifest.consent(place).unwrap();
        let acceptance = consent.acceptance(&manifest.cohort, &manifest.market);
        let signed = signature::parse(&consent.signature).unwrap();
        assert_eq!(signed.recover(acceptance.id(&manifest.market)), Ok(consent.seller));
        assert!(acceptance.terms.statement.starts_with("I sell to"));
        assert_eq!(details_hash(manifest.dataset.as_bytes()), acceptance.terms.dataset);
        for entry in &person.records {
            let Origin::Open(original) = &entry.origin else { panic!("{:?}", entry.origin) };
            assert_eq!(original.record.0[0], (place / 10) as u8, "this person's record");
        }
        led_to.insert(place);
    }
    assert_eq!(led_to.into_iter().collect::<Vec<_>>(), [10, 20, 30]);
}

/// A consent names an address, which the chain shows. The parts about persons name none.
#[test]
fn de_identified_nothing_tells_whose_records_are_whose_until_one_is_opened() {
    for form in [SAFE, SHIFTED] {
        let world = World::new(form);
        let sold = world.sell();
        let (_, files) = sold.open().unwrap();
        let persons = serde_json::to_string(&sold.manifest.persons).unwrap();
        let data: Vec<String> =
            files[1..].iter().map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect();
        let all = format!("{persons}{}", data.concat());
        for identifier in IDENTIFIERS {
            assert!(!all.contains(identifier), "{identifier}");
        }
        for seed in SELLERS {
            let own = [
                hex::encode(address(seed)),
                hex::encode(world.id(seed)),
                format!("\"place\":{}", u32::from(seed) * 10),
            ];
            for text in own {
                assert!(!all.to_lowercase().contains(&text), "{text}");
            }
        }
        assert!(!all.contains("4711"), "an entry's place would tell its day");
        for seed in SELLERS {
            let consent = consent(&world.cohort, seed);
            let opening = consent_opening(&world.secret, &consent, world.id(seed));
            let person = sold.manifest.opened(&opening).unwrap();
            let mut forged = opening.clone();
            forged.consent.seller = address(9);
            assert_eq!(sold.manifest.opened(&forged), None);
            // Of this person, and of no other.
            with(seed, |records| {
                let opened: BTreeSet<B256> = records
                    .iter()
                    .map(|record| record_opening(&world.secret, world.id(seed), record).hidden())
                    .collect();
                let told = person.records.iter().map(|entry| match entry.origin {
                    Origin::Hidden(hash) => hash,
                    Origin::Open(_) => panic!("open"),
                });
                assert_eq!(told.collect::<BTreeSet<_>>(), opened);
            });
        }
    }
}

#[test]
fn the_order_of_persons_is_another_in_each_file_and_follows_from_no_place() {
    let mut world = World::new(SAFE);
    let mut orders = BTreeSet::new();
    for byte in 0..64 {
        world.secret = SaleSecret::new([byte; 32]);
        let manifest = world.plan(&world.consents()).manifest().clone();
        let order: Vec<usize> = SELLERS
            .into_iter()
            .map(|seed| {
                let opening =
                    consent_opening(&world.secret, &consent(&world.cohort, seed), world.id(seed));
                let hidden = ConsentOf::Hidden(opening.hidden());
                manifest.persons.iter().position(|person| person.consent == hidden).unwrap()
            })
            .collect();
        orders.insert(order);
        assert_eq!(manifest.consents.iter().map(|c| c.place).collect::<Vec<_>>(), [10, 20, 30]);
    }
    assert_eq!(orders.len(), 6, "each of the six orders comes up");
}

#[test]
fn ids_of_two_sellers_never_meet_and_are_nobodys_own() {
    let world = World::new(SHIFTED);
    let (_, files) = world.sell().open().unwrap();
    let (mut ids, mut dates) = (BTreeSet::new(), BTreeSet::new());
    for (path, bytes) in &files[1..] {
        let bundle: Value = serde_json::from_slice(bytes).unwrap();
        let label = path.trim_start_matches("person-").trim_end_matches(".json");
        for entry in bundle["entry"].as_array().unwrap() {
            let resource = &entry["resource"];
            let id = resource["id"].as_str().unwrap();
            assert!(id.starts_with(&format!("{label}-")), "{id}");
            assert!(ids.insert(id.to_owned()), "{id} twice");
            if let Some(subject) = resource["subject"]["reference"].as_str() {
                assert!(subject.starts_with(&format!("Patient/{label}-")), "{subject}");
            }
            if resource["resourceType"] == "Procedure" {
                dates.insert(resource["performedDateTime"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(ids.len(), 30);
    assert_eq!(dates.len(), 3, "one day, moved by another number for each: {dates:?}");
}

#[test]
fn who_cannot_be_in_it_changes_nothing_for_the_others() {
    let world = World::new(SAFE);
    let one = consent(&world.cohort, 1);
    let mut gather = Gather::new(world.call()).unwrap();
    let nobody = Gather::new(world.call()).unwrap().finish();
    assert!(matches!(nobody, Err(GatherError::Nobody)));
    let left_out = with(1, |records| gather.add(&one, records)).unwrap();
    assert!(left_out.is_empty());
    // Nothing that is sold, or bytes that are not those the log knows.
    let two = consent(&world.cohort, 2);
    let mut none = kept(2);
    none.iter_mut().for_each(|kept| kept.counts = false);
    let none: Vec<Record<'_>> = none.iter().map(Kept::of).collect();
    let Err(GatherError::Records(AssembleError::Nothing { left_out })) = gather.add(&two, &none)
    else {
        panic!("nothing was taken")
    };
    assert_eq!(left_out[&Reason::DoesNotCount], 10);
    let mut altered = kept(2);
    altered[3].version = Some(B256::ZERO);
    let altered: Vec<Record<'_>> = altered.iter().map(Kept::of).collect();
    let refused = gather.add(&two, &altered);
    assert!(matches!(refused, Err(GatherError::Records(AssembleError::Altered(_)))));
    // The same place, the same seller, an acceptance that is none.
    let records = kept(2);
    let records: Vec<Record<'_>> = records.iter().map(Kept::of).collect();
    let mut refused = |change: fn(&mut Consent)| {
        let mut wrong = two.clone();
        change(&mut wrong);
        gather.add(&wrong, &records)
    };
    assert_eq!(refused(|it| it.place = 10), Err(GatherError::Twice));
    assert_eq!(refused(|it| it.seller = address(1)), Err(GatherError::Twice));
    let beyond = Err(GatherError::Documents(SaleError::Place(50, 50)));
    assert_eq!(refused(|it| it.place = 50), beyond);
    let early = refused(|it| it.expires_at -= 1);
    assert!(matches!(early, Err(GatherError::Documents(SaleError::EndsEarly(..)))));
    assert_eq!(refused(|it| it.signature = Bytes::new()), Err(GatherError::Signature(0)));
    let long = refused(|it| it.signature = vec![7; 2049].into());
    assert_eq!(long, Err(GatherError::Signature(2049)));
    let manifest = gather.finish().unwrap().manifest().clone();
    assert_eq!(manifest, *world.plan(&[(1, one)]).manifest());
}

#[test]
fn records_that_changed_between_manifest_and_file_end_it() {
    let world = World::new(SAFE);
    let plan = world.plan(&world.consents());
    let mut asked = Vec::new();
    let mut files = |place| {
        asked.push(place);
        world.files(place)
    };
    plan.write(&mut files, &mut io::sink()).unwrap();
    asked.sort_unstable();
    assert_eq!(asked, [10, 20, 30], "each once");
    for change in [
        |files: &mut Files| files[0].1.push(b'\n'),
        |files: &mut Files| files.clear(),
        |files: &mut Files| files[0].0.push('x'),
        |files: &mut Files| files.push(files[0].clone()),
    ] {
        let mut changed = |place| {
            let mut files = world.files(place)?;
            if place == 20 {
                change(&mut files);
            }
            Ok(files)
        };
        let written = plan.write(&mut changed, &mut io::sink());
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
    // Another's files do not stand in for theirs.
    let written = plan.write(&mut |_| world.files(10), &mut io::sink());
    assert!(written.is_err());
}
