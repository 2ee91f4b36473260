//! Downloads a delivery, and goes on where it was cut off. What has not the hash that the entry is
//! said to name never gets its name.

use super::purchase::Purchase;
use crate::exit::Failure;
use crate::session::Session;
use alloy_primitives::{B256, hex};
use aws_lc_rs::digest::{Context, SHA256};
use reqwest::{Response, StatusCode};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The whole file.
pub(crate) const DELIVERY: &str = "delivery.age";
/// The part that has come so far.
const PART: &str = "delivery.age.part";

/// What is to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    /// How many bytes the service says that it has.
    pub(crate) bytes: u64,
    /// Its SHA-256.
    pub(crate) file: B256,
}

/// Downloads a file from this path of the service into its folder.
pub(crate) async fn delivery(
    session: &Session,
    from: &str,
    purchase: &Purchase,
    told: Whole,
) -> Result<(), Failure> {
    let part = purchase.path(PART);
    let has = fs::metadata(&part).map_or(0, |held| held.len());
    if has < told.bytes {
        let tag = format!("\"{}\"", hex::encode(told.file));
        let answer = session.part(from, has, &tag).await?;
        take(answer, &part, has, told.bytes).await?;
    }
    finish(&part, &purchase.path(DELIVERY), told)
}

/// Where the bytes of an answer go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Goes {
    /// Behind what is there.
    On,
    /// In its place: what was there is of another file, or the server knows no parts.
    Anew,
}

/// A server may send less, more, or something else than was asked for.
fn goes(status: StatusCode, range: Option<&str>, has: u64) -> Result<Goes, Failure> {
    match status {
        StatusCode::PARTIAL_CONTENT => {
            let starts = range.and_then(|range| range.strip_prefix("bytes "));
            let starts = starts.and_then(|range| range.split_once('-')).map(|(start, _)| start);
            match starts.and_then(|start| start.parse::<u64>().ok()) {
                Some(start) if start == has => Ok(Goes::On),
                _ => Err(Failure::new("the service sent another part than was asked for")),
            }
        }
        _ => Ok(Goes::Anew),
    }
}

async fn take(mut answer: Response, part: &Path, has: u64, bytes: u64) -> Result<(), Failure> {
    let range = answer.headers().get("content-range").and_then(|range| range.to_str().ok());
    let goes = goes(answer.status(), range, has)?;
    let named = |error: io::Error| Failure::new(format!("{}: {error}", part.display()));
    let mut options = OpenOptions::new();
    let options = options.create(true).mode(0o600);
    let (mut file, mut has) = match goes {
        Goes::On => (options.append(true).open(part).map_err(named)?, has),
        Goes::Anew => (options.write(true).truncate(true).open(part).map_err(named)?, 0),
    };
    while let Some(chunk) = answer.chunk().await? {
        has += chunk.len() as u64;
        if has > bytes {
            // Nobody fills the disk with more than was said.
            let _ = fs::remove_file(part);
            return Err(Failure::new("the service sent more bytes than it said"));
        }
        file.write_all(&chunk).map_err(named)?;
    }
    file.sync_all().map_err(named)
}

fn finish(part: &Path, whole: &Path, told: Whole) -> Result<(), Failure> {
    let named = |error: io::Error| Failure::new(format!("{}: {error}", part.display()));
    let has = fs::metadata(part).map_err(named)?.len();
    if has < told.bytes {
        return Err(Failure::new(format!(
            "{has} of {} bytes came; the same command goes on from there",
            told.bytes
        )));
    }
    if sha256(part).map_err(named)? != told.file {
        let _ = fs::remove_file(part);
        return Err(Failure::new(
            "the file that came is not the one that was delivered; it is thrown away: try again",
        ));
    }
    fs::rename(part, whole).map_err(named)
}

pub(crate) fn sha256(path: &Path) -> io::Result<B256> {
    let (mut file, mut hash) = (File::open(path)?, Context::new(&SHA256));
    let mut some = vec![0; 1 << 16];
    loop {
        match file.read(&mut some)? {
            0 => return Ok(B256::from_slice(hash.finish().as_ref())),
            read => hash.update(&some[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::entry::details_hash;

    #[test]
    fn only_the_part_that_was_asked_for_is_put_behind_what_is_there() {
        let ok = |status, range: Option<&str>, has| goes(status, range, has).ok();
        let (part, whole) = (StatusCode::PARTIAL_CONTENT, StatusCode::OK);
        assert_eq!(ok(part, Some("bytes 5-9/10"), 5), Some(Goes::On));
        assert_eq!(ok(whole, None, 5), Some(Goes::Anew));
        for range in [None, Some("bytes 4-9/10"), Some("bytes 0-9/10"), Some("5-9/10"), Some("x")] {
            assert_eq!(ok(part, range, 5), None, "{range:?}");
        }
    }

    #[test]
    fn what_has_another_hash_never_gets_its_name() {
        let home = tempfile::tempdir().unwrap();
        let (part, whole) = (home.path().join("part"), home.path().join("whole"));
        let told = Whole { bytes: 4, file: details_hash(b"good") };
        fs::write(&part, b"goo").unwrap();
        assert!(finish(&part, &whole, told).is_err() && part.exists(), "a part is kept");
        fs::write(&part, b"evil").unwrap();
        assert!(finish(&part, &whole, told).is_err());
        assert!(!whole.exists() && !part.exists());
        fs::write(&part, b"good").unwrap();
        assert!(finish(&part, &whole, told).is_ok());
        assert_eq!(fs::read(&whole).unwrap(), b"good");
    }
}
