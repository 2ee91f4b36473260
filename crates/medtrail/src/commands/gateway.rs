//! `medtrail gateway`: stands beside a custodian's software, signs its events and forwards them.

mod questions;
mod retry;
mod trust;

use super::PassphraseArgs;
use super::serve::asked_to_end;
use crate::clock::now_ms;
use crate::exit::{Failure, OK, Outcome};
use medtrail_gateway::clock::SystemClock;
use medtrail_gateway::{Enrolment, Gateway, Options, enrol};
use medtrail_keys::file::{FILE_MODE, check_folder, create_folder};
use medtrail_keys::local::LocalSigner;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::custodian::{ReportSigner, Spool, SpoolError, SpoolLimits};
use medtrail_store::{FileName, SpoolDb};
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

const KEYSTORE: &str = "gateway.json";
const ENROLMENT: &str = "enrolment.json";
/// Time between two looks at the spool: whether its disk can still be trusted.
const LOOK: Duration = Duration::from_secs(2);
/// Time between two searches for events that are old enough to be forgotten.
const FORGET: Duration = Duration::from_secs(3600);
const DAY_MS: u64 = 86_400_000;

/// Takes FHIR audit events from a custodian's software, signs them and forwards them to a log.
///
/// `medtrail gateway init` joins a log by an invite; `medtrail gateway run`, or only `medtrail
/// gateway`, runs until Ctrl-C or a termination signal; `retry` and `trust` mend what `/status`
/// complains about.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Makes the gateway's key here, and joins the organisation that the invite names
    Init(InitArgs),
    /// Runs the gateway
    Run(RunArgs),
    /// Lists what people ask about the organisation's lines; asks the running gateway
    Questions(questions::ListArgs),
    /// Answers a question; the running gateway signs it with the organisation's key
    Answer(questions::AnswerArgs),
    /// Puts reports that were set aside back to waiting; the gateway must not run meanwhile
    Retry(retry::Args),
    /// Shows what the log's trust file says anew, such as a new key of its operator, and accepts it
    Trust(trust::Args),
}

#[derive(clap::Args)]
struct InitArgs {
    /// The invite's address, as the log's operator sent it
    invite: String,
    #[command(flatten)]
    folder: FolderArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct FolderArgs {
    /// The gateway's folder: its key, its enrolment and its spool
    #[arg(long = "dir", value_name = "FOLDER", default_value = "gateway")]
    path: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Runs the gateway until Ctrl-C or a termination signal.
///
/// Ends with 1 if the disk failed so that nothing held in memory may be trusted: a supervisor
/// should start it anew.
#[derive(clap::Args)]
struct RunArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Where to listen. Whoever reaches it speaks for the organisation
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Listen beyond this machine: something in front of it checks who comes
    #[arg(long)]
    expose: bool,
    /// Where the log is reached, if not where the invite came from
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// How many events and reports may wait for the log
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    spool_events: u64,
    /// How many MiB of them may wait
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    spool_mib: u64,
    /// Drop what was sent, but not its receipts, after so many days; by default never
    #[arg(long, value_name = "DAYS")]
    keep_days: Option<u64>,
}

/// Why a gateway's folder cannot be used.
#[derive(Debug, thiserror::Error)]
enum FolderError {
    #[error(
        "{} is an enrolled gateway already; run it: medtrail gateway run --dir {}. \
         Another one needs another folder", .0.display(), .0.display()
    )]
    Enrolled(PathBuf),
    #[error(
        "{} is no enrolled gateway: first medtrail gateway init INVITE --dir {}",
        .0.display(), .0.display()
    )]
    NotEnrolled(PathBuf),
    #[error(
        "{} is gone, with every event and receipt in it: put it back. Without it the numbers of \
         reports would begin anew; a new gateway needs a new invite and another folder",
        .0.display()
    )]
    NoSpool(PathBuf),
    #[error("{} is no enrolment of this version: {source}", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{0} can be reached from other machines, and whoever reaches it speaks for your \
         organisation. Listen at 127.0.0.1, or, if something in front checks who comes, add --expose"
    )]
    Exposed(SocketAddr),
    #[error(
        "{0} is not https://…: the session of your key and your reports would pass the network in \
         clear"
    )]
    InClear(String),
    #[error(
        "this is no invite: its address ends with #invite=CODE. Ask the operator of the log for one"
    )]
    NoInvite,
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Some(Command::Init(init)) => join(init).await,
        Some(Command::Run(run)) => forward(run).await,
        Some(Command::Questions(args)) => questions::list(args).await,
        Some(Command::Answer(args)) => questions::answer(args).await,
        Some(Command::Retry(retry)) => retry::run(retry).await,
        Some(Command::Trust(trust)) => trust::run(trust).await,
        None => forward(args.run).await,
    }
}

