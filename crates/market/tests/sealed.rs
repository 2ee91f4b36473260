//! A delivery opens for its buyer when its key is shown, for nobody else and not before, and only
//! as the very file that was logged.

#[path = "support/age_again.rs"]
mod age_again;
mod support;

use alloy_primitives::{Address, B256};
use medtrail_ledger::schema::Report;
use medtrail_market::archive::{self, ArchiveError};
use medtrail_market::assemble::Assembly;
use medtrail_market::entry::{Delivered, DeliveryDetails, report};
use medtrail_market::manifest::Manifest;
use medtrail_market::seal::{
    BuyerKey, LockKey, SealError, Sealed, is_recipient, key_of, open, seal, text_of,
};
use medtrail_market::verify::{Fault, Ordered, before_payment, delivery};
use medtrail_permit::dataset::Form;
use std::io::{Read, Write};
use support::{ORDER, SAFE, everything, sold, ten};

const BUYER: [u8; 32] = [0x42; 32];
const SELLER: Address = Address::repeat_byte(0x5e);

fn key(byte: u8) -> LockKey {
    LockKey::new([byte; 32])
}

/// An identity of fixed bytes, spelt as an age tool spells it.
fn buyer() -> BuyerKey {
    BuyerKey::parse(&LockKey::new(BUYER).text()).unwrap()
}

struct Sold {
    ordered: Ordered,
    report: Report,
    details: Vec<u8>,
    key: LockKey,
    file: Vec<u8>,
    assembly: Assembly,
}

fn sell(form: Form, order: B256, byte: u8) -> Sold {
    let dataset = everything(form);
    let mut assembly = sold(&dataset, &ten()).unwrap();
    assembly.manifest.order = order;
    let (key, mut file) = (key(byte), Vec::new());
    let plain = |to: &mut dyn Write| archive::write(&assembly, to);
    let sealed = seal(buyer().recipient(), &key, &mut file, plain).unwrap();
    assert_eq!(sealed.bytes, file.len() as u64);
    let details = DeliveryDetails::new(B256::repeat_byte(byte), assembly.manifest.hash());
    let log = B256::repeat_byte(0x10);
    let report = report(&Delivered {
        log,
        order,
        seller: SELLER,
        actor: Address::repeat_byte(0x09),
        time_ms: support::NOON_S * 1000,
        lock: key.lock(),
        sealed,
        details: &details,
    });
    let ordered = Ordered { log, order, seller: SELLER, dataset: dataset.id() };
    Sold { ordered, report, details: details.bytes(), key, file, assembly }
}

impl Sold {
    fn check(&self) -> Result<Manifest, Fault> {
        self.check_with(&self.key, &self.file)
    }

    fn check_with(&self, key: &LockKey, file: &[u8]) -> Result<Manifest, Fault> {
        let take = &mut |_: &str, _: &[u8]| Ok(());
        delivery(&self.ordered, &self.report, &self.details, key, &buyer(), file, take)
    }
}

#[test]
fn a_buyer_gets_the_files_that_were_sold() {
    for form in [SAFE, Form::AsItIs] {
        let sold = sell(form, ORDER, 1);
        before_payment(&sold.ordered, &sold.report, &sold.details, &*sold.file).unwrap();
        let mut files = Vec::new();
        let mut take = |path: &str, bytes: &[u8]| {
            files.push((path.to_owned(), bytes.to_vec()));
            Ok(())
        };
        let Sold { ordered, report, details, key, file, assembly } = &sold;
        let manifest = delivery(ordered, report, details, key, &buyer(), &**file, &mut take);
        assert_eq!(manifest.unwrap(), assembly.manifest);
        assert_eq!(files[0], ("manifest.json".into(), assembly.manifest.bytes()));
        assert_eq!(files[1..], assembly.files);
    }
}

#[test]
fn the_key_of_the_chain_opens_nothing_for_anybody_else() {
    let sold = sell(SAFE, ORDER, 1);
    let stranger = BuyerKey::parse(&LockKey::new([7; 32]).text()).unwrap();
    let opened = open(&sold.key, &stranger, &*sold.file);
    assert!(matches!(opened, Err(SealError::Decrypt { layer: "inner", .. })));
    let opened = open(&key(2), &buyer(), &*sold.file);
    assert!(matches!(opened, Err(SealError::Decrypt { layer: "outer", .. })));
}

