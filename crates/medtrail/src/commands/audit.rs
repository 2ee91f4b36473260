//! `medtrail audit`: replays a whole log against the chain. Needs the export, an RPC URL, and
//! nothing of ours; with the operator's keys it also opens every row.

mod events;
mod folder;
mod keep;
mod opening;
mod permissions;
mod replay;
mod tables;

use super::verify::{read_trust, registry_stands};
use crate::exit::{AMBER, FAILED, Failure, OK, Outcome};
use crate::render::{self, Progress};
use folder::Folder;
use medtrail_chain::{Chain, Contract, Finality, OpenedSeen, Rpc};
use medtrail_ledger::audit::evidence::AuditEvidence;
use medtrail_ledger::audit::history::{History, read_checkpoint};
use medtrail_ledger::audit::{Check, Checked, Tally};
use medtrail_ledger::checkpoint::SignedCheckpoint;
use medtrail_ledger::schema::domain;
use medtrail_ledger::trust::TrustFile;
use medtrail_ledger::verify::Verdict;
use medtrail_permit::replay::Found;
use medtrail_permit::sale::Market;
use medtrail_permit::sale::cohort::CohortMarket;
use opening::Opening;
use permissions::{Markets, Permissions};
use replay::{Replayed, replay};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Replays a whole log against the chain: every tile, anchor and row, and with the operator's keys
/// every entry, every signature, and, with --trust, every change against its person's permission.
///
/// Exit code 0: all green. 3: nothing wrong, but something is missing or should be known (a log you
/// have not named, a late anchor, entries newer than this copy). 1: something is wrong, or the log
/// or the chain could not be read. The first fault is kept in a file with what shows it.
///
/// The chain is what the endpoint says it is: use a node of your own, or ask two. Only finalized
/// blocks count.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A log as `medtrail export` writes it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// A JSON-RPC endpoint of the chain, of your own choice
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// Whose log you mean, and who may sign in it: the operator's /.well-known/medtrail.json, as you
    /// have it
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// The folder of the log's keys, to open each row: for the operator's own auditor
    #[arg(long, value_name = "FOLDER", conflicts_with = "without_rows")]
    keys_dir: Option<PathBuf>,
    /// The folder is a copy of the public part: checkpoint and tiles, no rows, no anchors.json
    #[arg(long)]
    without_rows: bool,
    /// How long the log may take to tell a person that a change was not permitted, in seconds; what
    /// the copy's end cuts off within that time is told as "not told yet"
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    grace: u64,
    /// Where the first fault is kept, with what shows it; a file that is there is not replaced
    #[arg(long, value_name = "FILE", default_value = "audit-evidence.json")]
    evidence: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    if !args.folder.is_dir() {
        let path = args.folder.display();
        return Err(Failure::new(format!("{path} is no folder: name one that an export wrote")));
    }
    // Known before a long replay, not after it.
    if args.evidence.exists() {
        return Err(Failure::new(format!(
            "{} is there from an earlier audit: move it away, or name another with --evidence",
            args.evidence.display()
        )));
    }
    let folder = Folder::new(args.folder.clone());
    let mut tally = Tally::default();
    let note = folder.checkpoint()?;
    let signed = read_checkpoint(note.as_deref(), &mut tally);
    let at_rpc = |failure: Failure| Failure::new(format!("{}: {failure}", args.rpc));
    let rpc = Rpc::new(&[&args.rpc])?;
    let markets = markets_of(&rpc).await.map_err(at_rpc)?;
    let (chain, history) =
        read_chain(rpc, signed.as_ref(), trust.as_ref()).await.map_err(at_rpc)?;

    let audited = tokio::task::block_in_place(|| {
        let trust = trust.as_ref();
        let (folder, chain, history) = (&folder, &chain, &history);
        let audit = Audit { args: &args, folder, chain, history, trust, markets };
        audit.replay(note.as_deref(), signed.as_ref(), &mut tally)
    })?;
    let verdict = tally.verdict();
    match args.json {
        true => println!("{:#}", audited.to_json(&history, &tally)),
        false => audited.print(&history, &tally),
    }
    Ok(ExitCode::from(match verdict {
        Verdict::Green => OK,
        Verdict::Amber => AMBER,
        Verdict::Red => FAILED,
    }))
}

async fn markets_of(rpc: &Rpc) -> Result<Markets, Failure> {
    let chain_id = rpc.chain_id().await?;
    let data_market = Contract::DataMarket.address();
    let cohort_market = Contract::CohortMarket.address();
    let has = async |contract| rpc.has_code(contract).await;
    Ok(Markets {
        orders: has(data_market).await?.then_some(Market { chain_id, data_market }),
        calls: has(cohort_market).await?.then_some(CohortMarket { chain_id, cohort_market }),
    })
}

