//! Keys: durable before they are used, and gone once destroyed.

mod support;

use medtrail_ledger::ports::{
    Era, JournalError, KeyFile, KeyTag, KeyWrap, MasterKeys, SecretKey, SubjectTag,
};
use medtrail_store::{FileName, KeyFileDb};
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

/// The masters of one file, by number: what `masters.rs` in the keys crate does with files.
#[derive(Clone, Default)]
struct Masters(Arc<Mutex<(u64, Option<u64>, bool)>>);

impl Masters {
    fn with(present: u64) -> Self {
        Self(Arc::new(Mutex::new((present, None, false))))
    }

    /// Whichever opens the file after a crash, and whether it is the next one.
    fn opens(&self, disk: &Disk) -> KeyFileDb {
        let (present, next, _) = *self.0.lock().unwrap();
        let candidates = [Some(present), next];
        let opened = candidates.into_iter().flatten().find_map(|master| {
            let keys = KeyFileDb::open_on(disk.files(), wrap(master)).unwrap();
            matches!(keys.open(LOG), Ok(Some(_))).then_some(keys)
        });
        opened.expect("one of the two masters opens the file, whatever crashed")
    }
}

impl MasterKeys for Masters {
    fn next(&self) -> Result<Box<dyn KeyWrap>, JournalError> {
        let mut masters = self.0.lock().unwrap();
        let next = masters.0 + 1;
        masters.1 = Some(next);
        Ok(wrap(next))
    }

    fn turn(&self) -> Result<(), JournalError> {
        let mut masters = self.0.lock().unwrap();
        if std::mem::take(&mut masters.2) {
            return Err(JournalError::Storage("on purpose".into()));
        }
        if let Some(next) = masters.1.take() {
            masters.0 = next;
        }
        Ok(())
    }
}

fn bytes_of(dir: &tempfile::TempDir) -> Vec<u8> {
    std::fs::read(dir.path().join(FileName::Keys.as_str())).unwrap()
}

fn holds(file: &[u8], wrapped: &[u8]) -> bool {
    file.windows(wrapped.len()).any(|window| window == wrapped)
}

#[test]
fn rewrapping_a_file_in_use_leaves_no_byte_of_the_old_wraps_and_no_destroyed_key() {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeyFileDb::open(dir.path(), wrap(1)).unwrap();
    let made = keys.create(&[LOG, CUSTODIAN, subject(1), subject(2)]).unwrap();
    keys.destroy(subject(1)).unwrap();
    let old = |tag, key| wrap(1).wrap(tag, key);
    let before = bytes_of(&dir);
    assert!(holds(&before, &old(LOG, &made[0])) && holds(&before, &old(subject(2), &made[3])));
    // Why there is a rewrap at all.
    assert!(holds(&before, &old(subject(1), &made[2])));

    let masters = Masters::with(1);
    assert_eq!(keys.rewrap(&masters).unwrap(), 3);
    let after = bytes_of(&dir);
    for (tag, key) in [LOG, CUSTODIAN, subject(1), subject(2)].into_iter().zip(&made) {
        assert!(!holds(&after, &old(tag, key)), "{tag:?}");
    }
    // It goes on being used.
    assert_eq!(keys.open(CUSTODIAN).unwrap().as_ref(), Some(&made[1]));
    let more = keys.create(&[subject(3)]).unwrap();
    drop(keys);
    let keys = KeyFileDb::open(dir.path(), wrap(2)).unwrap();
    assert_eq!(keys.open(subject(2)).unwrap().as_ref(), Some(&made[3]));
    assert_eq!(keys.open(subject(3)).unwrap().as_ref(), Some(&more[0]));
    assert!(keys.open(subject(1)).unwrap().is_none());
}

#[test]
fn rewrapping_under_the_wrong_master_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let made = KeyFileDb::open(dir.path(), wrap(1)).unwrap().create(&[LOG]).unwrap();
    let wrong = KeyFileDb::open(dir.path(), wrap(3)).unwrap();
    let refused = wrong.rewrap(&Masters::with(3));
    assert!(matches!(refused, Err(JournalError::Damaged(_))), "{refused:?}");
    drop(wrong);
    let keys = KeyFileDb::open(dir.path(), wrap(1)).unwrap();
    assert_eq!(keys.open(LOG).unwrap().as_ref(), Some(&made[0]));
}

