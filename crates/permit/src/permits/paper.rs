//! What is asked about a document and not about an act: whether a log may record it, and how it
//! stands.

use super::candidate::Candidate;
use super::person::{Hand, Known, Person, Representative, known};
use super::verdict::Refusal;
use super::world::{Held, World};
use crate::documents::{self, Document};
use crate::signed::Signed;
use alloy_primitives::{Address, B256};
use std::collections::BTreeSet;

/// Whether whoever signed a document may say what it says at `now_ms`, in the trail of `subject`.
///
/// A log asks this before it records one: it keeps no stranger's word in a person's trail. What
/// comes of the document later is for [`permits`](super::permits): one that has expired, or is of an
/// epoch that ended, was said by the person all the same.
///
/// # Errors
/// Why not, in the words in which an act would be refused.
pub fn may_record(
    signed: &Signed,
    subject: B256,
    now_ms: u64,
    world: &World,
) -> Result<(), Refusal> {
    let held = Held { signed: signed.clone(), received_ms: Some(now_ms) };
    let paper = Known::of(&held, &world.registries);
    let others = known(world);
    let person = Person::about(subject, world, &others).ok_or(Refusal::NoSubject)?;
    let address = signed.document.subject();
    if !person.is(address) {
        return Err(Refusal::WrongSubject);
    }
    let Some(signer) = paper.signer().map_err(|_| Refusal::InvalidSignature)? else {
        return given_on_chain(&paper, address, world);
    };
    let hand = Hand::Key(signer);
    match &signed.document {
        Document::Grant(_) | Document::ChangeApproval(_) => {
            person.may_permit(address, hand, now_ms, now_ms)
        }
        Document::Revoke(revoke) => {
            let gives_up = |one: &Representative<'_, '_>| {
                one.id() == revoke.permission && person.may_dismiss(one, hand, now_ms)
            };
            let is_last_word = person.representatives(address).iter().any(gives_up);
            match is_last_word {
                true => Ok(()),
                false => person.speaks(address, hand, now_ms, None),
            }
        }
        Document::RevokeAll(_) => match person.may_end_epoch(address, hand, now_ms) {
            true => Ok(()),
            false => Err(person.controls(address, hand, now_ms).err().unwrap_or(Refusal::NoRight)),
        },
        Document::Delegation(_) | Document::Erase(_) if person.is_frozen(address, now_ms) => {
            Err(Refusal::Frozen)
        }
        // Nobody else can: what is erased nobody brings back.
        Document::Delegation(_) | Document::Erase(_) => person.controls(address, hand, now_ms),
        Document::Guardianship(guardian) => {
            if signer != guardian.guardian {
                return Err(Refusal::NotTheController);
            }
            let representative = Representative::Guardian(&paper, guardian);
            if person.stands(&representative, now_ms) { Ok(()) } else { Err(Refusal::NoRight) }
        }
        Document::RecoveryPolicy(_) => Err(Refusal::NotAPermission),
    }
}

/// A contract wallet has no key to sign with: the registry has asked it.
fn given_on_chain(paper: &Known<'_>, subject: Address, world: &World) -> Result<(), Refusal> {
    let mut standings = world.chain.standings.iter();
    let found = standings.find(|one| one.subject == subject && one.id == paper.id);
    match found.and_then(|one| one.granted) {
        Some(granted) if granted.is_final => Ok(()),
        Some(_) => Err(Refusal::NotFinal),
        None => Err(Refusal::NotSigned),
    }
}

/// Whether `who` speaks for `subject` at `now_ms` with the right PERMIT: the person's own key, or
/// somebody who acts for them. What needs no signature, a session of such a key may say.
pub fn speaks(subject: B256, who: Address, now_ms: u64, world: &World) -> bool {
    let others = known(world);
    let Some(person) = Person::about(subject, world, &others) else { return false };
    let names = person.names();
    names.into_iter().any(|name| person.speaks(name, Hand::Key(who), now_ms, None).is_ok())
}

/// By what somebody may see what a person may see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seeing {
    /// Their delegation or guardianship; none: control of the address moved to them.
    pub document: Option<B256>,
    /// When that ends by itself, in milliseconds since 1970.
    pub until_ms: u64,
}

/// Whether `who`, whose address `subject` is not, may see at `now_ms` what that person may see: the
/// key that control moved to for good, or somebody who acts for them with the right SEE.
pub fn sees(subject: B256, who: Address, now_ms: u64, world: &World) -> Option<Seeing> {
    let others = known(world);
    let person = Person::about(subject, world, &others)?;
    let controls = |address: Address| person.has_control(address, who, now_ms).is_ok();
    if person.address.is_some_and(controls) {
        return Some(Seeing { document: None, until_ms: u64::MAX });
    }
    let all = person.names().into_iter().flat_map(|name| person.representatives(name));
    let stands =
        all.filter(|one| one.who() == who && one.rights().see && person.stands(one, now_ms));
    // Of several the one that lasts.
    let seeing = stands.map(|one| Seeing { document: Some(one.id()), until_ms: one.expires_ms() });
    seeing.max_by_key(|seeing| (seeing.until_ms, seeing.document))
}

/// How a document stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It permits what it says.
    Standing,
    /// It was taken back.
    Revoked {
        /// When, in milliseconds since 1970.
        at_ms: u64,
    },
    /// Its time is over.
    Expired,
    /// Something else ended it: its epoch, the right of who gave it, or its one use.
    Ended,
}

/// How each document of `subject` that gives something stands at `now_ms`, each id once, in the order
/// of the world's documents.
pub fn states(subject: B256, now_ms: u64, world: &World) -> Vec<(B256, State)> {
    let known = known(world);
    let Some(person) = Person::about(subject, world, &known) else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let fresh = known.iter().filter(|one| one.document.gives() && seen.insert(one.id));
    let stated = fresh.filter_map(|one| {
        let state = match one.document {
            Document::Delegation(_) | Document::Guardianship(_) => named(one, &person, now_ms)?,
            _ => permission(one, &person, now_ms, world, &known)?,
        };
        Some((one.id, state))
    });
    stated.collect()
}

fn permission(
    paper: &Known<'_>,
    person: &Person<'_>,
    now_ms: u64,
    world: &World,
    known: &[Known<'_>],
) -> Option<State> {
    let found = Candidate::find(paper.id, known).ok()?;
    Some(match person.revoked_ms(paper.id, paper.document.subject(), now_ms) {
        Some(at_ms) => State::Revoked { at_ms },
        None if now_ms >= found.expires_ms() => State::Expired,
        None if found.is_living(now_ms, person, world) => State::Standing,
        None => State::Ended,
    })
}

/// Of somebody who was named to act for the person.
fn named(paper: &Known<'_>, person: &Person<'_>, now_ms: u64) -> Option<State> {
    let all = person.representatives(paper.document.subject());
    let mut shown = all.iter().filter(|one| one.id() == paper.id).peekable();
    let first = *shown.peek()?;
    let expires_ms = first.expires_ms();
    Some(match person.dismissed_ms(first, now_ms) {
        Some(at_ms) => State::Revoked { at_ms },
        None if now_ms >= expires_ms => State::Expired,
        None if shown.any(|one| person.stands(one, now_ms)) => State::Standing,
        None => State::Ended,
    })
}

/// The epoch of a person's permissions at `now_ms`, which a new one must name; none after the last.
pub fn epoch(subject: B256, now_ms: u64, world: &World) -> Option<u64> {
    let known = known(world);
    Person::about(subject, world, &known)?.epoch(documents::named(subject), now_ms)
}
