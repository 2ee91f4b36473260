//! What the buyer of a call is given of its delivery: how it stands, the file, and the proofs of its
//! entries.

use super::deliver::refusal_word;
use super::{Calls, CallsError, locked};
use crate::sales::{DOWNLOAD_VERSION, DownloadDetails, HOUR_MS};
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{AcceptanceRow, CallDelivery, CallRow, SealedFile};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::proof::{Document, Proof};
use medtrail_ledger::schema::Report;

/// Proofs of one page at most.
const PROOFS_MAX: usize = 100;
/// Lines of one download that wait for the disk together.
const LINES_AT_ONCE: usize = 64;

/// How the delivery of a call stands, for its buyer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// `collecting`, `making`, `ready` (may be downloaded), `settling`, `settled` or `over`.
    pub state: &'static str,
    /// Why nothing is delivered.
    pub refusal: Option<&'static str>,
    /// SHA-256 and bytes of the file, once it may be downloaded.
    pub file: Option<(B256, u64)>,
    /// Who is in the file, counted.
    pub sellers: u64,
    /// Places paid by the final block.
    pub paid: u32,
    /// SHA-256 of the key, once the file may be downloaded.
    pub lock: Option<B256>,
}

/// A file that may be downloaded, for [`Calls::piece`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Given {
    /// The file.
    pub file: SealedFile,
    attempt: u32,
}

/// Proofs by place, and the place of the last: the next page begins behind it.
pub type Proofs = (Vec<Proof>, Option<u64>);

impl Calls {
    pub(super) fn delivery_of(&self, row: &CallRow) -> Result<Delivery, CallsError> {
        let (is_ready, sellers) = (self.is_ready(row), row.delivery.sellers().len() as u64);
        let (state, refusal) = match &row.delivery {
            CallDelivery::Collecting => ("collecting", None),
            CallDelivery::Keyed { .. } => ("making", None),
            CallDelivery::Sealed { .. } if !is_ready => ("making", None),
            CallDelivery::Sealed { .. } => ("ready", None),
            CallDelivery::Shown { .. } => ("settling", None),
            CallDelivery::Settled { .. } => ("settled", None),
            CallDelivery::Refusing { refusal, .. } | CallDelivery::Over { refusal } => {
                ("over", Some(refusal_word(*refusal)))
            }
        };
        let known = locked(&self.0.paid).get(&row.id).copied();
        let paid = match (known, row.delivery.is_shown()) {
            (_, false) => 0,
            (Some(paid), true) => paid,
            (None, true) => {
                let block = self.0.sales.trade().tips()?.finalized.block.hash;
                self.0.trade.standing(row.id, block)?.paid
            }
        };
        let made = row.delivery.file().filter(|_| is_ready);
        let file = made.map(|(_, file, _)| (file.hash, file.bytes));
        let lock = made.map(|(key, ..)| key.lock);
        Ok(Delivery { state, refusal, file, sellers, paid, lock })
    }

    /// Whether all entries of the file are made: before that it may be another one yet.
    fn is_ready(&self, row: &CallRow) -> bool {
        let Some((key, file, sellers)) = row.delivery.file() else { return false };
        if row.delivery.is_shown() {
            return true;
        }
        let rows = self.service().0.live.rows();
        sellers.iter().all(|id| {
            let delivered = rows.board.acceptance(*id).and_then(|one| one.delivered);
            delivered.is_some_and(|one| one.lock == key.lock && one.file == file.hash)
        })
    }

    /// The call, its file and who is in it, for its buyer and nobody else.
    fn ready_for(
        &self,
        who: Address,
        id: B256,
    ) -> Result<(CallRow, Given, Vec<AcceptanceRow>), CallsError> {
        let view = self.view_for(who, id)?;
        if view.delivery.is_none() {
            return Err(CallsError::NoSuchCall);
        }
        let row = view.row;
        let Some((key, file, sellers)) = row.delivery.file().filter(|_| self.is_ready(&row)) else {
            return Err(CallsError::NoFile);
        };
        let given = Given { file, attempt: key.attempt };
        let mut inside: Vec<AcceptanceRow> = {
            let rows = self.service().0.live.rows();
            sellers.iter().filter_map(|id| rows.board.acceptance(*id).cloned()).collect()
        };
        inside.sort_by_key(|one| one.place);
        Ok((row, given, inside))
    }