#[test]
fn an_era_that_ended_opens_by_its_own_key_until_it_is_erased() {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeyFileDb::open(dir.path(), wrap(1)).unwrap();
    let tag = SubjectTag([1; 16]);
    let first = keys.create(&[subject(1)]).unwrap().remove(0);
    assert_eq!(keys.era(tag, 1).unwrap(), Era::Present);
    keys.end_era(tag, 5).unwrap();
    assert!(keys.open(subject(1)).unwrap().is_none());
    let second = keys.create(&[subject(1)]).unwrap().remove(0);
    assert_ne!(first, second);
    // Repeated after a crash: the key made since stays the present one.
    keys.end_era(tag, 5).unwrap();
    assert_eq!(keys.open(subject(1)).unwrap().as_ref(), Some(&second));
    keys.end_era(tag, 9).unwrap();
    let third = keys.create(&[subject(1)]).unwrap().remove(0);
    keys.create(&[LOG, subject(2), KeyTag::Vault(tag)]).unwrap();
    let eras = |keys: &KeyFileDb| [1, 5, 6, 9, 10].map(|ordinal| keys.era(tag, ordinal).unwrap());
    let (one, two) = (Era::Ended(first), Era::Ended(second));
    assert_eq!(eras(&keys), [one.clone(), one, two.clone(), two.clone(), Era::Present]);

    // The second erased era alone would not do: what is before it goes too.
    assert!(!keys.is_rewrap_due().unwrap());
    keys.erase(&[(tag, 8)], &[]).unwrap();
    assert_eq!(eras(&keys), [Era::Erased, Era::Erased, two.clone(), two, Era::Present]);
    assert!(keys.is_rewrap_due().unwrap());
    keys.erase(&[(tag, 9)], &[KeyTag::Vault(tag)]).unwrap();
    let gone = [Era::Erased, Era::Erased, Era::Erased, Era::Erased, Era::Present];
    assert_eq!(eras(&keys), gone);
    assert!(keys.open(KeyTag::Vault(tag)).unwrap().is_none());
    assert_eq!(keys.era(SubjectTag([2; 16]), 1).unwrap(), Era::Present, "another's stays");
    assert!(keys.open(subject(2)).unwrap().is_some());

    keys.rewrap(&Masters::with(1)).unwrap();
    assert!(!keys.is_rewrap_due().unwrap());
    drop(keys);
    let keys = KeyFileDb::open(dir.path(), wrap(2)).unwrap();
    assert_eq!(eras(&keys), gone);
    assert_eq!(keys.open(subject(1)).unwrap().as_ref(), Some(&third));
}

#[test]
fn whatever_fails_while_an_era_ends_or_is_erased_no_living_key_is_lost() {
    let tag = SubjectTag([1; 16]);
    let mut failures = 0;
    for happens in [false, true] {
        for after in 0.. {
            let disk = Disk::default();
            let keys = KeyFileDb::open_on(disk.files(), wrap(1)).unwrap();
            let first = keys.create(&[subject(1), subject(2)]).unwrap();
            disk.fail(Failure { after, happens });
            let ended = keys.end_era(tag, 4);
            let erased = keys.erase(&[(tag, 4)], &[]);
            if disk.is_failure_due() {
                break;
            }
            failures += u32::from(ended.is_err()) + u32::from(erased.is_err());
            let disk = disk.after_power_loss(&mut Dice(after));
            let keys = KeyFileDb::open_on(disk.files(), wrap(1)).unwrap();
            assert_eq!(keys.open(subject(2)).unwrap().as_ref(), Some(&first[1]));
            let (present, era) = (keys.open(subject(1)).unwrap(), keys.era(tag, 4).unwrap());
            match era {
                Era::Present => assert_eq!(present.as_ref(), Some(&first[0])),
                Era::Ended(key) => assert_eq!((&key, present), (&first[0], None)),
                Era::Erased => assert_eq!(present, None),
            }
            if ended.is_ok() && erased.is_ok() {
                // Nothing of the first key is left to find.
                assert_eq!(keys.open(subject(1)).unwrap(), None);
                assert!(!matches!(keys.era(tag, 4).unwrap(), Era::Ended(_)));
            }
        }
    }
    assert!(failures > 10, "{failures}");
}

#[test]
fn whatever_fails_or_crashes_in_a_rewrap_one_master_opens_the_file_and_the_next_try_ends_it() {
    let (mut failures, mut turned) = (0, 0);
    for happens in [false, true] {
        for after in 0.. {
            let disk = Disk::default();
            let masters = Masters::with(1);
            let keys = KeyFileDb::open_on(disk.files(), wrap(1)).unwrap();
            let made = keys.create(&[LOG, subject(1), subject(2)]).unwrap();
            keys.erase(&[], &[subject(2)]).unwrap();
            disk.fail(Failure { after, happens });
            let rewrapped = keys.rewrap(&masters);
            if disk.is_failure_due() {
                break;
            }
            failures += u32::from(rewrapped.is_err());
            turned += u32::from(masters.0.lock().unwrap().0 == 2);
            let disk = disk.after_power_loss(&mut Dice(after));
            let keys = masters.opens(&disk);
            assert_eq!(keys.open(subject(1)).unwrap().as_ref(), Some(&made[1]));
            assert!(keys.open(subject(2)).unwrap().is_none());
            if masters.0.lock().unwrap().0 == 1 {
                assert!(keys.is_rewrap_due().unwrap(), "it is not forgotten");
            }
        }
    }
    assert!(failures > 10 && turned > 0, "{failures} {turned}");
}

#[test]
fn a_master_that_could_not_be_put_in_its_place_is_never_drawn_anew() {
    let disk = Disk::default();
    let masters = Masters::with(1);
    let keys = KeyFileDb::open_on(disk.files(), wrap(1)).unwrap();
    let made = keys.create(&[LOG, subject(1)]).unwrap();
    keys.erase(&[], &[]).unwrap();
    masters.0.lock().unwrap().2 = true;
    keys.rewrap(&masters).unwrap_err();
    assert!(keys.is_rewrap_due().unwrap());
    // The file stands under the next master already: drawing another would lose every key.
    assert_eq!(masters.0.lock().unwrap().1, Some(2));
    assert_eq!(keys.open(subject(1)).unwrap().as_ref(), Some(&made[1]));
    assert_eq!(keys.rewrap(&masters).unwrap(), 0);
    assert!(!keys.is_rewrap_due().unwrap());
    drop(keys);
    let keys = KeyFileDb::open_on(disk.files(), wrap(2)).unwrap();
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
