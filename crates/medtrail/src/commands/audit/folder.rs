//! The files of an export. Whoever made them may be the enemy: nothing is read beyond what an honest
//! one could hold.

use medtrail_ledger::audit::rows::LINE_BYTES_MAX;
use medtrail_ledger::audit::tree::FILE_BYTES_MAX;
use medtrail_ledger::note::NOTE_BYTES_MAX;
use medtrail_ledger::tile::{TileId, TileSource};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::PathBuf;

/// Anchors are about 500 bytes each: more than 20 years of one every ten minutes.
const ANCHORS_BYTES_MAX: usize = 1 << 30;

pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// A file, or `None` if there is none. One byte more than the limit shows that it is too long.
    fn read(&self, name: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        let read = File::open(&path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(&path, &error)),
        }
    }

    pub(super) fn checkpoint(&self) -> io::Result<Option<Vec<u8>>> {
        self.read(medtrail_ledger::audit::history::CHECKPOINT_FILE, NOTE_BYTES_MAX)
    }

    pub(super) fn anchors(&self) -> io::Result<Option<Vec<u8>>> {
        self.read(medtrail_ledger::audit::history::ANCHORS_FILE, ANCHORS_BYTES_MAX)
    }

    /// A file of the tree by its C2SP path.
    pub(super) fn tile(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.read(path, FILE_BYTES_MAX)
    }

    pub(super) fn rows(&self) -> io::Result<Option<Rows>> {
        let path = self.0.join(medtrail_ledger::audit::rows::ROWS_FILE);
        match File::open(&path) {
            Ok(file) => {
                let file = BufReader::with_capacity(1 << 18, file);
                Ok(Some(Rows { file, line: Vec::new(), path }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(&path, &error)),
        }
    }

    /// The tree of a log of `size` entries, for paths out of it.
    pub(super) fn tree(&self, size: u64) -> impl TileSource<Error = io::Error> + '_ {
        move |id: TileId| {
            let width = id.width_at(size);
            if id.level > 0 {
                return self.tile(&id.path(width));
            }
            let bundle = self.tile(&id.entries_path(width))?;
            let commitments = |bundle: Vec<u8>| {
                bundle.as_chunks::<34>().0.iter().flat_map(|entry| entry[2..].to_vec()).collect()
            };
            Ok(bundle.map(commitments))
        }
    }
}

/// The lines of `rows.ndjson`.
pub(super) struct Rows {
    file: BufReader<File>,
    line: Vec<u8>,
    path: PathBuf,
}

impl Rows {
    /// The next line without its newline. One that is too long comes cut, which no honest line
    /// looks like; so does a last one without a newline.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let limited = &mut (&mut self.file).take(LINE_BYTES_MAX as u64);
        let read = limited.read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| named(&self.path, &error))?;
        Ok((read > 0).then(|| self.line.strip_suffix(b"\n").unwrap_or(&[])))
    }
}

/// Which file it was: the system's words do not say.
fn named(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