#[test]
fn what_is_of_another_sale_is_told_apart() {
    let sold = sell(SAFE, ORDER, 1);
    let other = sell(SAFE, B256::repeat_byte(0x0e), 2);
    sold.check().unwrap();
    assert!(matches!(sold.check_with(&other.key, &sold.file), Err(Fault::Key)));
    // The other sale's file under this sale's key does not even open.
    assert!(matches!(sold.check_with(&sold.key, &other.file), Err(Fault::Seal(_))));
    let held = before_payment(&sold.ordered, &sold.report, &sold.details, &*other.file);
    assert!(matches!(held, Err(Fault::File { .. })));
    // The other order's entry does not answer this order.
    let replayed = Sold { report: other.report.clone(), ..sell(SAFE, ORDER, 1) };
    assert!(matches!(replayed.check(), Err(Fault::Entry("record"))));
    let details = Sold { details: other.details, ..sell(SAFE, ORDER, 1) };
    assert!(matches!(details.check(), Err(Fault::OtherDetails)));
}

#[test]
fn the_same_sealed_once_more_is_not_what_was_logged() {
    let (sold, again) = (sell(SAFE, ORDER, 1), sell(SAFE, ORDER, 1));
    assert_ne!(sold.file, again.file);
    let checked = sold.check_with(&sold.key, &again.file);
    assert!(matches!(checked, Err(Fault::File { .. })), "{checked:?}");
}

