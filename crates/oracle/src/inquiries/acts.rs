//! The acts: ask, answer, bill, reply, correct. Each becomes one entry, and may be sent again.

use super::book::is_open;
use super::fold::Relayed;
use super::{
    ASKED_ABOUT_LINE_MAX, InquiryError, OPEN_OF_ORGANISATION_MAX, OPEN_OF_PERSON_MAX, REPLIES_MAX,
    Whose,
};
use crate::intake::{ReportError, Submission};
use crate::opener::EntryError;
use crate::sequencer::PlaceError;
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{InquiryRow, InquirySort};
use medtrail_ledger::entry::{Kind, commitment, details_hash, event_id, subject_of};
use medtrail_ledger::inquiry::{
    Answered, Asked, Billed, BilledAnswer, Correction, LineRef, Reply, Wanted,
};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use serde::Serialize;

/// A question, as a person asks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Where the line stands.
    pub line: u64,
    /// What is asked for.
    pub wants: Wanted,
    /// In their words.
    pub text: Option<String>,
    /// Of the text (BCP 47).
    pub language: Option<String>,
}

/// Something that is in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Noted {
    /// The inquiry's id; of a correction, its own commitment.
    pub id: B256,
    /// The receipt of the entry, the place hashed.
    pub receipt: Receipt,
    /// It was entered just now; else it stood there already.
    pub is_new: bool,
}

/// What is to be entered, or stands already.
enum Drawn {
    Fits { submission: Box<Submission>, organisation: Option<Address> },
    Stands(u64),
}

impl Service {
    /// A person asks about a line of theirs. The same question again is the same entry.
    ///
    /// # Errors
    /// [`InquiryError`]; after a [`PlaceError::OutcomeUnknown`] send it again.
    pub async fn ask(&self, person: Address, ask: Ask) -> Result<Noted, InquiryError> {
        let entered = self.enter_drawn(move |service| service.draw_question(person, &ask)).await;
        match entered {
            // Somebody asked at the same time; their entry has this one's event id.
            Err(InquiryError::Report(ReportError::Conflict { index, .. })) => {
                let id = self.inquiry_at(index).map(|row| row.id).unwrap_or_default();
                Err(InquiryError::Open { id })
            }
            other => other,
        }
    }

    fn draw_question(&self, person: Address, ask: &Ask) -> Result<Drawn, InquiryError> {
        let line = match self.entry(ask.line) {
            Ok(line) if self.parts(person).contains(&line.report.subject) => line,
            Err(EntryError::Journal(error)) => return Err(error.into()),
            _ => return Err(InquiryError::NoSuchLine),
        };
        // Of a question, a claim, a correction something else can be said.
        let kind = Kind::from_number(line.report.kind);
        let is_act = matches!(kind, Kind::Access | Kind::Change | Kind::HandOver | Kind::Source);
        let organisation = self.0.live.reporter_of(&line).filter(|_| is_act);
        let organisation = organisation.ok_or(InquiryError::NobodyToAsk)?;
        let named =
            LineRef { index: line.index, commitment: commitment(&line.report, &line.place) };
        let now_ms = (self.0.now_ms)();
        let due_ms = now_ms.saturating_add(self.0.answer_within_ms);
        let mut asked = Asked::new(named, organisation, ask.wants, due_ms);
        (asked.text, asked.language) = (ask.text.clone(), ask.language.clone());
        asked.check()?;

        let about: Vec<InquiryRow> = self.0.live.rows().book.about(line.index).cloned().collect();
        if let Some(open) = about.iter().find(|row| is_open(row)) {
            let known = self.question(Whose::Person(person), open.id)?;
            if let Some(known) = &known {
                asked.due_ms = known.asked.due_ms;
            }
            return match known.is_some_and(|known| known.asked == asked) {
                true => Ok(Drawn::Stands(open.index)),
                false => Err(InquiryError::Open { id: open.id }),
            };
        }
        if about.len() >= ASKED_ABOUT_LINE_MAX {
            return Err(InquiryError::AskedOften);
        }
        self.require_room(person, organisation)?;
        let count = about.len() as u64;
        let event = [b"question\0", named.commitment.as_slice(), &count.to_be_bytes()].concat();
        self.drawn(None, Kind::Question, subject_of(person), named.commitment, &event, &asked)
    }

