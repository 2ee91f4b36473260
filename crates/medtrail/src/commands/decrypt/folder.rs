//! A new folder that is whole or absent. What stands in it is about a person: nobody else of this
//! machine may read it, and a run that was cut off must not leave it about unseen.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum FolderError {
    #[error("{} exists: name a folder that does not, nothing is overwritten", .0.display())]
    Exists(PathBuf),
    #[error(
        "{} was left by a run that was cut off, with opened data in it: remove it, then try again",
        .0.display()
    )]
    CutOff(PathBuf),
    #[error("--out {} has no name of its own: name a new folder", .0.display())]
    Nameless(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> FolderError + '_ {
    move |source| FolderError::Io { path: path.to_owned(), source }
}

/// A folder on its way: under another name until it is whole, and gone if it never is.
#[derive(Debug)]
pub(in crate::commands) struct NewFolder {
    unfinished: PathBuf,
    name: PathBuf,
    is_published: bool,
}

impl NewFolder {
    /// Fails if the name is taken, by whatever it may be.
    pub(in crate::commands) fn require_free(name: &Path) -> Result<(), FolderError> {
        match fs::symlink_metadata(name) {
            Ok(_) => Err(FolderError::Exists(name.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_at(name)(error)),
        }
    }

    pub(in crate::commands) fn begin(name: &Path) -> Result<Self, FolderError> {
        Self::require_free(name)?;
        let last = name.file_name().ok_or_else(|| FolderError::Nameless(name.to_owned()))?;
        // Beside it: a rename crosses no file system.
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(last);
        hidden.push(".unfinished");
        let unfinished = name.with_file_name(hidden);
        private_folder(&unfinished).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FolderError::CutOff(unfinished.clone()),
            _ => io_at(&unfinished)(error),
        })?;
        Ok(Self { unfinished, name: name.to_owned(), is_published: false })
    }

    /// Writes one file, durably. The path is a delivery's: names of a reader's choice below the
    /// folder, and nothing else is taken here either.
    pub(in crate::commands) fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let relative = Path::new(path);
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if path.is_empty() || !relative.components().all(is_plain) {
            let words = format!("{path:?} leads out of the folder");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let mut folder = self.unfinished.clone();
        for part in relative.parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            match private_folder(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let at = self.unfinished.join(relative);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(at)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Gives it its name.
    pub(in crate::commands) fn publish(mut self) -> Result<(), FolderError> {
        sync_tree(&self.unfinished).map_err(io_at(&self.unfinished))?;
        Self::require_free(&self.name)?;
        // Whoever took the name since then: a rename replaces an empty folder and nothing else.
        fs::rename(&self.unfinished, &self.name).map_err(io_at(&self.name))?;
        self.is_published = true;
        let parent = match self.name.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(io_at(parent))
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.is_published && fs::remove_dir_all(&self.unfinished).is_err() {
            eprintln!("medtrail: {} could not be removed", self.unfinished.display());
        }
    }
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// The names in it. The files are durable already.
fn sync_tree(folder: &Path) -> io::Result<()> {
    for item in fs::read_dir(folder)? {
        let item = item?;
        if item.file_type()?.is_dir() {
            sync_tree(&item.path())?;
        }
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_is_whole_or_absent() {
        let home = tempfile::tempdir().unwrap();
        let (out, hidden) = (home.path().join("out"), home.path().join(".out.unfinished"));
        let mut folder = NewFolder::begin(&out).unwrap();
        folder.write("manifest.json", b"{}").unwrap();
        folder.write("records/000001.json", b"one").unwrap();
        assert!(!out.exists() && hidden.exists());
        drop(folder);
        assert!(!out.exists() && !hidden.exists());

        let mut folder = NewFolder::begin(&out).unwrap();
        folder.write("records/000001.json", b"one").unwrap();
        folder.publish().unwrap();
        assert_eq!(fs::read(out.join("records/000001.json")).unwrap(), b"one");
        assert!(!hidden.exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&out), mode(&out.join("records"))), (0o700, 0o700));
        assert_eq!(mode(&out.join("records/000001.json")), 0o600);
    }

    #[test]
    fn nothing_is_overwritten_whatever_has_the_name() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out");
        let taken = |out: &Path| matches!(NewFolder::begin(out), Err(FolderError::Exists(_)));
        fs::write(&out, b"mine").unwrap();
        assert!(taken(&out));
        fs::remove_file(&out).unwrap();
        std::os::unix::fs::symlink("nowhere", &out).unwrap();
        assert!(taken(&out));
        fs::remove_file(&out).unwrap();

        // Taken while it was being written.
        let mut folder = NewFolder::begin(&out).unwrap();
        folder.write("a", b"a").unwrap();
        fs::create_dir(&out).unwrap();
        fs::write(out.join("mine"), b"mine").unwrap();
        assert!(matches!(folder.publish(), Err(FolderError::Exists(_))));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        assert!(matches!(NewFolder::begin(Path::new("/")), Err(FolderError::Exists(_))));
    }

    #[test]
    fn what_a_crash_left_is_told_and_not_built_upon() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out");
        // As a killed process leaves it.
        std::mem::forget(NewFolder::begin(&out).unwrap());
        assert!(matches!(NewFolder::begin(&out), Err(FolderError::CutOff(_))));
        assert!(home.path().join(".out.unfinished").exists());
    }

    #[test]
    fn no_path_leads_out_of_it_and_none_is_written_twice() {
        let home = tempfile::tempdir().unwrap();
        let mut folder = NewFolder::begin(&home.path().join("out")).unwrap();
        for path in ["", "../a", "/a", "a/../../b", "./a"] {
            assert!(folder.write(path, b"x").is_err(), "{path}");
        }
        folder.write("a", b"x").unwrap();
        assert!(folder.write("a", b"y").is_err());
        drop(folder);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
