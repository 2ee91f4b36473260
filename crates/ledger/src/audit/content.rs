//! An entry, opened with the operator's keys, against its row, its commitment and its signer.

use super::{Fault, Flaw};
use crate::entry::{Keyed, Kind, commitment_of, details_hash};
use crate::ports::RowHeader;
use crate::proof::{BatchEvidence, Evidence, EvidenceError};
use crate::schema::{Place, Report};
use crate::signature;
use crate::trust::TrustFile;
use crate::vault::{ReadDetails, is_version};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::Eip712Domain;

/// How far two honest clocks may be apart, in milliseconds: a key's end is held against the time of
/// the place, and the key was looked at a little before.
const CLOCKS_MS: u64 = 5 * 60 * 1000;

/// An entry, opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Its place in the log.
    pub index: u64,
    /// What of its row stands in clear.
    pub header: RowHeader,
    /// Its commitment, from the tiles.
    pub commitment: B256,
    /// Commitment of the subject's entry before, from the tiles.
    pub previous: B256,
    /// What was reported.
    pub report: Report,
    /// Its place, with the salt that the keys give.
    pub place: Place,
    /// Whose word it is.
    pub evidence: Evidence,
    /// The details document, if it was sent.
    pub details: Option<Vec<u8>>,
}

/// Whose word an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// Signed, by somebody whom the trust file names at that time.
    Named,
    /// Signed by a person, in their own trail or in their vault: no trust file names people, and
    /// whether they may is told by the permissions.
    Person,
    /// Signed, and there is no trust file to say by whom.
    Signed,
    /// The operator's only.
    Relayed,
}

/// The batch that was met last: its signature is recovered once, not once an entry.
#[derive(Default)]
pub struct LastBatch(Option<(B256, u64, Bytes, Address)>);

impl LastBatch {
    fn signer(
        &mut self,
        batch: &BatchEvidence,
        domain: &Eip712Domain,
    ) -> Result<Address, EvidenceError> {
        if let Some((root, count, signature, signer)) = &self.0
            && (*root, *count, signature) == (batch.root, batch.count, &batch.signature)
        {
            return Ok(*signer);
        }
        let signer = batch.signer(domain)?;
        self.0 = Some((batch.root, batch.count, batch.signature.clone(), signer));
        Ok(signer)
    }
}

/// What the entries of one log are held against.
pub struct Rules<'a> {
    log: B256,
    domain: Eip712Domain,
    separator: B256,
    tags: Keyed,
    trust: Option<&'a TrustFile>,
    operators: &'a [Address],
}

impl<'a> Rules<'a> {
    /// For the log `log` of this domain, whose disk names subjects and events by `tags`. The
    /// operators are those whom the chain names.
    pub fn new(
        log: B256,
        domain: Eip712Domain,
        tags: Keyed,
        trust: Option<&'a TrustFile>,
        operators: &'a [Address],
    ) -> Self {
        let separator = domain.separator();
        Self { log, domain, separator, tags, trust, operators }
    }

    /// Everything about one entry that can be said without the others.
    pub fn check(&self, entry: &Opened, batch: &mut LastBatch) -> Result<Word, Box<Fault>> {
        let fault = |flaw, words: String| Fault::new(flaw, words).at(entry.index);
        let (index, report) = (entry.index, &entry.report);
        if report.log != self.log {
            let words = format!("entry {index} was reported to log {}.", report.log);
            return Err(fault(Flaw::OtherLog, words).differs(self.log, report.log).into());
        }
        let report_hash = report.hash();
        let computed = commitment_of(report_hash, entry.place.hash());
        if computed != entry.commitment {
            let words = format!(
                "entry {index} opens to commitment {computed}; the tiles have {}.",
                entry.commitment
            );
            let fault = fault(Flaw::CommitmentDiffers, words);
            return Err(fault.differs(entry.commitment, computed).into());
        }
        self.check_header(entry)?;
        if let Some(document) = &entry.details {
            let found = details_hash(document);
            if found != report.details {
                let words = format!(
                    "the details of entry {index} hash to {found}; reported were {}.",
                    report.details
                );
                return Err(fault(Flaw::DetailsDiffer, words)
                    .differs(report.details, found)
                    .into());
            }
        }
        if entry.place.previous != entry.previous {
            let words = format!(
                "entry {index} says that it follows {}; the trail's entry before it is {}.",
                entry.place.previous, entry.previous
            );
            let fault = fault(Flaw::PreviousDiffers, words);
            return Err(fault.differs(entry.previous, entry.place.previous).into());
        }
        self.check_word(entry, report_hash, batch)
    }