/// The log's URL and the code in `https://log.example/#invite=CODE`.
fn parse_invite(invite: &str) -> Result<(&str, &str), FolderError> {
    let (url, code) = invite.trim().split_once("#invite=").ok_or(FolderError::NoInvite)?;
    if code.is_empty() {
        return Err(FolderError::NoInvite);
    }
    Ok((check_upstream(url)?, code))
}

/// A log is reached encrypted, or on this machine.
fn check_upstream(url: &str) -> Result<&str, FolderError> {
    let parsed = reqwest::Url::parse(url).map_err(|_| FolderError::NoInvite)?;
    let is_here = match parsed.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback()),
        None => false,
    };
    match parsed.scheme() {
        "https" => Ok(url.trim_end_matches('/')),
        "http" if is_here => Ok(url.trim_end_matches('/')),
        _ => Err(FolderError::InClear(url.to_owned())),
    }
}

async fn join(args: InitArgs) -> Outcome {
    let (url, code) = parse_invite(&args.invite)?;
    let folder = args.folder.path;
    create_folder(&folder)?;
    if folder.join(ENROLMENT).exists() {
        return Err(FolderError::Enrolled(folder).into());
    }
    let (keystore, passphrase) = (folder.join(KEYSTORE), args.folder.passphrase.read()?);
    // Left by an attempt that was cut short: the log knows this key, and no other may use the
    // invite. The same key may ask again.
    let is_there = keystore.exists();
    let key = spawn_blocking(move || {
        if !is_there {
            LocalSigner::create(&keystore, &passphrase)?;
        }
        ReporterKey::load(&keystore, &passphrase)
    });
    let key = key.await??;
    let enrolment = enrol(url, code, &key, &SystemClock).await?;
    // Before the enrolment: a folder with one has had a spool, so that a lost one is noticed.
    let spool = folder.clone();
    spawn_blocking(move || SpoolDb::open(&spool, limits(1, 1)).map(drop)).await??;
    write_enrolment(&folder, &enrolment)?;
    if args.json {
        let Enrolment { upstream, organisation, name, .. } = &enrolment;
        let (key, folder) = (key.address(), folder.display().to_string());
        let said = json!({ "organisation": organisation, "name": name, "key": key,
            "log": enrolment.trust.log, "upstream": upstream, "folder": folder });
        println!("{said}");
        return Ok(ExitCode::from(OK));
    }
    println!("Organisation:  {}  {}", enrolment.name, enrolment.organisation);
    println!("Key:           {}", key.address());
    println!("Log:           {} at {}", enrolment.trust.log, enrolment.upstream);
    println!();
    println!("Tell the operator the key by another way than the invite came: then both know that");
    println!("nobody else used it. Keep a copy of {} apart from this machine.", folder.display());
    println!("Run it: medtrail gateway run --dir {}", folder.display());
    Ok(ExitCode::from(OK))
}

/// Whole or absent, for its owner only: it holds the key that pseudonyms are made with.
fn write_enrolment(folder: &Path, enrolment: &Enrolment) -> Result<(), Failure> {
    let path = folder.join(ENROLMENT);
    let draft = folder.join("enrolment.json.new");
    let text = serde_json::to_vec_pretty(enrolment)?;
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(FILE_MODE);
        let mut file = options.open(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(folder)?.sync_all()
    };
    Ok(write().map_err(|source| FolderError::Io { path, source })?)
}

fn read_enrolment(folder: &Path) -> Result<Enrolment, FolderError> {
    let path = folder.join(ENROLMENT);
    let text = fs::read(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => FolderError::NotEnrolled(folder.to_owned()),
        _ => FolderError::Io { path: path.clone(), source },
    })?;
    serde_json::from_slice(&text).map_err(|source| FolderError::Malformed { path, source })
}

fn limits(count: u64, mib: u64) -> SpoolLimits {
    SpoolLimits { count, bytes: mib.saturating_mul(1 << 20) }
}

/// What a gateway's folder holds, open.
struct Opened {
    enrolment: Enrolment,
    key: ReporterKey,
    spool: Arc<SpoolDb>,
}

fn open(folder: &FolderArgs, limits: SpoolLimits) -> Result<Opened, Failure> {
    let FolderArgs { path, passphrase } = folder;
    let enrolment = read_enrolment(path)?;
    check_folder(path)?;
    let spool = path.join(FileName::Spool.as_str());
    if !spool.exists() {
        return Err(FolderError::NoSpool(spool).into());
    }
    // The spool is locked first: two gateways would give two events one number.
    let spool = Arc::new(SpoolDb::open(path, limits)?);
    let key = ReporterKey::load(&path.join(KEYSTORE), &passphrase.read()?)?;
    Ok(Opened { enrolment, key, spool })
}