#[test]
fn an_entry_of_another_kind_person_or_log_is_no_delivery() {
    let with = |change: fn(&mut Report)| {
        let mut sold = sell(SAFE, ORDER, 1);
        change(&mut sold.report);
        match sold.check() {
            Err(Fault::Entry(field)) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(with(|report| report.kind = 1), "kind");
    assert_eq!(with(|report| report.action = b'R'), "action");
    assert_eq!(with(|report| report.subject = B256::ZERO), "subject");
    assert_eq!(with(|report| report.permission = B256::ZERO), "permission");
    assert_eq!(with(|report| report.log = B256::ZERO), "log");
}

#[test]
fn a_swapped_manifest_or_dataset_is_found() {
    // The operator logs the hash of a better manifest than the one it delivers.
    let mut sold = sell(SAFE, ORDER, 1);
    let praised = DeliveryDetails::new(B256::repeat_byte(1), B256::repeat_byte(0xaa));
    sold.details = praised.bytes();
    sold.report.details = medtrail_ledger::entry::details_hash(&sold.details);
    let checked = sold.check();
    assert!(matches!(checked, Err(Fault::Archive(ArchiveError::OtherManifest))), "{checked:?}");

    // Everything fits together, but it is the delivery of another order, or of other data.
    let mut sold = sell(SAFE, ORDER, 1);
    sold.ordered.dataset = B256::repeat_byte(3);
    assert!(matches!(sold.check(), Err(Fault::Manifest("dataset"))));
    let mut sold = sell(SAFE, B256::repeat_byte(0x0e), 1);
    sold.ordered.order = ORDER;
    (sold.report.record, sold.report.permission) = (ORDER, ORDER);
    assert!(matches!(sold.check(), Err(Fault::Manifest("order"))));
}

/// The entry names whatever file is given: what the buyer is left with is the file's own word.
fn as_logged(mut sold: Sold, file: Vec<u8>) -> Result<Manifest, Fault> {
    sold.report.toVersion = medtrail_ledger::entry::details_hash(&file);
    sold.file = file;
    sold.check()
}

#[test]
fn a_file_that_was_cut_changed_or_grown_is_refused() {
    let whole = sell(Form::AsItIs, ORDER, 1).file;
    for length in [0, 1, 100, 200, whole.len() / 2, whole.len() - 17, whole.len() - 1] {
        let cut = whole[..length].to_vec();
        assert!(as_logged(sell(Form::AsItIs, ORDER, 1), cut).is_err(), "{length}");
    }
    for at in (0..whole.len()).step_by(997).chain([whole.len() - 1]) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(as_logged(sell(Form::AsItIs, ORDER, 1), changed).is_err(), "{at}");
    }
    let grown = [whole, vec![0]].concat();
    assert!(as_logged(sell(Form::AsItIs, ORDER, 1), grown.clone()).is_err());
    let sold = sell(Form::AsItIs, ORDER, 1);
    assert!(matches!(
        before_payment(&sold.ordered, &sold.report, &sold.details, &*grown),
        Err(Fault::File { .. })
    ));
}

/// A sealed archive of bytes that somebody else packed.
fn packed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Manifest, Fault> {
    let mut sold = sell(Form::AsItIs, ORDER, 1);
    let mut plain = Vec::new();
    archive::write(&sold.assembly, &mut plain).unwrap();
    change(&mut plain);
    let mut file = Vec::new();
    let write = |to: &mut dyn Write| to.write_all(&plain);
    let Sealed { hash, .. } = seal(buyer().recipient(), &sold.key, &mut file, write).unwrap();
    sold.report.toVersion = hash;
    sold.file = file;
    sold.check()
}

#[test]
fn an_archive_has_the_manifest_s_files_and_nothing_else() {
    packed(|_| {}).unwrap();
    let more = packed(|plain| plain.extend([0; 512]));
    assert!(matches!(more, Err(Fault::Archive(ArchiveError::More))), "{more:?}");
    let cut = packed(|plain| plain.truncate(plain.len() - 1024));
    assert!(matches!(cut, Err(Fault::Archive(ArchiveError::More))), "{cut:?}");
    let cut = packed(|plain| plain.truncate(2048));
    assert!(matches!(cut, Err(Fault::Archive(ArchiveError::Io(_)))), "{cut:?}");
    // A name that leads out of the folder, with a header whose sum is right.
    let out = packed(|plain| {
        let at = plain.windows(15).rposition(|window| window.starts_with(b"records/0000")).unwrap();
        let (from, to) = (plain[at], b'/');
        plain[at] = to;
        let sum = u32::from_str_radix(std::str::from_utf8(&plain[at + 148..at + 154]).unwrap(), 8);
        let sum = sum.unwrap() - u32::from(from) + u32::from(to);
        plain[at + 148..at + 154].copy_from_slice(format!("{sum:06o}").as_bytes());
    });
    assert!(matches!(out, Err(Fault::Archive(ArchiveError::Header { .. }))), "{out:?}");
    let other = packed(|plain| {
        let at = plain.windows(7).rposition(|window| window == b"patient").unwrap_or(0);
        let at = if at == 0 { plain.windows(4).rposition(|w| w == b"Mari").unwrap() } else { at };
        plain[at] ^= 1;
    });
    assert!(matches!(other, Err(Fault::Archive(_))), "{other:?}");
}

#[test]
fn a_key_that_opens_for_everybody_or_nobody_is_not_sealed_to() {
    assert!(is_recipient(buyer().recipient()));
    let low = |first: &[u8]| {
        let mut key = [0; 32];
        key[..first.len()].copy_from_slice(first);
        B256::from(key)
    };
    let hex = |text: &str| text.parse::<B256>().unwrap();
    for key in [
        B256::ZERO,
        low(&[1]),
        hex("0xe0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex("0x5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        hex("0xecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex("0xedffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex("0xeeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        B256::repeat_byte(0xff),
    ] {
        assert!(!is_recipient(key), "{key}");
        let sealed = seal(key, &key_1(), Vec::new(), |to| to.write_all(b"x"));
        assert!(matches!(sealed, Err(SealError::Recipient)));
    }
    // The same point with its unused bit set: its owner's tool could not open the file.
    let mut second = buyer().recipient();
    second.0[31] |= 0x80;
    assert!(!is_recipient(second));
}

fn key_1() -> LockKey {
    key(1)
}

#[test]
fn keys_are_spelt_as_age_tools_spell_them() {
    // Published with the age format's own test vectors.
    let secret = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    let public = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    let key = BuyerKey::parse(secret).unwrap().recipient();
    assert_eq!(text_of(key), public);
    assert_eq!(key_of(public).unwrap(), key);
    let upper = public.to_uppercase();
    for wrong in [secret, "age1", &public[..61], &upper, &public.replace("age1t", "age1u")] {
        assert!(matches!(key_of(wrong), Err(SealError::Text(..))), "{wrong}");
    }
    assert!(BuyerKey::parse(public).is_err());
}

#[test]
fn another_reading_of_the_format_opens_both_layers() {
    let sold = sell(Form::AsItIs, ORDER, 1);
    let inner = age_again::open([1; 32], &sold.file).unwrap();
    let plain = age_again::open(BUYER, &inner).unwrap();
    let mut expected = Vec::new();
    archive::write(&sold.assembly, &mut expected).unwrap();
    assert_eq!(plain, expected);
    assert!(age_again::open([2; 32], &sold.file).is_none());
}

/// `tests/data/delivery/foreign.age` was made by npm's age-encryption 0.3.1 (Filippo Valsorda's
/// TypeScript age), for these two keys.
#[test]
fn what_another_tool_sealed_opens_here() {
    let file = include_bytes!("../../../tests/data/delivery/foreign.age");
    let mut text = String::new();
    open(&key(0x4b), &buyer(), file.as_slice()).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "sealed by another tool\n".repeat(4000));
    let cut = &file[..file.len() - 1];
    assert!(open(&key(0x4b), &buyer(), cut).unwrap().read_to_end(&mut Vec::new()).is_err());
}

/// A delivery as it was sealed when this format was new: it opens for ever. `MEDTRAIL_BLESS=1`
/// writes another, which only a new version of a format may need.
#[test]
fn the_fixture_still_opens() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/delivery");
    let names = ["delivery-v1.age", "delivery-v1.json", "manifest-v1.json"];
    let [file, entry, manifest] = names.map(|name| folder.join(name));
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        let sold = sell(Form::AsItIs, ORDER, 1);
        std::fs::write(&file, &sold.file).unwrap();
        let details = String::from_utf8(sold.details).unwrap();
        let json = serde_json::json!({"report": sold.report, "details": details, "dataset": sold.ordered.dataset});
        std::fs::write(&entry, serde_json::to_string_pretty(&json).unwrap() + "\n").unwrap();
        std::fs::write(&manifest, sold.assembly.manifest.bytes()).unwrap();
    }
    let entry: serde_json::Value = serde_json::from_slice(&std::fs::read(entry).unwrap()).unwrap();
    let report: Report = serde_json::from_value(entry["report"].clone()).unwrap();
    let details = entry["details"].as_str().unwrap().as_bytes();
    let dataset = entry["dataset"].as_str().unwrap().parse().unwrap();
    let ordered = Ordered { log: report.log, order: ORDER, seller: SELLER, dataset };
    let file = std::fs::read(file).unwrap();
    let take = &mut |_: &str, _: &[u8]| Ok(());
    let found = delivery(&ordered, &report, details, &key(1), &buyer(), &*file, take).unwrap();
    assert_eq!(found.bytes(), std::fs::read(manifest).unwrap());
}

/// The example in docs/formats.md.
#[test]
fn the_example_of_the_format_is_read() {
    let formats = include_str!("../../../docs/formats.md");
    let start = formats.find("{\"version\":\"medtrail/delivery-v1\"").unwrap();
    let line = formats[start..].lines().next().unwrap();
    DeliveryDetails::parse(line.as_bytes()).unwrap();
}

#[test]
fn details_have_one_spelling() {
    let details = DeliveryDetails::new(B256::repeat_byte(1), B256::repeat_byte(2));
    let text = String::from_utf8(details.bytes()).unwrap();
    assert_eq!(DeliveryDetails::parse(text.as_bytes()).unwrap(), details);
    for wrong in [
        text.replacen("v1", "v2", 1),
        text.replacen("\",\"", "\", \"", 1),
        text.replacen('{', "{\"mood\":1,", 1),
        text.to_uppercase(),
        format!("{text}{}", " ".repeat(600)),
    ] {
        assert!(DeliveryDetails::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