    fn check_header(&self, entry: &Opened) -> Result<(), Box<Fault>> {
        let report = &entry.report;
        let is_person =
            !report.subject.is_zero() && !Kind::from_number(report.kind).has_no_subject();
        // What nobody signed is the same event whichever key the operator has by then.
        let actor = match entry.evidence {
            Evidence::Relayed => Address::ZERO,
            _ => report.actor,
        };
        let expected = RowHeader {
            subject: self.tags.subject_tag(report.subject),
            // The number itself is part of the commitment.
            ordinal: if is_person { entry.place.ordinal.max(1) } else { 0 },
            event: self.tags.event_key(actor, report.subject, report.eventId),
            record: self.tags.record_tag(report.record),
        };
        if expected == entry.header {
            return Ok(());
        }
        let words = format!(
            "the clear start of row {} names another subject, number, event or record than its \
             content.",
            entry.index
        );
        let fault = Fault::new(Flaw::HeaderDiffers, words).at(entry.index);
        Err(fault.bytes_differ(expected.encode(), entry.header.encode()).into())
    }

    fn check_word(
        &self,
        entry: &Opened,
        report_hash: B256,
        batch: &mut LastBatch,
    ) -> Result<Word, Box<Fault>> {
        let (index, actor) = (entry.index, entry.report.actor);
        let signer = match &entry.evidence {
            Evidence::Relayed => return self.check_relayed(index, actor),
            Evidence::Signed(bytes) => {
                let digest = [&[0x19, 0x01], self.separator.as_slice(), report_hash.as_slice()];
                let signed = signature::parse(bytes);
                let signer = signed.and_then(|signed| signed.recover(keccak256(digest.concat())));
                signer.map_err(EvidenceError::from)
            }
            Evidence::Batch(signed) => match signed.verify_place(report_hash) {
                Ok(()) => batch.signer(signed, &self.domain),
                Err(error) => Err(error.into()),
            },
        };
        let checked = signer.and_then(|signer| match signer == actor {
            true => Ok(()),
            false => Err(EvidenceError::Signer { signer, actor }),
        });
        if let Err(error) = checked {
            let words = format!("entry {index}: {error}.");
            let mut fault = Fault::new(Flaw::SignatureWrong, words).at(index);
            fault.expected = Some(actor.to_string());
            if let EvidenceError::Signer { signer, .. } = error {
                fault.found = Some(signer.to_string());
            }
            return Err(fault.into());
        }
        let Some(trust) = self.trust else { return Ok(Word::Signed) };
        let received = entry.place.receivedMs;
        // The log takes whom it knows when a report comes, whatever time the report tells.
        let times =
            [received, received.saturating_sub(CLOCKS_MS), received.saturating_add(CLOCKS_MS)];
        let is_named = times.into_iter().any(|time_ms| {
            trust.organisation_of(actor, time_ms).is_some() || trust.operator_speaks(actor, time_ms)
        });
        if is_named {
            return Ok(Word::Named);
        }
        if is_persons(entry) {
            return Ok(Word::Person);
        }
        let words = format!(
            "entry {index} is signed by {actor}, whom your trust file does not name at {received} ms."
        );
        let mut fault = Fault::new(Flaw::SignerUnknown, words).at(index);
        fault.found = Some(actor.to_string());
        Err(fault.into())
    }

    fn check_relayed(&self, index: u64, actor: Address) -> Result<Word, Box<Fault>> {
        let is_named = self.trust.is_some_and(|trust| trust.is_operator(actor));
        if is_named || self.operators.contains(&actor) {
            return Ok(Word::Relayed);
        }
        let words = format!("entry {index} is signed by nobody, and actor {actor} is no operator.");
        let mut fault = Fault::new(Flaw::RelayedByOther, words).at(index);
        fault.found = Some(actor.to_string());
        Err(fault.into())
    }
}

/// Whether an entry may be signed by somebody who is no organisation: the person themself, or who
/// has control of what they keep in the vault. Of the latter the replay of permissions judges each.
fn is_persons(entry: &Opened) -> bool {
    let report = &entry.report;
    let is_about_a_person = !report.subject.is_zero() && report.subject.0[..12] == [0; 12];
    if !is_about_a_person {
        return false;
    }
    let document = entry.details.as_deref();
    let is_in_vault =
        || is_version(document) || document.is_some_and(|bytes| ReadDetails::read(bytes).is_ok());
    report.actor.into_word() == report.subject || is_in_vault()
}
