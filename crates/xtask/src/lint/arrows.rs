//! Who may depend on whom: `[workspace.metadata.arrows]` against `cargo metadata`.

use std::collections::BTreeSet;

use crate::workspace::{Arrows, Package};

/// One line for each arrow that the rules do not allow. Dev-dependencies are free: a test may
/// reach for any oracle, and nothing is built on it.
pub(super) fn broken(arrows: &Arrows, packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let watched = |name: &str| ours.contains(name) || arrows.fenced.iter().any(|f| f == name);

    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| !arrows.unbound.contains(&package.name)) {
        let Some(allowed) = arrows.allowed.get(&package.name) else {
            findings.push(format!("{} has no line in `allowed`", package.name));
            continue;
        };
        let built = package.dependencies.iter().filter(|dep| dep.kind.as_deref() != Some("dev"));
        let names: BTreeSet<&str> = built.map(|dep| dep.name.as_str()).collect();
        for name in names {
            if watched(name) && !allowed.iter().any(|allowed| allowed == name) {
                findings.push(format!("{} -> {name} is not allowed", package.name));
            }
        }
    }

    // A rule about nothing is a typing error, and would let through what it meant to stop.
    for (name, allowed) in &arrows.allowed {
        if !ours.contains(name.as_str()) {
            findings.push(format!("`allowed` names {name}, which is no package here"));
        }
        for target in allowed.iter().filter(|target| !watched(target)) {
            findings.push(format!("{name} -> {target}: neither ours nor fenced"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn arrows() -> Arrows {
        let allowed = [("ledger", vec![]), ("store", vec!["ledger", "redb"])];
        Arrows {
            fenced: vec!["redb".into()],
            unbound: vec!["journeys".into()],
            allowed: (allowed.into_iter())
                .map(|(name, to)| (name.into(), to.into_iter().map(Into::into).collect()))
                .collect(),
        }
    }

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = (dependencies.iter())
            .map(|&(name, kind)| Dependency { name: name.into(), kind: kind.map(Into::into) })
            .collect();
        Package { name: name.into(), dependencies }
    }

    fn house(ledger: &[(&str, Option<&str>)]) -> Vec<Package> {
        vec![
            package("ledger", ledger),
            package("store", &[("ledger", None), ("redb", None), ("serde", None)]),
            package("journeys", &[("store", None), ("redb", None)]),
        ]
    }

    #[test]
    fn allowed_arrows_and_libraries_outside_the_fence_pass() {
        assert!(broken(&arrows(), &house(&[("serde", None)])).is_empty());
    }

    #[test]
    fn an_arrow_the_wrong_way_is_named() {
        assert_eq!(
            broken(&arrows(), &house(&[("store", None)])),
            ["ledger -> store is not allowed"]
        );
    }

    #[test]
    fn a_fenced_library_is_stopped_as_normal_and_as_build_dependency_only() {
        let fenced = ["ledger -> redb is not allowed"];
        assert_eq!(broken(&arrows(), &house(&[("redb", None)])), fenced);
        assert_eq!(broken(&arrows(), &house(&[("redb", Some("build"))])), fenced);
        assert!(broken(&arrows(), &house(&[("redb", Some("dev"))])).is_empty());
    }

    #[test]
    fn a_crate_without_a_rule_and_a_rule_without_a_crate_are_named() {
        let mut packages = house(&[]);
        packages.push(package("new", &[]));
        assert_eq!(broken(&arrows(), &packages), ["new has no line in `allowed`"]);

        let mut arrows = arrows();
        arrows.allowed.insert("gone".into(), vec!["rebd".into()]);
        assert_eq!(
            broken(&arrows, &house(&[])),
            [
                "`allowed` names gone, which is no package here",
                "gone -> rebd: neither ours nor fenced",
            ]
        );
    }
}
