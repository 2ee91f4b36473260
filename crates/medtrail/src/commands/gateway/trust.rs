//! `medtrail gateway trust`: a gateway believes the keys of its enrolment and no others. When the
//! operator's key changes, or the organisation gets another gateway, somebody has to say that the
//! new key is right: the log alone cannot, for whoever speaks for it may not be its operator.

use super::{check_upstream, read_enrolment, write_enrolment};
use crate::client::checked;
use crate::exit::{AMBER, Failure, OK, Outcome};
use medtrail_gateway::Enrolment;
use medtrail_keys::file::check_folder;
use medtrail_ledger::trust::{Key, Organisation, TrustFile};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The gateway's folder
    #[arg(long = "dir", value_name = "FOLDER", default_value = "gateway")]
    path: PathBuf,
    /// Where the log is reached, if not where the invite came from
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Believe the keys shown, from the gateway's next start on
    #[arg(long)]
    accept: bool,
}

/// Why a trust file is not even shown.
#[derive(Debug, thiserror::Error)]
enum OtherLog {
    #[error("{url} serves another log than the one that was joined: nothing was changed")]
    Log { url: String },
}

pub(super) async fn run(args: Args) -> Outcome {
    let Args { path, upstream, accept } = args;
    let enrolment = read_enrolment(&path)?;
    check_folder(&path)?;
    let url = check_upstream(upstream.as_deref().unwrap_or(&enrolment.upstream))?.to_owned();
    let found = fetch(&url).await?;
    let known = &enrolment.trust;
    let names = |trust: &TrustFile| (trust.chain_id, trust.registry, trust.log);
    if names(&found) != names(known) || found.origin != known.origin {
        return Err(OtherLog::Log { url }.into());
    }
    let changes = changes(known, &found, &enrolment.name);
    for change in &changes {
        println!("{change}");
    }
    if changes.is_empty() {
        println!("The log names the keys that this gateway believes.");
        return Ok(ExitCode::from(OK));
    }
    println!();
    if !accept {
        println!("Ask the operator, by another way than the log, whether that is right. Then:");
        println!("medtrail gateway trust --dir {} --accept", path.display());
        return Ok(ExitCode::from(AMBER));
    }
    write_enrolment(&path, &Enrolment { trust: found, ..enrolment })?;
    println!("Accepted. It counts from the gateway's next start on.");
    Ok(ExitCode::from(OK))
}

async fn fetch(url: &str) -> Result<TrustFile, Failure> {
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let asked = http.get(format!("{url}/.well-known/medtrail.json")).send().await?;
    Ok(TrustFile::parse(&checked(asked).await?.bytes().await?)?)
}

/// What the log says otherwise than the enrolment, a line each: keys of the log, and of whoever
/// goes by the organisation's name or has a key of it. A gateway believes no others.
fn changes(known: &TrustFile, found: &TrustFile, name: &str) -> Vec<String> {
    let own = known.organisations.iter().filter(|one| one.name == name);
    let own: Vec<Key> = own.flat_map(|one| one.keys.clone()).collect();
    let mut changes = Vec::new();
    if known.operator.note_key != found.operator.note_key {
        changes.push(format!("key of the notes: {}", found.operator.note_key));
    }
    changed(&mut changes, "operator", &known.operator.keys, &found.operator.keys);
    let is_own = |key: &Key| own.iter().any(|known| known.address == key.address);
    let ours = |one: &&Organisation| one.name == name || one.keys.iter().any(is_own);
    for organisation in found.organisations.iter().filter(ours) {
        changed(&mut changes, &organisation.name, &own, &organisation.keys);
    }
    changes
}

fn changed(changes: &mut Vec<String>, whose: &str, known: &[Key], found: &[Key]) {
    for key in found.iter().filter(|key| !known.contains(key)) {
        let what = match known.iter().any(|one| one.address == key.address) {
            true => "changed",
            false => "new",
        };
        let until = key.until_ms.map_or_else(String::new, |until| format!(" until {until} ms"));
        changes.push(format!("{whose}: {what} key {} from {} ms{until}", key.address, key.from_ms));
    }
    for key in known.iter().filter(|key| found.iter().all(|one| one.address != key.address)) {
        changes.push(format!("{whose}: key {} is named no more", key.address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use medtrail_ledger::trust::{self, Operator};

    fn key(seed: u8, until_ms: Option<u64>) -> Key {
        Key { address: Address::repeat_byte(seed), from_ms: 1, until_ms }
    }

    fn file(operator: Vec<Key>, clinic: Vec<Key>) -> TrustFile {
        TrustFile {
            version: trust::VERSION.into(),
            chain_id: 1,
            registry: Address::ZERO,
            log: Default::default(),
            origin: "log.example".into(),
            operator: Operator {
                name: "Op".into(),
                domain: "log.example".into(),
                note_key: "key".into(),
                keys: operator,
            },
            organisations: vec![Organisation {
                name: "Clinic".into(),
                register_number: None,
                domain: "clinic.example".into(),
                keys: clinic,
            }],
        }
    }

    #[test]
    fn each_key_that_is_new_changed_or_gone_is_told() {
        let known = file(vec![key(1, None)], vec![key(2, None), key(3, None)]);
        assert_eq!(changes(&known, &known, "Clinic"), Vec::<String>::new());
        let found = file(vec![key(1, Some(9)), key(4, None)], vec![key(2, None), key(5, None)]);
        let told = changes(&known, &found, "Clinic");
        let expected = [
            format!("operator: changed key {} from 1 ms until 9 ms", key(1, None).address),
            format!("operator: new key {} from 1 ms", key(4, None).address),
            format!("Clinic: new key {} from 1 ms", key(5, None).address),
            format!("Clinic: key {} is named no more", key(3, None).address),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_organisation_of_another_name_that_has_our_key_is_told_and_strangers_are_not() {
        let known = file(vec![key(1, None)], vec![key(2, None)]);
        let mut found = known.clone();
        let other = |name: &str, keys| Organisation {
            name: name.into(),
            keys,
            ..known.organisations[0].clone()
        };
        found.organisations.push(other("Stranger", vec![key(7, None)]));
        found.organisations.push(other("Shadow", vec![key(2, None), key(8, None)]));
        let told = changes(&known, &found, "Clinic");
        assert_eq!(told, [format!("Shadow: new key {} from 1 ms", key(8, None).address)]);
    }
}
