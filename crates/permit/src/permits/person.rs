//! Who may speak for a person, and since when.

use super::act::Act;
use super::verdict::Refusal;
use super::world::{Held, Pseudonym, World};
use crate::check::{Rights, check};
use crate::documents::{Delegation, Document, Guardianship, Registries, named};
use alloy_primitives::{Address, B256};
use medtrail_ledger::signature::SignatureError;
use std::cell::OnceCell;

/// A document with what is computed of it once; a signature costs the most, so only when asked.
pub(super) struct Known<'a> {
    pub(super) id: B256,
    pub(super) document: &'a Document,
    held: &'a Held,
    registries: &'a Registries,
    signer: OnceCell<Result<Option<Address>, SignatureError>>,
}

/// How somebody spoke: by a signature off chain, or through the registry, which has checked that
/// whoever stands there under this name said so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hand {
    Key(Address),
    Registry(Address),
}

/// The person an act is about.
pub(super) struct Person<'a> {
    world: &'a World,
    known: &'a [Known<'a>],
    /// Their address; none: they have none.
    pub(super) address: Option<Address>,
    pseudonym: Option<&'a Pseudonym>,
}

pub(super) fn at(time_s: u64) -> u64 {
    time_s.saturating_mul(1000)
}

pub(super) fn known(world: &World) -> Vec<Known<'_>> {
    world.documents.iter().map(|held| Known::of(held, &world.registries)).collect()
}

impl<'a> Known<'a> {
    pub(super) fn of(held: &'a Held, registries: &'a Registries) -> Self {
        let document = &held.signed.document;
        let id = document.id(registries);
        Self { id, document, held, registries, signer: OnceCell::new() }
    }
}

impl Known<'_> {
    pub(super) fn signer(&self) -> Result<Option<Address>, SignatureError> {
        *self.signer.get_or_init(|| self.held.signed.signer(self.registries))
    }

    pub(super) fn countersigner(&self) -> Option<Address> {
        self.held.signed.countersigner(self.registries).ok().flatten()
    }

    /// Who signed it, where the log has an entry that says since when: (who, when).
    pub(super) fn recorded(&self) -> Option<(Hand, u64)> {
        let received_ms = self.held.received_ms?;
        Some((Hand::Key(self.signer().ok().flatten()?), received_ms))
    }
}