    /// The sealed file, for its buyer. The trail of each seller in it has the line that says so when
    /// this returns.
    ///
    /// # Errors
    /// [`CallsError::NoFile`] before the log has all entries of it, and where the file is gone.
    pub async fn download(&self, who: Address, id: B256) -> Result<Given, CallsError> {
        self.blocking(move |calls| {
            let (row, given, inside) = calls.ready_for(who, id)?;
            if !calls.is_kept(&row)? {
                return Err(CallsError::NoFile);
            }
            calls.note_download(&row, &given.file, &inside)?;
            Ok(given)
        })
        .await
    }

    /// Bytes of a file that [`Self::download`] let somebody have.
    pub async fn piece(
        &self,
        id: B256,
        given: Given,
        offset: u64,
        most: usize,
    ) -> Result<Vec<u8>, CallsError> {
        self.blocking(move |calls| calls.bytes_of(id, given.attempt, offset, most)).await
    }

    /// Proofs of the entries of a delivery with their details, by place, those behind a place.
    ///
    /// # Errors
    /// [`CallsError::NoFile`] before there is a delivery; as for any proof before an anchor.
    pub async fn proofs(
        &self,
        who: Address,
        id: B256,
        behind: Option<u64>,
        limit: usize,
    ) -> Result<Proofs, CallsError> {
        self.blocking(move |calls| {
            let (_, _, inside) = calls.ready_for(who, id)?;
            let limit = limit.clamp(1, PROOFS_MAX);
            let is_behind =
                |one: &&AcceptanceRow| behind.is_none_or(|place| u64::from(one.place) > place);
            let left: Vec<&AcceptanceRow> = inside.iter().filter(is_behind).collect();
            let page = &left[..left.len().min(limit)];
            let last = page.last().map(|one| u64::from(one.place));
            let next = last.filter(|_| left.len() > limit);
            let service = calls.service();
            let mut proofs = Vec::with_capacity(page.len());
            for index in page.iter().filter_map(|one| Some(one.delivered?.index)) {
                let details = service.entry(index)?.details;
                let details = details.as_deref().map(Document::of);
                proofs.push(Proof { details, ..service.proof(index)? });
            }
            Ok((proofs, next))
        })
        .await
    }

    /// Enters in the trail of each seller in the file that it is downloaded; durable when this
    /// returns. A download in pieces is one line an hour. Blocks.
    fn note_download(
        &self,
        row: &CallRow,
        file: &SealedFile,
        inside: &[AcceptanceRow],
    ) -> Result<(), CallsError> {
        let (service, time_ms) = (self.service(), self.now_ms());
        let hour = (time_ms / HOUR_MS).to_be_bytes();
        for some in inside.chunks(LINES_AT_ONCE) {
            let mut new = Vec::new();
            for one in some {
                let id = [b"download\0", one.id.as_slice(), file.hash.as_slice(), &hour].concat();
                let (event, subject) = (event_id(row.buyer, &id), subject_of(one.seller));
                if service.find_own(subject, event)?.is_some() {
                    continue;
                }
                let (reader, order, file) = (row.buyer, one.id, file.hash);
                let details = DownloadDetails { version: DOWNLOAD_VERSION, reader, order, file };
                let details = serde_json::to_vec(&details).expect("plain data encodes");
                let report = Report {
                    eventId: event,
                    kind: Kind::Access.number(),
                    action: b'R',
                    timeMs: time_ms,
                    subject,
                    record: one.id,
                    permission: one.id,
                    details: details_hash(&details),
                    ..service.own_report()
                };
                new.push((report, details));
            }
            service.enter_all(new)?;
        }
        Ok(())
    }
}
