//! Folders of generated text files that are committed: made again and compared, or written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::step::{Failure, Result, root};

/// File name -> text.
pub(crate) type Files = BTreeMap<String, String>;

/// Compares what was made with the folder as it stands; `again` is the command that writes it.
pub(crate) fn check(folder: &str, made: &Files, again: &str) -> Result {
    let drift = drift(folder, made, &read(folder)?);
    if drift.is_empty() {
        return Ok(());
    }
    Err(Failure::findings(&drift, format!("if that is meant, run `{again}` and commit {folder}/")))
}

/// Makes the folder hold exactly what was made, and says what that changed.
pub(crate) fn write(folder: &str, made: &Files) -> Result {
    let before = read(folder)?;
    for line in drift(folder, made, &before) {
        println!("> mend: {line}");
    }
    let path = root().join(folder);
    let failed = |error| failed(&path, error);
    fs::create_dir_all(&path).map_err(failed)?;
    for name in before.keys().filter(|name| !made.contains_key(*name)) {
        fs::remove_file(path.join(name)).map_err(failed)?;
    }
    for (name, text) in made.iter().filter(|(name, text)| before.get(*name) != Some(text)) {
        fs::write(path.join(name), text).map_err(failed)?;
    }
    Ok(())
}

/// Leaves nothing of a folder, so that what is read there later was made since.
pub(crate) fn clear(folder: &str) -> Result {
    let path = root().join(folder);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, error)),
        _ => Ok(()),
    }
}

/// What a folder holds; nothing, when there is none.
pub(crate) fn read(folder: &str) -> Result<Files> {
    let path = root().join(folder);
    let failed = |error| failed(&path, error);
    let mut files = Files::new();
    if !path.exists() {
        return Ok(files);
    }
    for entry in fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, fs::read_to_string(entry.path()).map_err(failed)?);
    }
    Ok(files)
}

fn failed(path: &Path, error: io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()), "may this user write there?")
}

/// One line for each file that is not as made.
fn drift(folder: &str, made: &Files, committed: &Files) -> Vec<String> {
    let missing_or_other = made.iter().filter_map(|(name, text)| match committed.get(name) {
        None => Some(format!("{folder}/{name} is missing")),
        Some(old) if old != text => Some(format!("{folder}/{name} is not what is made now")),
        Some(_) => None,
    });
    let left_over = (committed.keys())
        .filter(|name| !made.contains_key(*name))
        .map(|name| format!("{folder}/{name} is no longer made"));
    missing_or_other.chain(left_over).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Files {
        files.iter().map(|&(name, text)| (name.into(), text.into())).collect()
    }

    #[test]
    fn equal_folders_do_not_drift() {
        let same = files(&[("Registry.json", "{}\n"), ("Market.json", "[]\n")]);
        assert!(drift("abi", &same, &same).is_empty());
    }

    #[test]
    fn each_kind_of_drift_names_its_file() {
        let made = files(&[("Changed.json", "new"), ("Added.json", "{}"), ("Same.json", "{}")]);
        let committed = files(&[("Changed.json", "old"), ("Gone.json", "{}"), ("Same.json", "{}")]);
        assert_eq!(
            drift("abi", &made, &committed),
            [
                "abi/Added.json is missing",
                "abi/Changed.json is not what is made now",
                "abi/Gone.json is no longer made",
            ]
        );
    }

    #[test]
    fn a_folder_that_does_not_exist_holds_nothing() {
        assert!(read("no-such-folder").expect("no error").is_empty());
    }
}
