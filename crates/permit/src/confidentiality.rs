//! How private data are: the ordered levels of HL7 v3-Confidentiality, and the sensitive topics of
//! v3-ActCode. What a permission must name before it covers them.

use serde::{Deserialize, Serialize};

/// HL7 v3-Confidentiality, in its order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Confidentiality {
    /// Unrestricted.
    U,
    /// Low.
    L,
    /// Moderate.
    M,
    /// Normal: what health data are where nobody says otherwise.
    N,
    /// Restricted.
    R,
    /// Very restricted.
    V,
}

impl Confidentiality {
    /// Whether a permission covers data of this level only where it names the level.
    pub fn must_be_named(self) -> bool {
        self > Self::N
    }
}

/// A mark that a permission has to name (`?_security=…`) before it covers the data that bear it:
/// (code, English, Estonian).
pub(crate) const MARKS: [(&str, &str, &str); 24] = [
    ("R", "restricted", "piiratud juurdepääs"),
    ("V", "very restricted", "rangelt piiratud juurdepääs"),
    ("BH", "behavioural health", "käitumine ja vaimne tervis"),
    ("COGN", "cognitive disability", "kognitiivsed häired"),
    ("DVD", "developmental disability", "arenguhäired"),
    ("EMOTDIS", "emotional disturbance", "tundeeluhäired"),
    ("ETH", "substance use", "alkoholi ja uimastite tarvitamine"),
    ("ETHUD", "alcohol use disorder", "alkoholi tarvitamise häire"),
    ("GDIS", "genetic disease", "geneetilised haigused"),
    ("HIV", "HIV", "HIV"),
    ("MH", "mental health", "vaimne tervis"),
    ("MST", "sexual violence in the army", "seksuaalvägivald sõjaväes"),
    ("OPIOIDUD", "opioid use disorder", "opioidide tarvitamise häire"),
    ("PREGNANT", "pregnancy", "rasedus"),
    ("PSY", "psychiatry", "psühhiaatria"),
    ("PSYTHPN", "psychotherapy notes", "psühhoteraapia märkmed"),
    ("SCA", "sickle cell anaemia", "sirprakuline aneemia"),
    ("SDV", "sexual or domestic violence", "seksuaal- või perevägivald"),
    ("SEX", "sexual and reproductive health", "seksuaal- ja reproduktiivtervis"),
    ("SPI", "specially protected", "erikaitse all olevad andmed"),
    ("STD", "sexually transmitted disease", "sugulisel teel levivad haigused"),
    ("SUD", "substance use disorder", "sõltuvushäired"),
    ("TBOO", "to be discussed first", "enne avaldamist patsiendiga läbi rääkimata"),
    ("VIO", "violence", "vägivald"),
];

/// Whether this is a mark that a scope may name.
pub fn is_mark(code: &str) -> bool {
    MARKS.iter().any(|(mark, ..)| *mark == code)
}

/// The topics among the marks: codes of v3-ActCode.
pub fn topics() -> impl Iterator<Item = &'static str> {
    MARKS.iter().map(|(mark, ..)| *mark).filter(|mark| !matches!(*mark, "R" | "V"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_stand_in_their_order() {
        use Confidentiality::{L, M, N, R, U, V};
        let levels = [U, L, M, N, R, V];
        assert!(levels.is_sorted());
        assert_eq!(
            levels.map(Confidentiality::must_be_named),
            [false, false, false, false, true, true]
        );
    }

    #[test]
    fn each_mark_stands_once_and_no_ordinary_level_is_one() {
        for (place, (code, english, estonian)) in MARKS.iter().enumerate() {
            assert!(!english.is_empty() && !estonian.is_empty());
            assert!(MARKS[..place].iter().all(|(other, ..)| other != code), "{code}");
        }
        for ordinary in ["U", "L", "M", "N", "", "psy"] {
            assert!(!is_mark(ordinary), "{ordinary}");
        }
        assert_eq!(topics().count(), MARKS.len() - 2, "all but R and V");
    }
}
