//! What npm brings, pinned: forge, anvil, solc, and what builds and tests the page.

use std::env::{self, consts};
use std::path::PathBuf;

use serde_json::Value;

use crate::step::{Failure, Result, Step, read_text, root};

/// Forge's own wrapper and the npm packages of forge and anvil ask for this.
const NODE_MAJOR_MIN: u32 = 20;

const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only say what is missing; install nothing
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result {
    let tools = if args.check { Tools::find()? } else { Tools::ready()? };
    for path in [&tools.forge, &tools.anvil] {
        let path = path.strip_prefix(root()).unwrap_or(path);
        println!("> {}", path.display());
    }
    Ok(())
}

/// The tools, known to stand where they are named.
pub(crate) struct Tools {
    forge: PathBuf,
    anvil: PathBuf,
}

impl Tools {
    /// Runs `npm ci` when node_modules is not what the lockfile says, and finds the tools.
    pub(crate) fn ready() -> Result<Self> {
        check_node()?;
        if !is_installed()? {
            Step::new("install the pinned npm tools (npm ci)", NPM)
                .args(["ci"])
                .or("is the npm registry reachable? `npm ping` tells")
                .run()?;
        }
        Self::find()
    }

    /// Finds the tools and installs nothing.
    fn find() -> Result<Self> {
        check_node()?;
        if !is_installed()? {
            return Err(Failure::new(
                "node_modules is not what package-lock.json says",
                "run `cargo xtask tools`",
            ));
        }
        Ok(Self { forge: binary("forge")?, anvil: binary("anvil")? })
    }

    /// A step run by forge: by its platform binary, because the npm launcher in front of it exits 0
    /// when tests fail.
    pub(crate) fn forge(&self, what: &str) -> Step {
        Step::new(what, &self.forge)
    }

    /// A step run by npm in one workspace of package.json.
    pub(crate) fn npm(&self, what: &str, workspace: &str) -> Step {
        Step::new(what, NPM).args(["--workspace", workspace])
    }
}

fn check_node() -> Result {
    let advice = format!("install Node {NODE_MAJOR_MIN} or newer, with npm");
    let version = Step::new("look for node", "node").args(["--version"]).or(&*advice).read()?;
    Step::new("look for npm", NPM).args(["--version"]).or(&*advice).read()?;
    match node_major(&version) {
        Some(major) if major >= NODE_MAJOR_MIN => Ok(()),
        _ => Err(Failure::new(format!("this is node {}", version.trim()), advice)),
    }
}

fn node_major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn is_installed() -> Result<bool> {
    let lockfile = json(&read_text("package-lock.json")?)?;
    match read_text("node_modules/.package-lock.json") {
        Ok(hidden) => Ok(matches(&lockfile, &json(&hidden)?)),
        Err(_) => Ok(false),
    }
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        Failure::new(format!("a lockfile of npm: {error}"), "delete node_modules and try again")
    })
}

/// Whether npm's own note of what it laid down agrees with the lockfile. Packages for other
/// platforms may be missing; npm writes that note last, so a broken install never agrees.
fn matches(lockfile: &Value, hidden: &Value) -> bool {
    let (Some(wanted), Some(present)) =
        (lockfile["packages"].as_object(), hidden["packages"].as_object())
    else {
        return false;
    };
    let same = |a: &Value, b: &Value| {
        ["version", "integrity", "resolved"].iter().all(|field| a[field] == b[field])
    };
    let nothing_else = present.keys().all(|path| wanted.contains_key(path));
    nothing_else
        && wanted.iter().filter(|(path, _)| !path.is_empty()).all(|(path, package)| {
            match present.get(path) {
                Some(found) => same(package, found),
                None => package["optional"] == true,
            }
        })
}

/// The binary that npm laid down or, on a platform for which it has none, the one on PATH.
fn binary(name: &str) -> Result<PathBuf> {
    let file = format!("{name}{}", consts::EXE_SUFFIX);
    let platform = platform(consts::OS, consts::ARCH);
    let from_npm = platform.map(|platform| {
        root().join(format!("node_modules/@foundry-rs/{name}-{platform}/bin")).join(&file)
    });
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join(&file));
    from_npm.into_iter().chain(on_path).find(|path| path.is_file()).ok_or_else(|| {
        Failure::new(
            format!("npm brought no {name} for {} on {}", consts::OS, consts::ARCH),
            format!("put the {name} of Foundry 1.7.1 on your PATH"),
        )
    })
}

/// The suffix of the npm package that holds the binary.
fn platform(os: &str, arch: &str) -> Option<&'static str> {
    match (os, arch) {
        ("linux", "x86_64") => Some("linux-amd64"),
        ("linux", "aarch64") => Some("linux-arm64"),
        ("macos", "x86_64") => Some("darwin-amd64"),
        ("macos", "aarch64") => Some("darwin-arm64"),
        ("windows", "x86_64") => Some("win32-amd64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lock(packages: Value) -> Value {
        json!({ "packages": packages })
    }

    #[test]
    fn every_platform_that_npm_has_binaries_for_is_known() {
        assert_eq!(platform("linux", "x86_64"), Some("linux-amd64"));
        assert_eq!(platform("linux", "aarch64"), Some("linux-arm64"));
        assert_eq!(platform("macos", "x86_64"), Some("darwin-amd64"));
        assert_eq!(platform("macos", "aarch64"), Some("darwin-arm64"));
        assert_eq!(platform("windows", "x86_64"), Some("win32-amd64"));
        assert_eq!(platform("windows", "aarch64"), None);
        assert_eq!(platform("freebsd", "x86_64"), None);
    }

    #[test]
    fn an_old_or_strange_node_is_told_from_a_new_one() {
        assert_eq!(node_major("v20.20.2\n"), Some(20));
        assert_eq!(node_major("v9.1.0"), Some(9));
        assert_eq!(node_major("20.1"), None);
        assert_eq!(node_major(""), None);
    }

    #[test]
    fn only_packages_for_other_platforms_may_be_missing() {
        let wanted = lock(json!({
            "": { "name": "root" },
            "node_modules/solc": { "version": "1.0.0", "integrity": "a" },
            "node_modules/forge-mac": { "version": "1.0.0", "integrity": "b", "optional": true },
        }));
        let solc = json!({ "version": "1.0.0", "integrity": "a" });
        assert!(matches(&wanted, &lock(json!({ "node_modules/solc": solc }))));
        assert!(!matches(&wanted, &lock(json!({}))), "solc is missing");
        assert!(!matches(&wanted, &json!({})), "no note at all");

        let other = json!({ "version": "1.0.1", "integrity": "c" });
        assert!(!matches(&wanted, &lock(json!({ "node_modules/solc": other }))), "another solc");
        let more = json!({ "node_modules/solc": solc, "node_modules/left": other });
        assert!(!matches(&wanted, &lock(more)), "a package that the lockfile lacks");
    }
}
