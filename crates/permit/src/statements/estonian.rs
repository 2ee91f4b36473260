//! The Estonian templates.

use super::{enumerate, span, terms};
use crate::check::Rights;
use crate::confidentiality::MARKS;
use crate::documents::{
    ChangeApproval, Delegation, Document, Erase, Grant, Guardianship, RecoveryPolicy,
};
use crate::scopes::{Parameter, SECURITY, Scope};
use crate::{purposes, resources};
use alloy_primitives::Address;
use medtrail_ledger::binding::minute;

pub(super) fn render(document: &Document) -> Option<String> {
    match document {
        Document::Grant(grant) => self::grant(grant),
        Document::ChangeApproval(document) => Some(approval(document)),
        Document::RecoveryPolicy(document) => Some(recovery(document)),
        Document::Delegation(document) => delegation(document),
        Document::Guardianship(document) => guardianship(document),
        Document::Erase(document) => Some(erasure(document)),
        Document::Revoke(_) | Document::RevokeAll(_) => None,
    }
}

/// `22.11.2026 kell 14:05 UTC`.
pub(crate) fn time(time_s: u64) -> String {
    let minute = minute(time_s);
    let (date, clock) = minute.split_once(' ').unwrap_or((&minute, ""));
    let parts: Vec<&str> = date.rsplit('-').collect();
    format!("{} kell {clock} UTC", parts.join("."))
}

fn grant(grant: &Grant) -> Option<String> {
    let (scopes, codes) = terms(&grant.scopes, &grant.purposes)?;
    let acts: Vec<String> = scopes.iter().map(act).collect();
    let reasons = codes.iter().map(|code| purposes::find(code).map(|purpose| purpose.estonian));
    let reasons: Vec<&str> = reasons.collect::<Option<_>>()?;
    Some(format!(
        "Luban aadressi {grantee} omanikul teha isiku {subject} terviseandmetega järgmist: {acts}. \
         Lubatud eesmärgid: {reasons}. Piiratud juurdepääsuga või tundlikuks märgitud andmeid \
         hõlmab luba ainult siis, kui see märge on siin nimetatud. Kehtib kuni {until}; loa võib \
         igal ajal tagasi võtta. (Medtrail luba 1)",
        grantee = grant.grantee,
        subject = grant.subject,
        acts = acts.join("; "),
        reasons = reasons.join("; "),
        until = time(grant.expiresAt),
    ))
}

/// `vaadata ja otsida mõõtmistulemusi`.
fn act(scope: &Scope) -> String {
    let verbs: Vec<String> =
        scope.interactions.letters().map(|letter| verb(letter).into()).collect();
    format!("{} {}", enumerate(&verbs, "ja"), data(scope))
}

/// `mõõtmistulemusi`: what a scope is about.
pub(crate) fn data(scope: &Scope) -> String {
    let data = match scope.resource {
        None => "kõiki andmeid".to_owned(),
        Some(name) => match resources::words(name) {
            Some((_, estonian)) => estonian.to_owned(),
            None => format!("andmeid tüübiga {name}"),
        },
    };
    let only = scope.parameter.as_ref().map(only).unwrap_or_default();
    format!("{data}{only}")
}

fn verb(letter: char) -> &'static str {
    match letter {
        'c' => "lisada",
        'r' => "vaadata",
        'u' => "muuta",
        'd' => "kustutada",
        _ => "otsida",
    }
}

fn only(Parameter { name, value }: &Parameter) -> String {
    let mark = MARKS.iter().find(|(code, ..)| name == SECURITY && code == value);
    match mark {
        Some((_, _, estonian)) => format!(" (ainult märkega: {estonian})"),
        None => format!(" (ainult kui {name} on {value})"),
    }
}

