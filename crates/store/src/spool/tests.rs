use super::forget::FORGOTTEN_AT_ONCE;
use super::*;
use tempfile::TempDir;

const LIMITS: SpoolLimits = SpoolLimits { count: 4, bytes: 100 };

fn event(id: u8, text: &str) -> NewEvent {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    NewEvent { id: B256::repeat_byte(id), received_ms: 7, bytes }
}

fn report(event: u64) -> NewReport {
    NewReport { event, document: Bytes::from_static(b"signed") }
}

fn spool() -> (TempDir, SpoolDb) {
    let dir = TempDir::new().unwrap();
    let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
    (dir, spool)
}

#[test]
fn the_same_event_twice_gives_the_same_answer_also_after_a_restart() {
    let (dir, spool) = spool();
    let both = [event(1, "a"), event(1, "a"), event(1, "b"), event(2, "b")];
    let taken = [Taken::New(1), Taken::Known(1), Taken::Conflict(1), Taken::New(2)];
    assert_eq!(spool.take(&both).unwrap(), taken);
    drop(spool);
    let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
    assert_eq!(spool.take(&[event(2, "b")]).unwrap(), [Taken::Known(2)]);
    assert_eq!(spool.unsigned(9).unwrap().len(), 2);
    assert_eq!(spool.event(1).unwrap().unwrap().bytes, Bytes::from_static(b"a"));
}

#[test]
fn a_full_spool_takes_nothing_but_knows_what_it_has() {
    let (_dir, spool) = spool();
    spool.take(&[event(1, "a"), event(2, "b"), event(3, "c")]).unwrap();
    let before = spool.usage().unwrap();
    let refused = spool.take(&[event(4, "d"), event(5, "e")]);
    assert!(matches!(refused, Err(SpoolError::Full { count: 3, bytes: 3 })));
    let refused = spool.take(&[event(4, &"d".repeat(98))]);
    assert!(matches!(refused, Err(SpoolError::Full { .. })));
    assert_eq!(spool.usage().unwrap(), before);
    assert_eq!(spool.take(&[event(3, "c")]).unwrap(), [Taken::Known(3)]);
    spool.sign(&[1, 2, 3], &[report(1), report(2), report(3)]).unwrap();
    spool.settle(&[(1, ReportState::SetAside("no".into()))]).unwrap();
    assert_eq!(spool.take(&[event(4, "d"), event(5, "e")]).unwrap().len(), 2);
}

