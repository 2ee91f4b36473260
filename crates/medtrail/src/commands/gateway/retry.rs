//! `medtrail gateway retry`: what was set aside is sent once more, because its cause was mended.

use super::{ENROLMENT, FolderError, limits};
use crate::exit::{Failure, OK, Outcome};
use medtrail_keys::file::FILE_MODE;
use medtrail_ledger::custodian::{ReportRow, ReportState};
use medtrail_store::{FileName, SpoolDb};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::task::spawn_blocking;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The gateway's folder
    #[arg(long = "dir", value_name = "FOLDER", default_value = "gateway")]
    path: PathBuf,
    /// Also reports with a receipt that does not verify; the log's answers, which are evidence
    /// against it, are written to this new file first
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Outcome {
    let Args { path, evidence, json } = args;
    if !path.join(ENROLMENT).exists() {
        return Err(FolderError::NotEnrolled(path).into());
    }
    let spool = path.join(FileName::Spool.as_str());
    if !spool.exists() {
        return Err(FolderError::NoSpool(spool).into());
    }
    let put_back = spawn_blocking(move || put_back(&path, evidence.as_deref())).await??;
    if json {
        let one = |(number, reason): &(u64, String)| json!({ "number": number, "reason": reason });
        println!("{}", json!({ "putBack": put_back.iter().map(one).collect::<Vec<Value>>() }));
        return Ok(ExitCode::from(OK));
    }
    for (number, reason) in &put_back {
        println!("{number}  {reason}");
    }
    match put_back.len() {
        0 => println!("Nothing was set aside."),
        count => println!("{count} reports wait again. They are sent once the gateway runs."),
    }
    Ok(ExitCode::from(OK))
}

fn put_back(folder: &Path, evidence: Option<&Path>) -> Result<Vec<(u64, String)>, Failure> {
    // Nothing is taken here, so that no limit is met.
    let spool = SpoolDb::open(folder, limits(1, 1))?;
    let mut file = evidence.map(|path| (path, create(path)));
    spool.retry(evidence.is_some(), |rows| match &mut file {
        None => Ok::<(), Failure>(()),
        Some((path, Ok(file))) => write(file, rows).map_err(|source| failed(path, source)),
        Some((path, Err(source))) => Err(failed(path, io::Error::from(source.kind()))),
    })
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

fn failed(path: &Path, source: io::Error) -> Failure {
    FolderError::Io { path: path.to_owned(), source }.into()
}

/// A line for each receipt that does not verify. Durable before the spool forgets it.
fn write(file: &mut File, rows: &[ReportRow]) -> io::Result<()> {
    for row in rows {
        let ReportState::WrongReceipt { answer, reason } = &row.state else { continue };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (sent, answer) = (text(&row.report.document), text(answer));
        let line =
            json!({ "number": row.sequence, "reason": reason, "sent": sent, "answer": answer });
        writeln!(file, "{line}")?;
    }
    file.sync_all()
}