fn approval(document: &ChangeApproval) -> String {
    let ChangeApproval { subject, custodian, record, fromVersion: from, toVersion: to, .. } =
        document;
    let change = match (from.is_zero(), to.is_zero()) {
        (true, _) => format!("lisada kirje {record} versiooniga {to}"),
        (_, true) => format!("kustutada kirje {record}, mille versioon on {from}"),
        _ => format!("muuta kirjet {record}, senine versioon {from}, uus versioon {to}"),
    };
    format!(
        "Luban aadressi {custodian} omanikul teha isiku {subject} terviseandmetes ühe muudatuse: \
         {change}. Ühtegi teist muudatust see ei luba ja seda ainult ühe korra. Kehtib kuni \
         {until}. (Medtrail heakskiit 1)",
        until = time(document.expiresAt),
    )
}

fn recovery(document: &RecoveryPolicy) -> String {
    let trustees: Vec<String> = document.trustees.iter().map(Address::to_string).collect();
    let (number, unit) = span(document.delayS);
    // Two days at least: never one of a unit.
    let unit = ["päeva", "tundi", "minutit", "sekundit"][unit];
    format!(
        "Kui kaotan oma võtme, võivad siin nimetatud usaldusisikud isiku {subject} konto juhtimise \
         uuele aadressile üle anda. Usaldusisikuid kokku: {count}; neist vaja: {needed}. Ooteaeg: \
         {number} {unit}; selle aja jooksul saab mu praegune võti üleandmise peatada. Iga \
         usaldusisik saab üksi uute lubade andmise ja müügi kohe peatada. Usaldusisikud: \
         {trustees}. (Medtrail taaste 1)",
        count = trustees.len(),
        needed = document.needed,
        subject = document.subject,
        trustees = trustees.join(", "),
    )
}

fn rights(text: &str) -> Option<&'static str> {
    let Rights { see, permit } = Rights::parse(text)?;
    Some(match (see, permit) {
        (true, true) => {
            "vaadata terviseandmeid ja seda, kes neid on kasutanud, anda lube ja neid tagasi võtta"
        }
        (true, false) => "vaadata terviseandmeid ja seda, kes neid on kasutanud",
        _ => "anda lube ja neid tagasi võtta",
    })
}

fn delegation(document: &Delegation) -> Option<String> {
    Some(format!(
        "Volitan aadressi {delegate} omanikku tegutsema isiku {subject} eest. Lubatud: {rights}. \
         Keelatud: müüa andmeid, volitada teisi, võtta üle konto juhtimist. Kehtib kuni {until}; \
         volituse võib igal ajal tagasi võtta. (Medtrail volitus 1)",
        delegate = document.delegate,
        subject = document.subject,
        rights = rights(&document.rights)?,
        until = time(document.expiresAt),
    ))
}

fn guardianship(document: &Guardianship) -> Option<String> {
    Some(format!(
        "Aadressi {guardian} omanik tegutseb isiku eest, kelle number on {subject} ja kellel \
         endal võtit ei ole. Alus: {ground}. Lubatud: {rights}. Keelatud: müüa andmeid, volitada \
         teisi, võtta üle konto juhtimist. Seda on kontrollinud aadressi {custodian} omanik, kes \
         võib selle igal ajal lõpetada. Kehtib kuni {until}. (Medtrail esindus 1)",
        guardian = document.guardian,
        subject = document.subject,
        ground = document.ground,
        rights = rights(&document.rights)?,
        custodian = document.custodian,
        until = time(document.expiresAt),
    ))
}

fn erasure(document: &Erase) -> String {
    let Erase { log, subject, .. } = document;
    let what = match document.upToOrdinal {
        0 => format!(
            "Palun kustutada terviseandmed, mida logi {log} isiku {subject} kohta hoiab. Read \
             jäävad alles."
        ),
        line => format!(
            "Palun kustutada see, mida logi {log} isiku {subject} kohta hoiab: kõik terviseandmed \
             ja read kuni reani {line}. Nendega lõpeb kõik, mis kustutamiseni lubati."
        ),
    };
    format!(
        "{what} Kustutatakse 30 päeva pärast selle palve kirjapanekut; seni saab selle tühistada, \
         hiljem ei saa keegi andmeid taastada. Mida seadus kohustab säilitama, jääb alles kuni selle \
         kohustuse lõpuni. Palve tuleb kirja panna hiljemalt {until}. (Medtrail kustutamine 2)",
        until = time(document.expiresAt),
    )
}
