//! The folder abi/ as text.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::step::{Failure, Result, root};

/// File name -> text.
pub(super) type Files = BTreeMap<String, String>;

fn folder() -> PathBuf {
    root().join("abi")
}

fn failed(error: io::Error) -> Failure {
    Failure::new(format!("{}: {error}", folder().display()), "may this user write there?")
}

/// What abi/ holds now.
pub(super) fn committed() -> Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder()).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, fs::read_to_string(&path).map_err(failed)?);
    }
    Ok(files)
}

/// Makes abi/ hold exactly these files, and says what that changed.
#[cfg(feature = "abi")]
pub(super) fn write(compiled: &Files) -> Result {
    let before = committed()?;
    for line in drift(compiled, &before) {
        println!("> now mended: {line}");
    }
    for name in before.keys().filter(|name| !compiled.contains_key(*name)) {
        fs::remove_file(folder().join(name)).map_err(failed)?;
    }
    for (name, text) in compiled {
        if before.get(name) != Some(text) {
            fs::write(folder().join(name), text).map_err(failed)?;
        }
    }
    Ok(())
}

/// One line for each file that is not as compiled.
pub(super) fn drift(compiled: &Files, committed: &Files) -> Vec<String> {
    let missing_or_other = compiled.iter().filter_map(|(name, text)| match committed.get(name) {
        None => Some(format!("abi/{name} is missing")),
        Some(old) if old != text => Some(format!("abi/{name} is not what contracts/ compiles to")),
        Some(_) => None,
    });
    let left_over = (committed.keys())
        .filter(|name| !compiled.contains_key(*name))
        .map(|name| format!("abi/{name} belongs to no contract"));
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
        assert!(drift(&same, &same).is_empty());
    }

    #[test]
    fn each_kind_of_drift_names_its_contract() {
        let compiled = files(&[("Changed.json", "new"), ("Added.json", "{}"), ("Same.json", "{}")]);
        let committed = files(&[("Changed.json", "old"), ("Gone.json", "{}"), ("Same.json", "{}")]);
        assert_eq!(
            drift(&compiled, &committed),
            [
                "abi/Added.json is missing",
                "abi/Changed.json is not what contracts/ compiles to",
                "abi/Gone.json belongs to no contract",
            ]
        );
    }

    #[test]
    fn abi_holds_only_abi_and_bytecode_of_contracts_that_exist() {
        for (name, text) in committed().expect("abi/ is readable") {
            let file: serde_json::Value = serde_json::from_str(&text).expect(&name);
            let file = file.as_object().expect(&name);
            assert_eq!(file.keys().map(String::as_str).collect::<Vec<_>>(), ["abi", "bytecode"]);
            let bytecode = file["bytecode"].as_str().expect(&name);
            let digits = bytecode.strip_prefix("0x").expect(&name);
            assert!(!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
            assert!(text.ends_with("}\n"), "{name}");
        }
    }
}
