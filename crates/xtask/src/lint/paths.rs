//! No file says where somebody's checkout or registry stands.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::step::root;

/// One line for each path of this machine, or registry host in a lockfile, that a file holds.
pub(super) fn leaked(files: &[PathBuf]) -> Vec<String> {
    let places = places(root(), env::home_dir().as_deref(), &env::temp_dir());
    let mut findings = Vec::new();
    for file in files {
        // Binary files have no lines to mend.
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        let name = file.file_name().unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let found = match () {
                () if places.iter().any(|place| names_place(line, place)) => {
                    "a path of this machine"
                }
                () if name == "package-lock.json" && names_registry(line) => "a registry host",
                () if name == "Cargo.lock" && is_foreign_source(line) => "a source but crates.io",
                () => continue,
            };
            findings.push(format!("{}:{}: {found}", file.display(), index + 1));
        }
    }
    findings
}

/// What no file may contain: the checkout, the folder it stands in, the user's home. Folders that
/// every machine has are left out, or the outcome would depend on where the checkout stands.
fn places(root: &Path, home: Option<&Path>, temp: &Path) -> Vec<String> {
    let own = |place: &&Path| place.parent().is_some() && *place != temp;
    [Some(root), root.parent(), home]
        .into_iter()
        .flatten()
        .filter(own)
        .map(|place| format!("{}/", place.display()))
        .collect()
}

/// Whether the line holds this absolute path, and not one that merely ends like it.
fn names_place(line: &str, place: &str) -> bool {
    let inside_a_path = |c: char| c.is_alphanumeric() || "._-~*}".contains(c);
    line.match_indices(place).any(|(at, _)| !line[..at].ends_with(inside_a_path))
}

/// npm writes where a package came from unless .npmrc tells it not to.
fn names_registry(line: &str) -> bool {
    line.contains("\"resolved\": \"http")
}

fn is_foreign_source(line: &str) -> bool {
    line.strip_prefix("source = ")
        .is_some_and(|source| !source.contains("https://github.com/rust-lang/crates.io-index"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_its_folder_and_the_home_are_places_but_no_shared_folder_is() {
        let home = Some(Path::new("/home/anna"));
        let temp = Path::new("/tmp");
        assert_eq!(
            places(Path::new("/src/medtrail"), home, temp),
            ["/src/medtrail/", "/src/", "/home/anna/"]
        );
        assert_eq!(places(Path::new("/tmp/a-checkout"), None, temp), ["/tmp/a-checkout/"]);
        assert_eq!(places(Path::new("/medtrail"), None, temp), ["/medtrail/"]);
    }

    #[test]
    fn a_place_is_an_absolute_path_and_no_folder_of_the_same_name() {
        assert!(names_place("cd /src/medtrail", "/src/"));
        assert!(names_place("\"/src/medtrail\"", "/src/"));
        assert!(!names_place("crates/xtask/src/main.rs", "/src/"));
        assert!(!names_place("crates/*/src/", "/src/"));
    }

    #[test]
    fn a_registry_host_in_a_lockfile_is_seen() {
        assert!(names_registry("      \"resolved\": \"https://example.org/solc.tgz\","));
        assert!(!names_registry("      \"resolved\": \"anvil\","));
        assert!(is_foreign_source("source = \"git+https://example.org/redb\""));
        assert!(!is_foreign_source("name = \"redb\""));
    }
}
