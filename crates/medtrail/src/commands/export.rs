//! `medtrail export`: the public part of a stopped log as plain files, and its sealed rows.

use super::Configured;
use crate::exit::{Failure, OK, Outcome};
use crate::render::Progress;
use alloy_primitives::hex;
use medtrail_ledger::merkle::leaf_hash;
use medtrail_ledger::ports::{Journal, Outbox};
use medtrail_ledger::proof::spell;
use medtrail_ledger::tile::{TILE_HEIGHT, TileId, hashes};
use medtrail_store::{Store, StoreOptions, export};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes a stopped log into a folder: a C2SP tlog-tiles log that any web server can serve and any
/// reader of that format can check, its anchors, and its rows, still sealed.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
    /// An empty or new folder
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

pub(crate) fn run(args: Args) -> Outcome {
    let config = args.configured.load()?;
    let store = Store::open(&config.existing_log_dir()?, StoreOptions::default())?;
    let to = &args.to;
    std::fs::create_dir_all(to)?;
    if std::fs::read_dir(to)?.next().is_some() {
        return Err(Failure::new(format!("{} is not empty; name a new folder", to.display())));
    }
    let tail = store.tail()?;
    write(&to.join("checkpoint"), &tail.checkpoint)?;
    write(&to.join("anchors.json"), &spell(&store.load()?.anchors))?;
    write_tiles(&store, tail.size, to)?;
    let progress = Progress::new("entries");
    let mut rows = BufWriter::new(std::fs::File::create(to.join("rows.ndjson"))?);
    for entry in export(&store, 0..tail.size)? {
        let entry = entry?;
        progress.at(entry.index + 1, tail.size);
        writeln!(
            rows,
            r#"{{"index":{},"commitment":"{}","row":"{}"}}"#,
            entry.index,
            hex::encode_prefixed(entry.commitment),
            hex::encode_prefixed(&entry.row)
        )?;
    }
    rows.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    progress.finish();
    println!(
        "{} entries are in {}. The keys are not: they have a backup of their own.",
        tail.size,
        to.display()
    );
    Ok(ExitCode::from(OK))
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, bytes)
}

fn write_tiles(store: &Store, size: u64, to: &Path) -> Result<(), Failure> {
    for level in 0u8.. {
        let hashes_there = size.checked_shr(u32::from(level) * TILE_HEIGHT).unwrap_or(0);
        if hashes_there == 0 {
            return Ok(());
        }
        for index in 0..hashes_there.div_ceil(1 << TILE_HEIGHT) {
            let id = TileId { level, index };
            let width = id.width_at(size);
            let mut stored = store.tile(id)?.unwrap_or_default();
            if stored.len() < width * 32 {
                return Err(Failure::new(format!(
                    "tile {level}/{index} is damaged: run `medtrail fsck`"
                )));
            }
            stored.truncate(width * 32);
            if level > 0 {
                write(&to.join(id.path(width)), &stored)?;
                continue;
            }
            let commitments = hashes(&stored);
            let leaves: Vec<_> = commitments.iter().map(leaf_hash).collect();
            let bundle: Vec<u8> =
                commitments.iter().flat_map(|one| [&[0, 32], one.as_slice()].concat()).collect();
            write(&to.join(id.path(width)), &leaves.concat())?;
            write(&to.join(id.entries_path(width)), &bundle)?;
        }
    }
    Ok(())
}
