//! Keys: durable before they are used, and gone once destroyed.

mod support;

use medtrail_ledger::ports::{JournalError, KeyFile, KeyTag, KeyWrap, SecretKey, SubjectTag};
use medtrail_store::{FileName, KeyFileDb, OpenError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use support::Dice;
use support::disk::{Disk, Failure};

/// Bound to a master and a tag, as the real one is; not secret.
#[derive(Default)]
struct Plain {
    master: u64,
    made: AtomicU64,
    /// Done once, in the middle of the next unwrapping.
    meanwhile: Meanwhile,
}

type Meanwhile = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

fn wrap(master: u64) -> Box<Plain> {
    Box::new(Plain { master, ..Plain::default() })
}

impl Plain {
    fn pad(&self, tag: KeyTag) -> [u8; 32] {
        let tag = format!("{tag:?}").bytes().fold(self.master, |sum, byte| {
            sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(byte))
        });
        Dice(tag).bytes()
    }
}

impl KeyWrap for Plain {
    fn wrap(&self, tag: KeyTag, key: &SecretKey) -> Vec<u8> {
        let pad = self.pad(tag);
        let sum: u8 = key.0.iter().fold(pad[0], |sum, byte| sum.wrapping_add(*byte));
        key.0.iter().zip(pad).map(|(byte, pad)| byte ^ pad).chain([sum]).collect()
    }

    fn unwrap(&self, tag: KeyTag, wrapped: &[u8]) -> Option<SecretKey> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        meanwhile.into_iter().for_each(|act| act());
        let pad = self.pad(tag);
        let key: Vec<u8> = wrapped.iter().zip(pad).map(|(byte, pad)| byte ^ pad).collect();
        let key = SecretKey(key.try_into().ok()?);
        (self.wrap(tag, &key) == wrapped).then_some(key)
    }

    fn fresh(&self) -> SecretKey {
        SecretKey(Dice(self.master << 32 | self.made.fetch_add(1, Ordering::SeqCst)).bytes())
    }
}

fn subject(number: u8) -> KeyTag {
    KeyTag::Subject(SubjectTag([number; 16]))
}

const LOG: KeyTag = KeyTag::Log;
const CUSTODIAN: KeyTag = KeyTag::Custodian([5; 20]);

#[test]
fn keys_survive_reopening_and_are_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeyFileDb::open(dir.path(), wrap(1)).unwrap();
    assert!(keys.open(LOG).unwrap().is_none());
    let tags = [LOG, CUSTODIAN, subject(1), subject(2), subject(1)];
    let made = keys.create(&tags).unwrap();
    assert_eq!(made[2], made[4]);
    assert_ne!(made[2], made[3]);
    drop(keys);
    let keys = KeyFileDb::open(dir.path(), wrap(1)).unwrap();
    for (tag, key) in tags.iter().zip(&made) {
        assert_eq!(keys.open(*tag).unwrap().as_ref(), Some(key));
    }
    let again = keys.create(&[subject(3), CUSTODIAN]).unwrap();
    assert_eq!(again[1], made[1]);
    drop(keys);
    let other = KeyFileDb::open(dir.path(), wrap(2)).unwrap();
    assert!(matches!(other.open(LOG), Err(JournalError::Damaged(_))));
}

#[test]
fn a_destroyed_key_is_gone_at_once_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeyFileDb::open(dir.path(), wrap(1)).unwrap();
    let made = keys.create(&[subject(1), subject(2)]).unwrap();
    keys.destroy(subject(1)).unwrap();
    assert!(keys.open(subject(1)).unwrap().is_none());
    drop(keys);
    let keys = KeyFileDb::open(dir.path(), wrap(1)).unwrap();
    assert!(keys.open(subject(1)).unwrap().is_none());
    assert_eq!(keys.open(subject(2)).unwrap().as_ref(), Some(&made[1]));
}

#[test]
fn a_key_destroyed_while_it_was_being_read_is_not_remembered() {
    let disk = Disk::default();
    KeyFileDb::open_on(disk.files(), wrap(1)).unwrap().create(&[subject(1)]).unwrap();
    let wrap = wrap(1);
    let meanwhile = Arc::clone(&wrap.meanwhile);
    let keys = Arc::new(KeyFileDb::open_on(disk.files(), wrap).unwrap());
    let destroyer = Arc::clone(&keys);
    *meanwhile.lock().unwrap() = Some(Box::new(move || destroyer.destroy(subject(1)).unwrap()));
    assert!(keys.open(subject(1)).unwrap().is_some());
    assert!(keys.open(subject(1)).unwrap().is_none());
}