#[test]
fn numbers_have_no_gaps_and_an_event_is_numbered_once() {
    let (dir, spool) = spool();
    spool.take(&[event(1, "a"), event(2, "b")]).unwrap();
    assert_eq!(spool.sign(&[1], &[report(1), report(1)]).unwrap(), 1);
    let again = spool.sign(&[2, 1], &[report(2), report(1)]);
    assert!(matches!(again, Err(SpoolError::NotWaiting(1))));
    drop(spool);
    let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
    assert_eq!(spool.sign(&[2], &[report(2)]).unwrap(), 3);
    let numbers: Vec<_> =
        spool.waiting(9, &BTreeSet::new()).unwrap().iter().map(|row| row.sequence).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn a_report_ends_once_and_is_kept_with_its_end() {
    let (_dir, spool) = spool();
    spool.sign(&[], &[report(0), report(0)]).unwrap();
    let receipt = ReportState::Receipted(Bytes::from_static(b"receipt"));
    let aside = ReportState::SetAside("422".into());
    spool.settle(&[(2, receipt.clone())]).unwrap();
    spool.settle(&[(2, receipt.clone())]).unwrap();
    let refused = spool.settle(&[(1, aside.clone()), (2, aside)]);
    assert!(matches!(refused, Err(SpoolError::NotWaiting(2))));
    assert_eq!(spool.report(1).unwrap().unwrap().state, ReportState::Waiting);
    assert_eq!(spool.report(2).unwrap().unwrap().state, receipt);
    assert!(matches!(spool.replace(2, Bytes::new()), Err(SpoolError::NotWaiting(2))));
    spool.replace(1, Bytes::from_static(b"anew")).unwrap();
    let usage = Usage { waiting: 1, waiting_bytes: 4, sequence: 2, ..Usage::default() };
    assert_eq!(spool.usage().unwrap(), usage);
}

#[test]
fn a_second_gateway_and_a_foreign_file_are_refused() {
    let (dir, _spool) = spool();
    let second = SpoolDb::open(dir.path(), LIMITS);
    assert!(matches!(second, Err(OpenError::AlreadyOpen { .. })));
    let other = TempDir::new().unwrap();
    drop(redb::Database::create(other.path().join(FileName::Spool.as_str())).unwrap());
    let foreign = SpoolDb::open(other.path(), LIMITS);
    assert!(matches!(foreign, Err(OpenError::Damaged { .. })));
}
#[test]
fn an_event_of_many_patients_waits_for_room_but_not_for_ever() {
    let (_dir, spool) = spool();
    spool.take(&[event(1, "a"), event(2, "b")]).unwrap();
    spool.sign(&[1], &[report(1)]).unwrap();
    let before = spool.usage().unwrap();
    let many = vec![report(2); 9];
    let refused = spool.sign(&[2], &many);
    assert!(matches!(refused, Err(SpoolError::Full { count: 2, .. })));
    assert_eq!(spool.usage().unwrap(), before);
    assert_eq!(spool.unsigned(9).unwrap().len(), 1);
    spool.settle(&[(1, ReportState::Receipted(Bytes::new()))]).unwrap();
    assert_eq!(spool.sign(&[2], &many).unwrap(), 2);
    let refused = spool.take(&[event(3, "c")]);
    assert!(matches!(refused, Err(SpoolError::Full { count: 9, .. })));
}

#[test]
fn the_limit_of_bytes_holds_for_reports_too() {
    let (_dir, spool) = spool();
    spool.take(&[event(1, "a"), event(2, "b")]).unwrap();
    spool.sign(&[1], &[report(1)]).unwrap();
    let long = NewReport { event: 2, document: vec![0; 195].into() };
    let refused = spool.sign(&[2], std::slice::from_ref(&long));
    assert!(matches!(refused, Err(SpoolError::Full { bytes: 7, .. })));
    let fits = NewReport { document: vec![0; 194].into(), ..long };
    assert_eq!(spool.sign(&[2], &[fits]).unwrap(), 2);
}

#[test]
fn a_forgotten_event_leaves_its_receipts_and_is_still_known() {
    let (dir, spool) = spool();
    let old = |id, text| NewEvent { received_ms: 6, ..event(id, text) };
    spool.take(&[old(1, "a"), old(2, "b"), old(3, "c"), event(4, "d")]).unwrap();
    let reports = [1, 1, 2, 3, 4].map(report);
    spool.sign(&[1, 2, 3, 4], &reports).unwrap();
    let receipt = || ReportState::Receipted(Bytes::from_static(b"receipt"));
    let wrong = ReportState::WrongReceipt { answer: Bytes::new(), reason: "no".into() };
    spool.settle(&[(1, receipt()), (3, wrong), (4, receipt()), (5, receipt())]).unwrap();
    // One report of event 1 waits still, one of 2 is evidence, 4 is too young.
    assert_eq!(spool.forget(7).unwrap(), 1);
    assert_eq!(spool.event(3).unwrap(), None);
    let row = spool.report(4).unwrap().unwrap();
    assert_eq!((row.report.document.len(), row.state), (0, receipt()));
    spool.settle(&[(2, receipt())]).unwrap();
    assert_eq!(spool.forget(7).unwrap(), 1);
    assert_eq!(spool.forget(8).unwrap(), 1);
    assert_eq!(spool.event(2).unwrap().unwrap().bytes, Bytes::from_static(b"b"));
    drop(spool);
    let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
    assert_eq!(spool.take(&[event(3, "c")]).unwrap(), [Taken::Known(3)]);
    assert_eq!(spool.take(&[event(3, "x")]).unwrap(), [Taken::Conflict(3)]);
    // The youngest was forgotten: its number is not given again.
    assert_eq!(spool.take(&[event(5, "e")]).unwrap(), [Taken::New(5)]);
}

#[test]
fn forgetting_goes_on_where_one_transaction_ends() {
    let dir = TempDir::new().unwrap();
    let limits = SpoolLimits { count: 10_000, bytes: 1 << 20 };
    let spool = SpoolDb::open(dir.path(), limits).unwrap();
    let count = 2 * FORGOTTEN_AT_ONCE as u64 + 1;
    let id = |number: u64| B256::left_padding_from(&number.to_be_bytes());
    let events: Vec<_> =
        (1..=count).map(|number| NewEvent { id: id(number), ..event(0, "e") }).collect();
    spool.take(&events).unwrap();
    let numbers: Vec<_> = (1..=count).collect();
    let reports: Vec<_> = numbers.iter().copied().map(report).collect();
    spool.sign(&numbers, &reports).unwrap();
    let receipt = ReportState::Receipted(Bytes::new());
    let ends: Vec<_> = numbers.iter().map(|number| (*number, receipt.clone())).collect();
    spool.settle(&ends).unwrap();
    assert_eq!(spool.forget(7).unwrap(), 0);
    assert_eq!(spool.forget(8).unwrap(), count);
    assert_eq!(spool.forget(8).unwrap(), 0);
}

#[test]
fn a_pseudonym_is_connected_with_one_address_for_ever() {
    let (dir, spool) = spool();
    let (mari, mallory) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let code = |hash, pseudonym| DeskCode {
        code_hash: B256::repeat_byte(hash),
        pseudonym: B256::repeat_byte(pseudonym),
        expires_ms: 5,
        subject: None,
    };
    let by = |code: DeskCode, subject| DeskCode { subject: Some(subject), ..code };
    for code in [code(1, 7), code(2, 7), code(3, 8)] {
        spool.keep_code(&code).unwrap();
    }
    spool.keep_code(&by(code(1, 7), mari)).unwrap();
    spool.keep_code(&by(code(1, 7), mari)).unwrap();
    drop(spool);
    let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
    let others = [
        by(code(1, 7), mallory),
        by(code(2, 7), mallory),
        // The same code for another pseudonym, and once more for nobody.
        by(code(1, 9), mallory),
        code(1, 7),
    ];
    for other in others {
        let refused = spool.keep_code(&other);
        assert!(matches!(refused, Err(SpoolError::Bound(to)) if to == mari), "{other:?}");
    }
    spool.keep_code(&by(code(2, 7), mari)).unwrap();
    assert_eq!(spool.subject_of(B256::repeat_byte(7)).unwrap(), Some(mari));
    assert_eq!(spool.subject_of(B256::repeat_byte(9)).unwrap(), None);
    assert_eq!(spool.unused_codes().unwrap(), 1);
    spool.drop_codes(5).unwrap();
    assert_eq!(spool.code(B256::repeat_byte(3)).unwrap(), Some(code(3, 8)));
    spool.drop_codes(6).unwrap();
    assert_eq!(spool.code(B256::repeat_byte(3)).unwrap(), None);
    assert_eq!(spool.code(B256::repeat_byte(1)).unwrap(), Some(by(code(1, 7), mari)));
}
