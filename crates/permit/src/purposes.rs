//! Purposes of use: the tree of HL7 v3-ActReason below `PurposeOfUse` (version 2018-08-12), and
//! what the codes mean in plain words.
//!
//! A permission for a purpose covers what stands below it. So the words of a purpose that others
//! stand below say so: nobody must learn from a code table what was allowed.

/// Codes in a list of purposes.
pub const PURPOSES_MAX: usize = 16;
/// Bytes of a list of purposes.
pub const PURPOSES_BYTES_MAX: usize = 256;

/// The glass was broken: somebody could not be asked.
pub const BREAK_GLASS: &str = "BTG";

/// A code, the code above it (none: right below `PurposeOfUse`), English, Estonian.
pub(crate) struct Purpose {
    pub(crate) code: &'static str,
    parent: Option<&'static str>,
    pub(crate) english: &'static str,
    pub(crate) estonian: &'static str,
}

const fn top(code: &'static str, english: &'static str, estonian: &'static str) -> Purpose {
    Purpose { code, parent: None, english, estonian }
}

const fn below(
    parent: &'static str,
    code: &'static str,
    english: &'static str,
    estonian: &'static str,
) -> Purpose {
    Purpose { code, parent: Some(parent), english, estonian }
}

const PURPOSES: [Purpose; 59] = [
    top("HMARKT", "marketing", "turundus"),
    top(
        "HOPERAT",
        "running the organisation, also its training, quality and legal work",
        "asutuse töö korraldamine, ka koolitus, kvaliteet ja õigusasjad",
    ),
    below("HOPERAT", "CAREMGT", "organising care", "ravi korraldamine"),
    below("HOPERAT", "DONAT", "donation of organs or tissue", "elundi- ja koedoonorlus"),
    below("HOPERAT", "FRAUD", "finding fraud", "pettuste avastamine"),
    below("HOPERAT", "GOV", "tasks of the state", "riigi ülesanded"),
    below("HOPERAT", "HACCRED", "accreditation of the organisation", "asutuse akrediteerimine"),
    below("HOPERAT", "HCOMPL", "checking that rules are kept", "nõuete täitmise kontroll"),
    below("HOPERAT", "HDECD", "matters of a deceased person", "surnud isiku asjaajamine"),
    below("HOPERAT", "HDIRECT", "keeping a directory", "teatmiku pidamine"),
    below("HOPERAT", "HDM", "managing how care is delivered", "raviteenuste juhtimine"),
    below("HOPERAT", "HLEGAL", "legal matters", "õigusasjad"),
    below("HOPERAT", "HOUTCOMS", "measuring outcomes of care", "ravitulemuste hindamine"),
    below("HOPERAT", "HPRGRP", "reporting on health programmes", "terviseprogrammide aruandlus"),
    below("HOPERAT", "HQUALIMP", "improving quality", "kvaliteedi parandamine"),
    below(
        "HOPERAT",
        "HSYSADMIN",
        "running computer systems, also their labels and metadata",
        "infosüsteemide haldamine, ka märgised ja metaandmed",
    ),
    below("HSYSADMIN", "LABELING", "labelling data", "andmete märgistamine"),
    below("HSYSADMIN", "METAMGT", "managing metadata", "metaandmete haldamine"),
    below("HOPERAT", "MEMADMIN", "administration of members", "kindlustatute asjaajamine"),
    below("HOPERAT", "MILCDM", "military command", "sõjaväeline juhtimine"),
    below("HOPERAT", "PATADMIN", "administration of patients", "patsientide asjaajamine"),
    below("HOPERAT", "PATSFTY", "patient safety", "patsiendiohutus"),
    below("HOPERAT", "PERFMSR", "measuring performance", "tulemuslikkuse mõõtmine"),
    below("HOPERAT", "RECORDMGT", "keeping records", "andmekogude haldamine"),
    below(
        "HOPERAT",
        "SYSDEV",
        "developing computer systems, also tests",
        "infosüsteemide arendamine, ka testimine",
    ),
    below("SYSDEV", "HTEST", "tests of computer systems", "infosüsteemide testimine"),
    below("HOPERAT", "TRAIN", "training of staff", "töötajate koolitamine"),
    top("HPAYMT", "payment and insurance", "ravi eest tasumine ja kindlustus"),
    below("HPAYMT", "CLMATTCH", "papers that belong to a bill", "arve lisad"),
    below("HPAYMT", "COVAUTH", "approval of costs", "kulude hüvitamise kinnitamine"),
    below(
        "HPAYMT",
        "COVERAGE",
        "insurance, also joining it and what it covers",
        "kindlustus, ka sellega liitumine ja selle ulatus",
    ),
    below("COVERAGE", "ELIGDTRM", "deciding about insurance", "kindlustusõiguse määramine"),
    below("COVERAGE", "ELIGVER", "checking insurance", "kindlustusõiguse kontrollimine"),
    below("COVERAGE", "ENROLLM", "joining an insurance", "kindlustusega liitumine"),
    below("COVERAGE", "MILDCRG", "discharge from the army", "sõjaväeteenistusest vabastamine"),
    below("HPAYMT", "REMITADV", "notice of a payment", "makseteatis"),
    top("HRESCH", "health research of any kind", "igasugused terviseuuringud"),
    below("HRESCH", "BIORCH", "biomedical research", "biomeditsiinilised uuringud"),
    below("HRESCH", "CLINTRCH", "research on clinical trials", "kliinilised uuringud"),
    below(
        "CLINTRCH",
        "CLINTRCHNPC",
        "research on clinical trials without care",
        "kliinilised uuringud ilma ravita",
    ),
    below(
        "CLINTRCH",
        "CLINTRCHPC",
        "research on clinical trials with care",
        "kliinilised uuringud koos raviga",
    ),
    below(
        "CLINTRCH",
        "PRECLINTRCH",
        "research before a clinical trial",
        "kliinilise uuringu eeluuringud",
    ),
    below("HRESCH", "DSRCH", "research on one disease", "ühe haiguse uuringud"),
    below("HRESCH", "POARCH", "research on ancestry", "rahvastiku päritolu uuringud"),
    below("HRESCH", "TRANSRCH", "translational research", "siirdeuuringud"),
    top(
        "PATRQT",
        "at the request of the person, their family or who acts for them",
        "isiku enda, tema pere või esindaja soovil",
    ),
    below("PATRQT", "FAMRQT", "at the request of the family", "pere soovil"),
    below("PATRQT", "PWATRNY", "at the request of who acts for the person", "esindaja soovil"),
    below("PATRQT", "SUPNWK", "support by people close to the person", "lähedaste tugi"),
    top(
        "PUBHLTH",
        "public health, also disasters and threats",
        "rahvatervis, ka õnnetused ja ohud",
    ),
    below("PUBHLTH", "DISASTER", "help in a disaster", "abi suurõnnetuse korral"),
    below("PUBHLTH", "THREAT", "averting a threat", "ohu tõrjumine"),
    top(
        "TREAT",
        "treatment, also in an emergency or a clinical trial",
        "ravi, ka hädaolukorras või kliinilises uuringus",
    ),
    below("TREAT", "CLINTRL", "treatment in a clinical trial", "ravi kliinilises uuringus"),
    below("TREAT", "COC", "coordination of care", "ravi koordineerimine"),
    below(
        "TREAT",
        "ETREAT",
        "emergency treatment, also where the person cannot be asked",
        "erakorraline ravi, ka siis, kui isikult ei saa küsida",
    ),
    below(
        "ETREAT",
        "BTG",
        "an emergency in which the person cannot be asked",
        "hädaolukord, kus isikult ei saa küsida",
    ),
    below(
        "ETREAT",
        "ERTREAT",
        "treatment in an emergency room",
        "ravi erakorralise meditsiini osakonnas",
    ),
    below("TREAT", "POPHLTH", "health of groups of people", "rahvastikurühmade tervis"),
];

