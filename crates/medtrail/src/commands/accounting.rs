//! `medtrail accounting`: a person takes a table of who was given their data.

use super::PassphraseArgs;
use crate::exit::{Failure, OK, Outcome};
use crate::session::Session;
use medtrail_keys::person::PersonKey;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes who was given what about you, when and for what: six years, newest first.
///
/// Taking it is a line of your trail. Exits with 0, or with 1 where it did not come whole.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(long, value_name = "URL")]
    url: String,
    /// Your keystore (version 3)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
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
    let (path, passphrase) = (args.key.clone(), args.passphrase.read()?);
    let loading = tokio::task::spawn_blocking(move || PersonKey::load(&path, &passphrase));
    let session = Session::open(args.url.trim_end_matches('/'), loading.await??).await?;
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