    fn require_room(&self, person: Address, organisation: Address) -> Result<(), InquiryError> {
        let parts = self.parts(person);
        let rows = self.0.live.rows();
        let is_waiting = |row: &&InquiryRow| row.sort != InquirySort::Claim && is_open(row);
        let of_person = rows.book.of_subjects(&parts).filter(is_waiting).count();
        if of_person >= OPEN_OF_PERSON_MAX {
            return Err(InquiryError::TooManyOfPerson);
        }
        let of_organisation = rows.book.of_organisation(organisation).filter(is_waiting).count();
        match of_organisation >= OPEN_OF_ORGANISATION_MAX {
            true => Err(InquiryError::TooManyOfOrganisation),
            false => Ok(()),
        }
    }

    /// An organisation that showed who it is by its API key answers.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn answer(
        &self,
        organisation: Address,
        id: B256,
        text: String,
        language: Option<String>,
    ) -> Result<Noted, InquiryError> {
        self.enter_drawn(move |service| {
            let row = service.asked_of(organisation, id)?;
            let answered = Answered::new(id, text, language);
            answered.check()?;
            if let Some(index) = row.answer {
                return match service.answer_view(index)? {
                    Some(known) if known.answered == answered => Ok(Drawn::Stands(index)),
                    _ => Err(InquiryError::Answered { index }),
                };
            }
            let event = [b"answer\0", id.as_slice()].concat();
            let by = Some(organisation);
            service.drawn(by, Kind::Question, row.subject, id, &event, &answered)
        })
        .await
    }

    /// The same by a report that the organisation's key signed.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn answer_signed(
        &self,
        organisation: Address,
        id: B256,
        submission: Submission,
    ) -> Result<Noted, InquiryError> {
        self.enter_signed(organisation, submission, move |service, submission| {
            let row = service.asked_of(organisation, id)?;
            let report = &submission.report;
            if report.permission != id || report.kind != Kind::Question.number() {
                return Err(InquiryError::Mismatch("permission"));
            }
            if report.subject != row.subject {
                return Err(InquiryError::Mismatch("subject"));
            }
            match row.answer {
                Some(index) if !service.is_sent_as(index, report)? => {
                    Err(InquiryError::Answered { index })
                }
                _ => Ok(()),
            }
        })
        .await
    }

    /// A question that this organisation is asked.
    fn asked_of(&self, organisation: Address, id: B256) -> Result<InquiryRow, InquiryError> {
        let row = self.inquiry(Whose::Organisation(organisation), id);
        let row = row.filter(|row| row.sort != InquirySort::Claim);
        row.ok_or(InquiryError::NoSuchInquiry)
    }

    /// A payer that showed who it is by its API key says what was billed, under an event id of its
    /// own.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn bill(
        &self,
        payer: Address,
        subject: B256,
        id: String,
        billed: Billed,
    ) -> Result<Noted, InquiryError> {
        self.enter_drawn(move |service| {
            billed.check()?;
            if subject.is_zero() {
                return Err(InquiryError::Mismatch("subject"));
            }
            let event = [b"claim\0", payer.as_slice(), id.as_bytes()].concat();
            service.drawn(Some(payer), Kind::Claim, subject, B256::ZERO, &event, &billed)
        })
        .await
    }

    /// A report that the payer's key signed.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn bill_signed(
        &self,
        payer: Address,
        submission: Submission,
    ) -> Result<Noted, InquiryError> {
        self.enter_signed(payer, submission, |_, submission| {
            match submission.report.kind == Kind::Claim.number() {
                true if submission.report.subject.is_zero() => {
                    Err(InquiryError::Mismatch("subject"))
                }
                true => Ok(()),
                false => Err(InquiryError::Mismatch("kind")),
            }
        })
        .await
    }

    /// The person says whether they had what was billed. Who erred may say so: the last answer
    /// counts.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn reply(
        &self,
        person: Address,
        id: B256,
        answer: Reply,
        text: Option<String>,
        language: Option<String>,
    ) -> Result<Noted, InquiryError> {
        self.enter_drawn(move |service| {
            let row = service.inquiry(Whose::Person(person), id);
            let row = row.filter(|row| row.sort == InquirySort::Claim);
            let row = row.ok_or(InquiryError::NoSuchInquiry)?;
            let reply = BilledAnswer::new(id, answer, text, language);
            reply.check()?;
            let known = service.claim_view(&row)?.and_then(|claim| claim.reply);
            if let Some((index, _, known)) = &known
                && *known == reply
            {
                return Ok(Drawn::Stands(*index));
            }
            // The one before is in the event id: the same correction of it is one entry.
            let before = row.answer.unwrap_or(row.index);
            if service.replies_to(person, id)? >= REPLIES_MAX {
                return Err(InquiryError::RepliedOften);
            }
            let event = [b"reply\0", id.as_slice(), &before.to_be_bytes()].concat();
            service.drawn(None, Kind::Claim, subject_of(person), id, &event, &reply)
        })
        .await
    }

    /// How often a person has answered a claim.
    fn replies_to(&self, person: Address, id: B256) -> Result<usize, EntryError> {
        let query = crate::trail::TrailQuery {
            kinds: vec![Kind::Claim],
            limit: 200,
            ..crate::trail::TrailQuery::default()
        };
        let page = self.trail(person, &query)?;
        let is_reply = |entry: &&crate::opener::Entry| {
            entry.report.permission == id && entry.evidence == Evidence::Relayed
        };
        Ok(page.entries.iter().filter(is_reply).count())
    }

    /// An organisation that showed who it is by its API key corrects a line that was relayed for
    /// it.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn correct(
        &self,
        organisation: Address,
        mut correction: Correction,
    ) -> Result<Noted, InquiryError> {
        self.enter_drawn(move |service| {
            let (subject, commitment) = service.corrigible(organisation, correction.line.index)?;
            correction.line.commitment = commitment;
            correction.check()?;
            let text = serde_json::to_vec(&correction).expect("plain data encodes");
            // By its words: a line may be corrected again, and the same one twice is one entry.
            let words = details_hash(&text);
            let event = [b"correction\0", commitment.as_slice(), words.as_slice()].concat();
            let by = Some(organisation);
            service.drawn(by, Kind::Correction, subject, commitment, &event, &correction)
        })
        .await
    }

    /// The same by a report that the organisation's key signed.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn correct_signed(
        &self,
        organisation: Address,
        submission: Submission,
    ) -> Result<Noted, InquiryError> {
        self.enter_signed(organisation, submission, move |service, submission| {
            let report = &submission.report;
            let details = submission.details.as_deref().unwrap_or_default();
            let correction: Option<Correction> = super::fold::read(details);
            let Some(correction) = correction.filter(|_| report.kind == Kind::Correction.number())
            else {
                return Err(InquiryError::Mismatch("details"));
            };
            let (subject, commitment) = service.corrigible(organisation, correction.line.index)?;
            if report.permission != commitment || correction.line.commitment != commitment {
                return Err(InquiryError::Mismatch("permission"));
            }
            match report.subject == subject {
                true => Ok(()),
                false => Err(InquiryError::Mismatch("subject")),
            }
        })
        .await
    }

    /// For whom a correction of this line is reported now, and what it names. A line that is
    /// another's does not exist.
    fn corrigible(&self, organisation: Address, line: u64) -> Result<(B256, B256), InquiryError> {
        match self.entry(line) {
            Ok(entry)
                if self.0.live.reporter_of(&entry) == Some(organisation)
                    && !entry.report.subject.is_zero() =>
            {
                let commitment = commitment(&entry.report, &entry.place);
                Ok((self.subject_now(entry.report.subject), commitment))
            }
            Err(EntryError::Journal(error)) => Err(error.into()),
            _ => Err(InquiryError::NotReported),
        }
    }

    /// An own entry, or one for an organisation, that is to be made.
    fn drawn(
        &self,
        organisation: Option<Address>,
        kind: Kind,
        subject: B256,
        permission: B256,
        event: &[u8],
        document: &impl Serialize,
    ) -> Result<Drawn, InquiryError> {
        let document = serde_json::to_vec(document).expect("plain data encodes");
        let details = match organisation {
            None => document,
            Some(id) => {
                let name = self.listed(id).map_or_else(String::new, |one| one.name);
                let document = String::from_utf8(document).expect("JSON is UTF-8");
                let relayed = Relayed::new(id, name, document);
                serde_json::to_vec(&relayed).expect("plain data encodes")
            }
        };
        let report = Report {
            eventId: event_id(organisation.unwrap_or_default(), event),
            kind: kind.number(),
            timeMs: (self.0.now_ms)(),
            subject,
            permission,
            details: details_hash(&details),
            ..self.own_report()
        };
        let submission = Submission { report, evidence: Evidence::Relayed, details: Some(details) };
        Ok(Drawn::Fits { submission: Box::new(submission), organisation })
    }

    /// Checks and draws on a thread that may block, enters, and brings it into the book before
    /// anybody is answered.
    async fn enter_drawn(
        &self,
        draw: impl FnOnce(&Self) -> Result<Drawn, InquiryError> + Send + 'static,
    ) -> Result<Noted, InquiryError> {
        let (service, size) = (self.clone(), self.head().size);
        let drawn = off_thread(move || draw(&service)).await?;
        let (submission, organisation) = match drawn {
            Drawn::Fits { submission, organisation } => (*submission, organisation),
            Drawn::Stands(index) => return self.noted(index, false).await,
        };
        let placed = match organisation {
            None => self.relay(submission).await,
            Some(id) => match self.relay_for(id, submission.clone()).await {
                // Its person was connected since: from now on it is reported for them.
                Err(ReportError::Moved { to, .. }) => {
                    let report = Report { subject: to, ..submission.report };
                    self.relay_for(id, Submission { report, ..submission }).await
                }
                other => other,
            },
        };
        let index = match placed {
            Ok(receipt) => receipt.index,
            // The same act again, at another moment: the first stands.
            Err(ReportError::Conflict { index, .. }) if organisation.is_some() => index,
            Err(error) => return Err(error.into()),
        };
        self.noted(index, index >= size).await
    }

    async fn enter_signed(
        &self,
        organisation: Address,
        submission: Submission,
        check: impl FnOnce(&Self, &Submission) -> Result<(), InquiryError> + Send + 'static,
    ) -> Result<Noted, InquiryError> {
        let (service, size) = (self.clone(), self.head().size);
        let submission = off_thread(move || {
            if service.organisation_of(submission.report.actor) != Some(organisation) {
                return Err(InquiryError::Mismatch("actor"));
            }
            check(&service, &submission)?;
            Ok(submission)
        });
        let receipt = self.report(submission.await?).await?;
        self.noted(receipt.index, receipt.index >= size).await
    }

    async fn noted(&self, index: u64, is_new: bool) -> Result<Noted, InquiryError> {
        let service = self.clone();
        off_thread(move || {
            service.note(index)?;
            let id = match service.inquiry_at(index) {
                Some(row) => row.id,
                None => {
                    let entry = service.entry(index)?;
                    commitment(&entry.report, &entry.place)
                }
            };
            Ok(Noted { id, receipt: service.receipt(index)?, is_new })
        })
        .await
    }

    /// Whether the entry at `index` is of this very report.
    fn is_sent_as(&self, index: u64, report: &Report) -> Result<bool, EntryError> {
        Ok(self.opened_row(index)?.is_some_and(|entry| entry.report == *report))
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, InquiryError> + Send + 'static,
) -> Result<T, InquiryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ReportError::Place(PlaceError::Stopped).into()),
    }
}