pub(crate) fn find(code: &str) -> Option<&'static Purpose> {
    PURPOSES.iter().find(|purpose| purpose.code == code)
}

/// Whether this is a purpose that a permission may name.
pub fn is_known(code: &str) -> bool {
    find(code).is_some()
}

/// Whether a permission for `granted` covers `asked`: it is the same, or stands above it.
pub fn covers(granted: &str, asked: &str) -> bool {
    let mut at = find(asked);
    while let Some(purpose) = at {
        if purpose.code == granted {
            return true;
        }
        at = purpose.parent.and_then(find);
    }
    false
}

/// What is wrong with a list of purposes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PurposeError {
    /// No purpose at all would be any purpose.
    #[error("purposes is empty")]
    Empty,
    /// Longer than is read.
    #[error("purposes has {0} bytes, at most {PURPOSES_BYTES_MAX} are taken")]
    Bytes(usize),
    /// More codes than are read.
    #[error("{0} purposes, at most {PURPOSES_MAX} are taken")]
    Count(usize),
    /// No code below `PurposeOfUse` of v3-ActReason.
    #[error("purpose {0:?} is no code below PurposeOfUse of HL7 v3-ActReason")]
    Unknown(String),
    /// The same code a second time.
    #[error("purpose {0:?} stands twice")]
    Twice(&'static str),
}

