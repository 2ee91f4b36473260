//! `medtrail accounting`: a person takes a table of who was given their data.

use super::signing::SignIn;
use crate::exit::{Failure, OK, Outcome};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes who was given what about you, when and for what: six years, newest first.
///
/// Taking it is a line of your trail. Exits with 0, or with 1 where it did not come whole.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    sign_in: SignIn,
    /// Only what happened then or later, milliseconds since 1970
    #[arg(long, value_name = "MS")]
    from: Option<u64>,
    /// Only what happened before, milliseconds since 1970
    #[arg(long, value_name = "MS")]
    until: Option<u64>,
    /// Where to write it; to the terminal if left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// JSON instead of CSV
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let session = args.sign_in.open().await?;
    let format = if args.json { "json" } else { "csv" };
    let mut path = format!("/v1/subjects/{}/accounting?format={format}", session.address());
    for (name, value) in [("from", args.from), ("until", args.until)] {
        path.extend(value.map(|value| format!("&{name}={value}")));
    }
    let mut answer = session.open_stream(&path).await?;
    let mut out: Box<dyn Write + Send> = match &args.out {
        None => Box::new(std::io::stdout()),
        Some(file) => {
            let made = std::fs::File::create(file);
            Box::new(made.map_err(|error| Failure::new(format!("{}: {error}", file.display())))?)
        }
    };
    while let Some(part) = answer.chunk().await? {
        out.write_all(&part)?;
    }
    out.flush()?;
    Ok(ExitCode::from(OK))
}