/// Finds the log on the chain and reads all that is said of it there.
async fn read_chain(
    rpc: Rpc,
    signed: Option<&SignedCheckpoint>,
    trust: Option<&TrustFile>,
) -> Result<(Chain, History), Failure> {
    let chain_id = rpc.chain_id().await?;
    if let Some(trust) = trust.filter(|trust| trust.chain_id != chain_id) {
        return Err(Failure::new(format!(
            "this endpoint is chain {chain_id}, your trust file names chain {}: give --rpc an \
             endpoint of that chain",
            trust.chain_id
        )));
    }
    let registry = trust.map_or_else(|| Contract::AnchorRegistry.address(), |trust| trust.registry);
    if !registry_stands(registry, trust, &rpc).await? {
        return Err(Failure::new(format!(
            "chain {chain_id} has no AnchorRegistry at {registry}: is this the log's chain? Give \
             --rpc an endpoint of it, and --trust FILE if its registry stands elsewhere"
        )));
    }
    let chain = Chain::new(rpc, chain_id, registry, Finality::Tag);
    let log = match trust {
        Some(trust) => trust.log,
        None => {
            let signed = signed.ok_or_else(|| {
                Failure::new(
                    "the folder has no readable checkpoint that would say which log it is: name it \
                     with --trust FILE",
                )
            })?;
            let origin = &signed.checkpoint.origin;
            let domain = domain(chain_id, registry);
            let is_it = |opened: &OpenedSeen| {
                signed.verify_operator(opened.operator, opened.log, &domain).is_ok()
            };
            let progress = Progress::new("blocks");
            let found = chain.find_opened(origin, is_it, |done, of| progress.at(done, of)).await?;
            progress.finish();
            let unknown = || {
                Failure::new(format!(
                    "chain {chain_id} knows no log {} whose opener signed this checkpoint: give \
                     --rpc an endpoint of the log's chain, or name the log with --trust FILE",
                    render::harmless(origin)
                ))
            };
            found.ok_or_else(unknown)?.log
        }
    };
    let progress = Progress::new("blocks");
    let history = chain.history(log, |done, of| progress.at(done, of)).await?;
    progress.finish();
    let history = history.ok_or_else(|| {
        Failure::new(format!(
            "log {log} was never opened at {registry} on chain {chain_id}, up to its newest final \
             block: is this the log's chain?"
        ))
    })?;
    Ok((chain, history))
}

struct Audit<'a> {
    args: &'a Args,
    folder: &'a Folder,
    chain: &'a Chain,
    history: &'a History,
    trust: Option<&'a TrustFile>,
    markets: Markets,
}

/// What is told at the end.
struct Audited {
    replayed: Replayed,
    kinds: Option<Value>,
    permissions: Option<Found>,
    evidence: Option<PathBuf>,
}

impl Audit<'_> {
    fn replay(
        &self,
        note: Option<&[u8]>,
        signed: Option<&SignedCheckpoint>,
        tally: &mut Tally,
    ) -> Result<Audited, Failure> {
        let Self { args, folder, chain, history, trust, markets } = *self;
        let keys_dir = args.keys_dir.as_deref();
        let grace = Duration::from_secs(args.grace);
        let permissions =
            || trust.map(|trust| Permissions::new(chain, history, trust, markets, grace));
        let opening =
            keys_dir.map(|keys_dir| Opening::new(keys_dir, history, trust, permissions()));
        let mut opening = opening.transpose()?;
        if opening.is_some() && trust.is_none() {
            let words = "Not judged: without --trust nobody says which organisation reported what.";
            tally.note(Check::Permissions, words);
        }
        self.whose_log(tally);
        history.check(tally);
        let time_ms = signed.and_then(|signed| history.check_signatures(signed, trust, tally));
        if !args.without_rows {
            history.compare_claims(folder.anchors()?.as_deref(), tally);
        }
        let newest = history.newest().map_or(0, |seen| seen.anchor.size);
        let size = signed.map_or(newest, |signed| signed.checkpoint.size);
        let anchors = history.anchors.clone();
        let replayed = replay(folder, size, anchors, !args.without_rows, &mut opening, tally)?;
        history.check_length(size, time_ms, tally);
        if let Some(signed) = signed {
            history.check_root(signed, time_ms, replayed.root, tally);
        }
        if opening.is_none() {
            history.check_gaps(tally);
        }
        let kinds = opening.as_ref().map(|opening| json!(opening.kinds().counts()));
        let permissions = opening.as_mut().and_then(|opening| opening.permissions());
        let found = permissions.as_ref().map(|permissions| permissions.replay.found().clone());
        let shown = permissions.and_then(|permissions| permissions.replay.evidence());
        let entry = opening.and_then(|opening| opening.entry);
        let mut evidence = None;
        if let Some(fault) = tally.first_fault() {
            let mut kept = AuditEvidence::new(fault, history, note);
            let anchored = kept.anchor.as_ref().map_or(0, |anchor| anchor.size);
            kept.path = keep::path(folder, replayed.size, fault, anchored);
            kept.entry = entry;
            if let Some((entry, judged)) = shown.filter(|_| kept.check == Check::Permissions) {
                (kept.entry, kept.judged) = (Some(entry), Some(*judged));
            }
            keep::write(&kept, &args.evidence)?;
            evidence = Some(args.evidence.clone());
        }
        Ok(Audited { replayed, kinds, permissions: found, evidence })
    }

    fn whose_log(&self, tally: &mut Tally) {
        let History { log, origin, .. } = self.history;
        tally.count(Check::Log, 1);
        match self.trust {
            Some(trust) => tally.say(
                Check::Log,
                format!(
                    "Log {log} is that of {} ({}), named in your trust file.",
                    trust.operator.name, trust.operator.domain
                ),
            ),
            None => tally.note(
                Check::Log,
                format!(
                    "Log {log} ({origin}): consistent or not, you have not named it. Give --trust \
                     FILE to say whose log you mean."
                ),
            ),
        }
        if self.args.without_rows {
            tally.note(Check::Rows, "Not looked at: only the public part was given.");
        }
    }
}