#[test]
fn rewrapping_leaves_no_byte_of_the_old_wraps_and_no_destroyed_key() {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeyFileDb::open(dir.path(), wrap(1)).unwrap();
    let made = keys.create(&[LOG, CUSTODIAN, subject(1), subject(2)]).unwrap();
    keys.destroy(subject(1)).unwrap();
    drop(keys);
    let stored = |wrapped: &[u8]| {
        let file = std::fs::read(dir.path().join(FileName::Keys.as_str())).unwrap();
        file.windows(wrapped.len()).any(|window| window == wrapped)
    };
    let old = |tag, key| wrap(1).wrap(tag, key);
    assert!(stored(&old(LOG, &made[0])) && stored(&old(subject(2), &made[3])));
    // Why there is a rewrap at all.
    assert!(stored(&old(subject(1), &made[2])));

    KeyFileDb::rewrap(dir.path(), wrap(1), &*wrap(2)).unwrap();
    for (tag, key) in [LOG, CUSTODIAN, subject(1), subject(2)].into_iter().zip(&made) {
        assert!(!stored(&old(tag, key)), "{tag:?}");
    }
    let keys = KeyFileDb::open(dir.path(), wrap(2)).unwrap();
    assert_eq!(keys.open(CUSTODIAN).unwrap().as_ref(), Some(&made[1]));
    assert_eq!(keys.open(subject(2)).unwrap().as_ref(), Some(&made[3]));
    assert!(keys.open(subject(1)).unwrap().is_none());
}

#[test]
fn rewrapping_under_the_wrong_master_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let made = KeyFileDb::open(dir.path(), wrap(1)).unwrap().create(&[LOG]).unwrap();
    let refused = KeyFileDb::rewrap(dir.path(), wrap(3), &*wrap(2));
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
    let keys = KeyFileDb::open(dir.path(), wrap(1)).unwrap();
    assert_eq!(keys.open(LOG).unwrap().as_ref(), Some(&made[0]));
}

#[test]
fn a_key_that_was_handed_out_survives_power_loss_and_a_failed_creation_hands_out_none() {
    let (mut failures, mut happened) = (0, 0);
    for happens in [false, true] {
        for after in 0.. {
            let disk = Disk::default();
            let keys = KeyFileDb::open_on(disk.files(), wrap(1)).unwrap();
            let first = keys.create(&[subject(1)]).unwrap();
            disk.fail(Failure { after, happens });
            let second = keys.create(&[subject(2), subject(3)]);
            if disk.is_failure_due() {
                break;
            }
            failures += u32::from(second.is_err());
            let disk = disk.after_power_loss(&mut Dice(after));
            let keys = KeyFileDb::open_on(disk.files(), wrap(1)).unwrap();
            assert_eq!(keys.open(subject(1)).unwrap().as_ref(), Some(&first[0]));
            let (two, three) = (keys.open(subject(2)).unwrap(), keys.open(subject(3)).unwrap());
            assert_eq!(two.is_some(), three.is_some());
            match second {
                Ok(made) => {
                    assert_eq!((two.as_ref(), three.as_ref()), (Some(&made[0]), Some(&made[1])));
                }
                Err(_) => happened += u32::from(two.is_some()),
            }
        }
    }
    assert!(failures > 5 && happened > 0, "{failures} {happened}");
}

#[test]
fn more_keys_than_the_cache_holds_are_still_all_found() {
    let keys = KeyFileDb::open_on(Disk::default().files(), wrap(1)).unwrap();
    let tag = |number: u32| {
        let mut tag = [0; 16];
        tag[..4].copy_from_slice(&number.to_be_bytes());
        KeyTag::Subject(SubjectTag(tag))
    };
    let tags: Vec<_> = (0..70_000).map(tag).collect();
    let made = keys.create(&tags).unwrap();
    for number in [0, 1, 32_767, 32_768, 69_999, 0, 40_000] {
        assert_eq!(keys.open(tags[number]).unwrap().as_ref(), Some(&made[number]));
    }
}