/// Reads purposes with one blank between them.
pub fn parse_list(text: &str) -> Result<Vec<&'static str>, PurposeError> {
    if text.is_empty() {
        return Err(PurposeError::Empty);
    }
    if text.len() > PURPOSES_BYTES_MAX {
        return Err(PurposeError::Bytes(text.len()));
    }
    let mut codes = Vec::new();
    for code in text.split(' ') {
        let known = find(code).ok_or_else(|| PurposeError::Unknown(code.to_owned()))?.code;
        if codes.contains(&known) {
            return Err(PurposeError::Twice(known));
        }
        codes.push(known);
    }
    if codes.len() > PURPOSES_MAX {
        return Err(PurposeError::Count(codes.len()));
    }
    Ok(codes)
}

/// All codes, in the order of the tree.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PURPOSES.iter().map(|purpose| purpose.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_covers_what_stands_below_it_and_nothing_else() {
        for (granted, asked) in [
            ("HRESCH", "CLINTRCH"),
            ("HRESCH", "CLINTRCHPC"),
            ("TREAT", "ETREAT"),
            ("TREAT", "BTG"),
        ] {
            assert!(covers(granted, asked), "{granted} {asked}");
            assert!(!covers(asked, granted), "{asked} {granted}");
        }
        for (granted, asked) in
            [("TREAT", "HRESCH"), ("HOPERAT", "HMARKT"), ("BTG", "ERTREAT"), ("TREAT", "XPARTY")]
        {
            assert!(!covers(granted, asked), "{granted} {asked}");
        }
        assert!(!covers("PurposeOfUse", "TREAT"));
        assert!(!covers("XPARTY", "XPARTY"), "an unknown purpose covers nothing, not even itself");
    }

    #[test]
    fn each_code_stands_once_below_one_that_stands_before_it() {
        for (place, purpose) in PURPOSES.iter().enumerate() {
            let before = &PURPOSES[..place];
            assert!(before.iter().all(|other| other.code != purpose.code), "{}", purpose.code);
            if let Some(parent) = purpose.parent {
                assert!(before.iter().any(|other| other.code == parent), "{}", purpose.code);
            }
        }
    }

    #[test]
    fn no_two_purposes_are_told_in_the_same_words() {
        for (place, purpose) in PURPOSES.iter().enumerate() {
            for other in &PURPOSES[..place] {
                assert_ne!(other.english, purpose.english);
                assert_ne!(other.estonian, purpose.estonian);
            }
        }
    }

    #[test]
    fn a_list_has_known_codes_once_with_one_blank_between() {
        assert_eq!(parse_list("TREAT HRESCH"), Ok(vec!["TREAT", "HRESCH"]));
        assert_eq!(parse_list(""), Err(PurposeError::Empty));
        assert_eq!(parse_list("TREAT TREAT"), Err(PurposeError::Twice("TREAT")));
        for broken in ["treat", "TREAT  HRESCH", " TREAT", "TREAT ", "TREAT,HRESCH", "PurposeOfUse"]
        {
            assert!(matches!(parse_list(broken), Err(PurposeError::Unknown(_))), "{broken}");
        }
        let all: Vec<&str> = codes().filter(|code| code.len() < 8).take(17).collect();
        assert_eq!(parse_list(&all.join(" ")), Err(PurposeError::Count(17)));
        assert_eq!(parse_list(&"T".repeat(257)), Err(PurposeError::Bytes(257)));
    }
}