/// How a check is told in one cell.
fn words_of(checked: &Checked) -> String {
    let words = match (&checked.first, checked.notes.is_empty()) {
        (Some(fault), _) if checked.faults > 1 => {
            format!("{} faults; the first: {}", checked.faults, fault.words)
        }
        (Some(fault), _) => fault.words.clone(),
        (None, false) => checked.notes.join(" "),
        (None, true) => checked.words.clone().unwrap_or_default(),
    };
    render::harmless(&words)
}

impl Audited {
    fn print(&self, history: &History, tally: &Tally) {
        let rows = tally.checks().map(|(check, checked)| {
            let verdict = checked.verdict();
            let sign = render::sign(verdict).to_owned();
            vec![sign, check.word().to_owned(), checked.count.to_string(), words_of(checked)]
        });
        render::wrapped_table(&["", "check", "checked", "result"], rows.collect());
        if let Some(kinds) = &self.kinds {
            println!("Entries by kind: {kinds}");
        }
        let has_changes = |found: &&Found| found.changes + found.without_key > 0;
        if let Some(found) = self.permissions.as_ref().filter(has_changes) {
            tables::permissions(found);
        }
        let has_sales = |found: &&Found| found.sale_looks + found.deliveries + found.downloads > 0;
        if let Some(found) = self.permissions.as_ref().filter(has_sales) {
            tables::sales(found);
        }
        println!(
            "{} entries about {} subjects, held against chain {} up to its final block {}.",
            self.replayed.size,
            self.replayed.subjects,
            history.chain_id,
            history.finalized.block.number
        );
        if let Some(fault) = tally.first_fault() {
            let (check, words) = (fault.flaw.check().word(), render::harmless(&fault.words));
            println!("First fault, found by {check}: {words}");
        }
        if let Some(evidence) = &self.evidence {
            println!("What shows it is in {}.", evidence.display());
        }
        let verdict = tally.verdict();
        let words = match verdict {
            Verdict::Green => "Audited: nothing is wrong.",
            Verdict::Amber => "Nothing is wrong, but read the lines marked !.",
            Verdict::Red => "NOT as it should be: see the lines marked ✗.",
        };
        println!("{}", render::coloured(verdict, words));
    }

    fn to_json(&self, history: &History, tally: &Tally) -> Value {
        let checks = tally.checks().map(|(check, checked)| {
            json!({
                "check": check,
                "verdict": checked.verdict(),
                "checked": checked.count,
                "faults": checked.faults,
                "words": words_of(checked),
            })
        });
        json!({
            "verdict": tally.verdict(),
            "log": history.log,
            "chainId": history.chain_id,
            "finalized": history.finalized.block,
            "entries": self.replayed.size,
            "subjects": self.replayed.subjects,
            "kinds": self.kinds,
            "permissions": self.permissions,
            "checks": checks.collect::<Vec<_>>(),
            "firstFault": tally.first_fault().map(|fault| json!({
                "check": fault.flaw.check(),
                "flaw": fault.flaw,
                "words": render::harmless(&fault.words),
            })),
            "evidence": self.evidence,
        })
    }
}