impl<'a> Person<'a> {
    /// Whom an act is about; none: nobody.
    pub(super) fn of(act: &Act, world: &'a World, known: &'a [Known<'a>]) -> Option<Self> {
        Self::about(act.report.subject, world, known)
    }

    /// The person of a subject id.
    pub(super) fn about(subject: B256, world: &'a World, known: &'a [Known<'a>]) -> Option<Self> {
        if subject.is_zero() {
            return None;
        }
        let is_address = subject.0[..12] == [0; 12];
        let find = || world.pseudonyms.iter().find(|other| other.pseudonym == subject);
        let pseudonym = if is_address { None } else { find() };
        let bound = pseudonym.and_then(|pseudonym| pseudonym.bound).map(|bound| bound.subject);
        let address = if is_address { Some(named(subject)) } else { bound };
        Some(Self { world, known, address, pseudonym })
    }

    /// Whether a document that names this address is about them.
    pub(super) fn is(&self, address: Address) -> bool {
        self.names().contains(&address)
    }

    /// By which addresses documents name them.
    pub(super) fn names(&self) -> Vec<Address> {
        let pseudonym = self.pseudonym.map(|known| named(known.pseudonym));
        self.address.into_iter().chain(pseudonym).collect()
    }

    /// Whether they could be asked at a time: an address can always be, a pseudonym once it is
    /// bound.
    pub(super) fn had_key(&self, time_ms: u64) -> bool {
        match self.pseudonym {
            Some(pseudonym) => pseudonym.bound.is_some_and(|bound| bound.received_ms <= time_ms),
            None => self.address.is_some(),
        }
    }

    /// From when on, not before a time, there was somebody to ask: the person, once they had a key,
    /// or a guardian who may permit. None: nobody yet.
    pub(super) fn asked_since_ms(&self, time_ms: u64) -> Option<u64> {
        let with_key = match self.pseudonym {
            Some(pseudonym) => pseudonym.bound.map(|bound| bound.received_ms.max(time_ms)),
            None => self.address.map(|_| time_ms),
        };
        let names = self.names();
        let all = names.iter().flat_map(|name| self.representatives(*name));
        let by_guardian = all.filter_map(|one| {
            let Representative::Guardian(known, _) = &one else { return None };
            let (_, received_ms) = known.recorded().filter(|_| one.rights().permit)?;
            let since_ms = received_ms.max(time_ms);
            self.stands(&one, since_ms).then_some(since_ms)
        });
        with_key.into_iter().chain(by_guardian).min()
    }

    /// Whether this hand could give a permission at `given_ms` that still stands, as far as the
    /// right goes, at `time_ms`. What a representative gives ends with their right: when a person
    /// dismisses one, nothing of theirs should need finding.
    pub(super) fn may_permit(
        &self,
        subject: Address,
        hand: Hand,
        given_ms: u64,
        time_ms: u64,
    ) -> Result<(), Refusal> {
        if self.is_frozen(subject, given_ms) {
            return Err(Refusal::Frozen);
        }
        self.speaks(subject, hand, given_ms, Some(time_ms))
    }

    /// Whether this hand could take back at a time what was given for a subject. Never stopped by a
    /// freeze.
    fn may_revoke(&self, subject: Address, hand: Hand, time_ms: u64) -> bool {
        self.speaks(subject, hand, time_ms, None).is_ok()
    }

    /// Whether this hand acts for the person at a time with the right PERMIT, and, if that is asked,
    /// at another.
    pub(super) fn speaks(
        &self,
        subject: Address,
        hand: Hand,
        time_ms: u64,
        until_ms: Option<u64>,
    ) -> Result<(), Refusal> {
        let Err(refusal) = self.controls(subject, hand, time_ms) else { return Ok(()) };
        let who = match hand {
            Hand::Key(address) | Hand::Registry(address) => address,
        };
        let moments = [Some(time_ms), until_ms];
        let mut is_representative = false;
        for representative in self.representatives(subject) {
            if representative.who() != who {
                continue;
            }
            is_representative = true;
            let stands = |time_ms: u64| self.stands(&representative, time_ms);
            if representative.rights().permit && moments.iter().flatten().all(|at| stands(*at)) {
                return Ok(());
            }
        }
        Err(if is_representative { Refusal::NoRight } else { refusal })
    }

    /// Whether this hand is the person's own.
    pub(super) fn controls(
        &self,
        subject: Address,
        hand: Hand,
        time_ms: u64,
    ) -> Result<(), Refusal> {
        if self.address != Some(subject) {
            return Err(Refusal::NotTheController);
        }
        match hand {
            Hand::Registry(name) if name == subject => Ok(()),
            Hand::Registry(_) => Err(Refusal::NotTheController),
            Hand::Key(key) => self.has_control(subject, key, time_ms),
        }
    }

    /// Whether a key is the person's at a time.
    pub(super) fn has_control(
        &self,
        subject: Address,
        key: Address,
        time_ms: u64,
    ) -> Result<(), Refusal> {
        let moves = self.world.chain.controllers.iter();
        let mut moves: Vec<_> =
            moves.filter(|other| other.subject == subject && at(other.at_s) <= time_ms).collect();
        moves.sort_by_key(|other| other.at_s);
        let newest = moves.last();
        let controller = newest.map_or(subject, |newest| newest.controller);
        if key == controller {
            let is_final = newest.is_none_or(|newest| newest.is_final);
            return if is_final { Ok(()) } else { Err(Refusal::NotFinal) };
        }
        let was = key == subject || moves.iter().any(|other| other.controller == key);
        Err(if was { Refusal::ControlMoved } else { Refusal::NotTheController })
    }

    pub(super) fn is_frozen(&self, subject: Address, time_ms: u64) -> bool {
        self.world.chain.freezes.iter().any(|freeze| {
            freeze.subject == subject
                && at(freeze.from_s) <= time_ms
                && freeze.until_s.is_none_or(|until_s| time_ms < at(until_s))
        })
    }

    /// Whether what was given at a time for an epoch was of the epoch of that time, and none ended
    /// since.
    ///
    /// Of the time it was given: one that waits for an epoch to come would be waked by the very
    /// revocation that is to end everything. The chain counts its own epochs, and knows nothing of
    /// a `RevokeAll` that nobody carried there. So what it ends it ends by time, whatever the
    /// number: else the first revocation on chain would only repeat the number of one in the log,
    /// and end nothing.
    pub(super) fn is_of_living_epoch(
        &self,
        subject: Address,
        epoch: u64,
        given_ms: u64,
        time_ms: u64,
    ) -> bool {
        let mut starts = self.epoch_starts(subject);
        self.epoch(subject, given_ms) == Some(epoch)
            && self.epoch(subject, time_ms) == Some(epoch)
            && !starts.any(|(start_ms, _)| given_ms < start_ms && start_ms <= time_ms)
    }

    /// Whether no epoch of a subject ended between two times.
    pub(super) fn is_of_one_epoch(&self, subject: Address, from_ms: u64, until_ms: u64) -> bool {
        let mut starts = self.epoch_starts(subject);
        self.epoch(subject, from_ms) == self.epoch(subject, until_ms)
            && !starts.any(|(start_ms, _)| from_ms < start_ms && start_ms <= until_ms)
    }

    fn epoch_starts(&self, subject: Address) -> impl Iterator<Item = (u64, u64)> {
        let epochs = self.world.chain.epochs.iter();
        let epochs = epochs.filter(move |other| other.subject == subject && other.epoch > 0);
        epochs.map(|other| (at(other.at_s), other.epoch))
    }

    /// The epoch of a subject at a time; none after the last. Who ends a far epoch ends all before
    /// it: each revocation of all counts, whatever came before it.
    pub(super) fn epoch(&self, subject: Address, time_ms: u64) -> Option<u64> {
        let on_chain = self.epoch_starts(subject).filter(|(start_ms, _)| *start_ms <= time_ms);
        let signed = self.known.iter().filter_map(|known| {
            let Document::RevokeAll(all) = known.document else { return None };
            let (hand, received_ms) = known.recorded()?;
            let is_theirs = all.subject == subject && check(known.document).is_ok();
            let counts = is_theirs && received_ms <= time_ms;
            (counts && self.may_end_epoch(subject, hand, received_ms)).then_some(all.epoch)
        });
        let ended = on_chain.map(|(_, started)| started - 1).chain(signed).max();
        ended.map_or(Some(0), |ended| ended.checked_add(1))
    }

    /// A delegate's right is of an epoch itself, so that a delegate cannot be asked for here: only
    /// the person ends an epoch, and for a person without a key a guardian, whose right has none.
    pub(super) fn may_end_epoch(&self, subject: Address, hand: Hand, time_ms: u64) -> bool {
        self.controls(subject, hand, time_ms).is_ok()
            || self.guardians(subject).any(|(known, guardian)| {
                let is_theirs = hand == Hand::Key(guardian.guardian);
                let representative = Representative::Guardian(known, guardian);
                is_theirs && representative.rights().permit && self.stands(&representative, time_ms)
            })
    }

    /// Whether a document of this id was taken back by somebody who could, until a time.
    pub(super) fn is_revoked(&self, id: B256, subject: Address, time_ms: u64) -> bool {
        self.revoked_ms(id, subject, time_ms).is_some()
    }

    /// When a document of this id was first taken back by somebody who could, until a time.
    pub(super) fn revoked_ms(&self, id: B256, subject: Address, time_ms: u64) -> Option<u64> {
        self.takes_back(id, time_ms, |hand, said_ms| self.may_revoke(subject, hand, said_ms))
    }

    /// When somebody who acts for the person was dismissed or gave it up, until a time.
    pub(super) fn dismissed_ms(
        &self,
        representative: &Representative<'_, '_>,
        time_ms: u64,
    ) -> Option<u64> {
        let said = self.takes_back(representative.id(), time_ms, |hand, said_ms| {
            self.may_dismiss(representative, hand, said_ms)
        });
        said.into_iter().chain(self.ended_ms(representative, time_ms)).min()
    }

    /// When the organisation that keeps the pseudonym ended a guardianship, until a time.
    fn ended_ms(&self, representative: &Representative<'_, '_>, time_ms: u64) -> Option<u64> {
        let Representative::Guardian(known, guardian) = representative else { return None };
        let ends = self.world.ends.iter().filter(|end| {
            end.guardianship == known.id
                && end.received_ms <= time_ms
                && self.keeps(guardian.subject, end.by)
        });
        ends.map(|end| end.received_ms).min()
    }

    /// Whether this hand could end that somebody acts for the person; their own always can.
    pub(super) fn may_dismiss(
        &self,
        representative: &Representative<'_, '_>,
        hand: Hand,
        time_ms: u64,
    ) -> bool {
        let (Hand::Key(who) | Hand::Registry(who)) = hand;
        let is_over_them = match representative {
            Representative::Delegate(_, delegate) => {
                self.controls(delegate.subject, hand, time_ms).is_ok()
            }
            Representative::Guardian(_, guardian) => self.keeps(guardian.subject, who),
        };
        is_over_them || who == representative.who()
    }

    /// Whether a key is of the custodian that keeps this pseudonym, which is the person's.
    fn keeps(&self, pseudonym: B256, key: Address) -> bool {
        let kept = self.pseudonym.filter(|kept| kept.pseudonym == pseudonym);
        kept.is_some_and(|kept| kept.keepers.contains(&key))
    }

    /// Whether somebody who speaks for them said no to an entry, at any time.
    pub(super) fn is_contested(&self, commitment: B256) -> bool {
        let names = self.names();
        let contested = self.takes_back(commitment, u64::MAX, |hand, said_ms| {
            names.iter().any(|name| self.may_revoke(*name, hand, said_ms))
        });
        contested.is_some()
    }

    fn takes_back(&self, id: B256, time_ms: u64, may: impl Fn(Hand, u64) -> bool) -> Option<u64> {
        let signed = self.known.iter().filter_map(|known| {
            let Document::Revoke(revoke) = known.document else { return None };
            let is_theirs = revoke.permission == id && self.is(revoke.subject);
            known.recorded().filter(|_| is_theirs)
        });
        let on_chain = self.world.chain.standings.iter().filter_map(|standing| {
            let revoked_s = standing.revoked_s.filter(|_| standing.id == id)?;
            Some((Hand::Registry(standing.subject), at(revoked_s)))
        });
        let said = signed.chain(on_chain);
        let counts = said.filter(|(hand, said_ms)| *said_ms <= time_ms && may(*hand, *said_ms));
        counts.map(|(_, said_ms)| said_ms).min()
    }

    fn guardians(&self, subject: Address) -> impl Iterator<Item = (&Known<'a>, &'a Guardianship)> {
        self.known.iter().filter_map(move |known| match known.document {
            Document::Guardianship(guardian) if named(guardian.subject) == subject => {
                Some((known, guardian))
            }
            _ => None,
        })
    }

    /// Everybody who was ever said to act for a subject.
    pub(super) fn representatives(&self, subject: Address) -> Vec<Representative<'_, 'a>> {
        let delegates = self.known.iter().filter_map(|known| match known.document {
            Document::Delegation(delegate) if delegate.subject == subject => {
                Some(Representative::Delegate(known, delegate))
            }
            _ => None,
        });
        let guardians = self.guardians(subject);
        let guardians =
            guardians.map(|(known, guardian)| Representative::Guardian(known, guardian));
        delegates.chain(guardians).collect()
    }

    /// Whether somebody acts for the person at a time.
    pub(super) fn stands(&self, representative: &Representative<'_, '_>, time_ms: u64) -> bool {
        let (Representative::Delegate(known, _) | Representative::Guardian(known, _)) =
            representative;
        if check(known.document).is_err() {
            return false;
        }
        let acts = match representative {
            Representative::Delegate(known, delegate) => self.delegates(known, delegate, time_ms),
            Representative::Guardian(known, guardian) => self.guards(known, guardian, time_ms),
        };
        acts && self.dismissed_ms(representative, time_ms).is_none()
    }

    /// Only the person delegates: a delegate who could would outlive their dismissal.
    fn delegates(&self, known: &Known<'_>, delegate: &Delegation, time_ms: u64) -> bool {
        let subject = delegate.subject;
        let on_chain = self.world.chain.standings.iter().filter_map(|standing| {
            let granted = standing.granted.filter(|granted| granted.is_final)?;
            let is_theirs = standing.id == known.id && standing.subject == subject;
            is_theirs.then_some((Hand::Registry(subject), at(granted.at_s)))
        });
        let mut given = known.recorded().into_iter().chain(on_chain);
        given.any(|(hand, given_ms)| {
            given_ms <= time_ms
                && self.controls(subject, hand, given_ms).is_ok()
                && !self.is_frozen(subject, given_ms)
                && self.is_of_living_epoch(subject, delegate.epoch, given_ms, time_ms)
        }) && time_ms < at(delegate.expiresAt)
    }

    /// A guardian acts for a pseudonym that nobody else speaks for yet, by the word of the
    /// custodian that keeps it, which alone knows whose it is.
    fn guards(&self, known: &Known<'_>, guardian: &Guardianship, time_ms: u64) -> bool {
        let signed = known.recorded().is_some_and(|(hand, received_ms)| {
            hand == Hand::Key(guardian.guardian) && received_ms <= time_ms
        });
        signed
            && known.countersigner() == Some(guardian.custodian)
            && self.keeps(guardian.subject, guardian.custodian)
            && !self.had_key(time_ms)
            && time_ms < at(guardian.expiresAt)
    }
}

/// Somebody who acts for a person.
pub(super) enum Representative<'k, 'a> {
    Delegate(&'k Known<'a>, &'a Delegation),
    Guardian(&'k Known<'a>, &'a Guardianship),
}

impl Representative<'_, '_> {
    pub(super) fn who(&self) -> Address {
        match self {
            Self::Delegate(_, delegate) => delegate.delegate,
            Self::Guardian(_, guardian) => guardian.guardian,
        }
    }

    pub(super) fn id(&self) -> B256 {
        match self {
            Self::Delegate(known, _) | Self::Guardian(known, _) => known.id,
        }
    }

    /// When the document ends by itself.
    pub(super) fn expires_ms(&self) -> u64 {
        at(match self {
            Self::Delegate(_, delegate) => delegate.expiresAt,
            Self::Guardian(_, guardian) => guardian.expiresAt,
        })
    }

    /// What the document says they may; nothing, if it cannot be read.
    pub(super) fn rights(&self) -> Rights {
        let text = match self {
            Self::Delegate(_, delegate) => &delegate.rights,
            Self::Guardian(_, guardian) => &guardian.rights,
        };
        Rights::parse(text).unwrap_or(Rights { see: false, permit: false })
    }
}
