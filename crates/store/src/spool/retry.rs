//! Reports that ended badly wait again, because somebody says so: the one way back from an end.

use super::{REPORTS, SpoolDb, Stop, WAITING, decode, encode};
use crate::db::Fault;
use medtrail_ledger::custodian::{ReportRow, ReportState, SpoolError, Usage};
use redb::{ReadTransaction, WriteTransaction};

/// Reports in one transaction.
const PUT_BACK_AT_ONCE: usize = 256;

impl SpoolDb {
    /// Puts reports that were set aside back to waiting, and, where `wrong_receipts`, those with a
    /// wrong receipt too; `keep` is handed those before, for the log's answer is gone afterwards.
    /// Returns the numbers that wait again and why each had not.
    ///
    /// # Errors
    /// [`SpoolError::Disk`]; what was put back before it stays so. Whatever `keep` answers ends it.
    pub fn retry<E: From<SpoolError>>(
        &self,
        wrong_receipts: bool,
        mut keep: impl FnMut(&[ReportRow]) -> Result<(), E>,
    ) -> Result<Vec<(u64, String)>, E> {
        let (mut put_back, mut next) = (Vec::new(), Some(1));
        while let Some(from) = next {
            let found = self.read(|txn| settled_badly(txn, from, wrong_receipts))?;
            next = found.next;
            keep(&found.rows)?;
            self.write(|txn, usage| found.rows.iter().try_for_each(|row| again(txn, usage, row)))?;
            put_back.extend(found.rows.into_iter().map(|row| (row.sequence, reason(row.state))));
        }
        Ok(put_back)
    }
}

/// Some of the reports that ended without a receipt that counts.
struct SettledBadly {
    rows: Vec<ReportRow>,
    /// Where to go on, if there is more.
    next: Option<u64>,
}

fn settled_badly(
    txn: &ReadTransaction,
    from: u64,
    wrong_receipts: bool,
) -> Result<SettledBadly, Fault> {
    let mut rows = Vec::new();
    for row in txn.open_table(REPORTS)?.range(from..)? {
        let row: ReportRow = decode("reports", row?.1.value())?;
        let is_one = match row.state {
            ReportState::SetAside(_) => true,
            ReportState::WrongReceipt { .. } => wrong_receipts,
            ReportState::Waiting | ReportState::Receipted(_) => false,
        };
        if !is_one {
            continue;
        }
        if rows.len() == PUT_BACK_AT_ONCE {
            return Ok(SettledBadly { rows, next: Some(row.sequence) });
        }
        rows.push(row);
    }
    Ok(SettledBadly { rows, next: None })
}

/// The file is this process's alone: nobody settled it since it was read.
fn again(txn: &WriteTransaction, usage: &mut Usage, row: &ReportRow) -> Result<(), Stop> {
    let row = ReportRow { state: ReportState::Waiting, ..row.clone() };
    usage.set_aside -= 1;
    usage.waiting += 1;
    usage.waiting_bytes += row.report.document.len() as u64;
    txn.open_table(REPORTS)?.insert(row.sequence, encode(&row)?.as_slice())?;
    txn.open_table(WAITING)?.insert(row.sequence, ())?;
    Ok(())
}

fn reason(state: ReportState) -> String {
    match state {
        ReportState::SetAside(reason) | ReportState::WrongReceipt { reason, .. } => reason,
        ReportState::Waiting | ReportState::Receipted(_) => String::new(),
    }
}