async fn forward(args: RunArgs) -> Outcome {
    let RunArgs { folder, listen, expose, upstream, spool_events, spool_mib, keep_days } = args;
    if !listen.ip().is_loopback() && !expose {
        return Err(FolderError::Exposed(listen).into());
    }
    let limits = limits(spool_events, spool_mib);
    let Opened { enrolment, key, spool } = spawn_blocking(move || open(&folder, limits)).await??;
    let upstream = upstream.as_deref().map(check_upstream).transpose()?.map(str::to_owned);
    let name = enrolment.name.clone();
    let reached = upstream.clone().unwrap_or_else(|| enrolment.upstream.clone());
    let signer: Arc<dyn ReportSigner> = Arc::new(key);
    let options = Options { listen, upstream, ..Options::default() };
    let running = Gateway::start(options, enrolment, spool.clone(), signer).await?;
    tracing::info!("taking the events of {name} at http://{}/fhir, for {reached}", running.addr());
    let failed = tokio::select! {
        () = asked_to_end() => None,
        failure = look_after(spool, keep_days) => Some(failure),
    };
    running.stop().await;
    match failed {
        Some(failure) => Err(failure),
        None => Ok(ExitCode::from(OK)),
    }
}

/// Forgets what is old enough; returns once the disk cannot be trusted.
async fn look_after(spool: Arc<SpoolDb>, keep_days: Option<u64>) -> Failure {
    let keep_ms = keep_days.map(|days| days.saturating_mul(DAY_MS));
    let mut forget_next = tokio::time::Instant::now();
    loop {
        let is_time = tokio::time::Instant::now() >= forget_next;
        let (spool, keep_ms) = (spool.clone(), keep_ms.filter(|_| is_time));
        if is_time {
            forget_next += FORGET;
        }
        match spawn_blocking(move || look(&spool, keep_ms)).await {
            Ok(Err(SpoolError::Disk(error))) if error.is_fatal() => {
                return Failure::new(format!("the spool's {error}"));
            }
            Ok(Err(error)) => tracing::warn!("the spool: {error}"),
            Ok(Ok(())) => {}
            Err(panic) => return panic.into(),
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn look(spool: &SpoolDb, keep_ms: Option<u64>) -> Result<(), SpoolError> {
    spool.usage()?;
    let Some(keep_ms) = keep_ms else { return Ok(()) };
    let forgotten = spool.forget(now_ms().saturating_sub(keep_ms))?;
    if forgotten > 0 {
        tracing::info!(forgotten, "dropped what was sent long ago; its receipts stay");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> Option<Args> {
        Line::try_parse_from(line.split(' ')).ok().map(|line| line.args)
    }

    #[test]
    fn an_invite_names_the_log_and_a_code() {
        let parts = |invite| parse_invite(invite).ok();
        let log = "https://log.example";
        assert_eq!(parts("https://log.example/#invite=AB-12"), Some((log, "AB-12")));
        assert_eq!(
            parts(" https://log.example/a/#invite=AB\n").unwrap().0,
            "https://log.example/a"
        );
        for none in ["AB-12", "https://log.example/", "https://log.example/#invite=", "x#invite=A"]
        {
            assert_eq!(parts(none), None, "{none}");
        }
    }

    #[test]
    fn a_log_is_reached_encrypted_or_on_this_machine() {
        let fine =
            ["https://log.example", "http://127.0.0.1:80", "http://localhost", "http://[::1]:9"];
        for url in fine {
            assert_eq!(check_upstream(url).unwrap(), url);
        }
        let in_clear = [
            "http://log.example",
            "http://127.0.0.1.log.example",
            "http://localhost@log.example",
            "http://10.0.0.1",
            "ftp://[::1]",
        ];
        for url in in_clear {
            assert!(matches!(check_upstream(url), Err(FolderError::InClear(_))), "{url}");
        }
    }

    #[test]
    fn running_needs_no_word_and_joining_needs_an_invite() {
        let run = |args: Args| match args.command {
            Some(Command::Run(run)) => run,
            None => args.run,
            Some(_) => unreachable!("each line below runs"),
        };
        for line in
            ["gateway --dir d --listen 127.0.0.1:1", "gateway run --dir d --listen 127.0.0.1:1"]
        {
            let run = run(parsed(line).unwrap());
            assert_eq!((run.folder.path, run.listen.port()), ("d".into(), 1));
        }
        assert!(parsed("gateway init").is_none());
        assert!(parsed("gateway --dir d init x").is_none());
        assert!(matches!(
            parsed("gateway init x --dir d").unwrap().command,
            Some(Command::Init(_))
        ));
    }

    #[test]
    fn a_folder_without_an_enrolment_says_what_to_do_first() {
        let dir = tempfile::tempdir().unwrap();
        let error = read_enrolment(dir.path()).unwrap_err();
        assert!(error.to_string().contains("gateway init"), "{error}");
        fs::write(dir.path().join(ENROLMENT), "{}").unwrap();
        assert!(matches!(read_enrolment(dir.path()), Err(FolderError::Malformed { .. })));
    }
}
