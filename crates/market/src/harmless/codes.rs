//! Which codes and units survive. A code is free text to whoever sends it: only systems that are
//! named here pass, and of them only what is built like a code of theirs.

const LOINC: &str = "http://loinc.org";
const SNOMED: &str = "http://snomed.info/sct";
const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const ATC: &str = "http://www.whocc.no/atc";
const ICD_10: &str = "http://hl7.org/fhir/sid/icd-10";
const ICD_10_CM: &str = "http://hl7.org/fhir/sid/icd-10-cm";
const CVX: &str = "http://hl7.org/fhir/sid/cvx";
pub(super) const UCUM: &str = "http://unitsofmeasure.org";

const HL7: &str = "http://terminology.hl7.org/CodeSystem/";

/// HL7's small systems, with every code of them that passes.
const SMALL: [(&str, &str); 12] = [
    (
        "observation-category",
        "social-history vital-signs imaging laboratory procedure survey exam therapy activity",
    ),
    ("condition-clinical", "active recurrence relapse inactive remission resolved"),
    (
        "condition-ver-status",
        "unconfirmed provisional differential confirmed refuted entered-in-error",
    ),
    ("condition-category", "problem-list-item encounter-diagnosis"),
    ("allergyintolerance-clinical", "active inactive resolved"),
    ("allergyintolerance-verification", "unconfirmed confirmed refuted entered-in-error"),
    ("v3-ActCode", "AMB EMER FLD HH IMP ACUTE NONAC OBSENC PRENC SS VR"),
    ("v3-ObservationInterpretation", "< > A AA H HH HU L LL LU N NEG POS IND DET ND S R I U D B W"),
    (
        "data-absent-reason",
        "unknown asked-unknown temp-unknown not-asked asked-declined masked not-applicable \
         unsupported as-text error not-a-number negative-infinity positive-infinity \
         not-performed not-permitted",
    ),
    (
        "v2-0074",
        "AU BG BLB CG CH CP CT CTH CUS EC EN GE HM ICU IMM LAB MB MCB MYC NMR NMS NRS OSL OT OTH \
         OUS PF PHR PHY PT RAD RC RT RUS RX SP SR TX URN VR VUS XRC",
    ),
    ("referencerange-meaning", "type normal recommended treatment therapeutic pre post"),
    ("dose-rate-type", "calculated ordered"),
];

/// UCUM units as they are written. Never a pattern: an annotation in braces is free text.
const UNITS: &str = "% 1 mg/dL mmol/L mmol/mol umol/L nmol/L pmol/L mmol mol/L g/dL g/L mg/L ug/L ng/L \
    ng/mL ug/mL pg/mL mg/g mg ug ng g kg cm mm m kg/m2 m2 mm[Hg] kPa Cel [degF] /min {beats}/min \
    10*3/uL 10*6/uL 10*9/L 10*12/L /uL fL pg U/L [IU]/L mU/L m[IU]/L u[IU]/mL [IU] U meq/L mL dL L \
    mL/min mL/min/{1.73_m2} L/min s min h d wk mo a ms mV m/s [in_i] [lb_av] kcal [kcal] {score} \
    {steps} {#} /a /mo /wk mm/h /h U/h mL/h mg/kg ug/kg [pH] dB";

/// Whether a coding may pass.
pub(super) fn is_code(system: &str, code: &str) -> bool {
    match system {
        LOINC => is_loinc(code),
        SNOMED => is_digits(code, 6..=18) && !code.starts_with('0') && verhoeff(code),
        RXNORM => is_digits(code, 1..=7),
        CVX => is_digits(code, 1..=3),
        ATC => is_atc(code),
        ICD_10 | ICD_10_CM => is_icd(code),
        UCUM => is_unit(code),
        _ => system.strip_prefix(HL7).is_some_and(|name| {
            let found = SMALL.iter().find(|(small, _)| *small == name);
            found.is_some_and(|(_, codes)| codes.split_whitespace().any(|known| known == code))
        }),
    }
}

/// Whether a unit may pass.
pub(super) fn is_unit(code: &str) -> bool {
    UNITS.split_whitespace().any(|unit| unit == code)
}

fn is_digits(code: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&code.len()) && code.bytes().all(|digit| digit.is_ascii_digit())
}

/// Digits, a hyphen and their check digit (Luhn); or an answer of a list, `LA33-6`, whose check
/// digit is made another way.
fn is_loinc(code: &str) -> bool {
    let Some((number, check)) = code.split_once('-') else { return false };
    if let Some(answer) = number.strip_prefix("LA") {
        return is_digits(answer, 1..=6) && is_digits(check, 1..=1);
    }
    if !is_digits(number, 1..=6) || !is_digits(check, 1..=1) {
        return false;
    }
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    (10 - sum % 10) % 10 == u32::from(check.as_bytes()[0] - b'0')
}

/// `A10AB05`, or the beginning of one at a level's end.
fn is_atc(code: &str) -> bool {
    let pattern = "A00AA00".bytes();
    matches!(code.len(), 1 | 3 | 4 | 5 | 7)
        && code.bytes().zip(pattern).all(|(byte, kind)| match kind {
            b'A' => byte.is_ascii_uppercase(),
            _ => byte.is_ascii_digit(),
        })
}

/// `E10`, `E10.9`, `S72.001A`.
fn is_icd(code: &str) -> bool {
    let (head, tail) = code.split_once('.').unwrap_or((code, "0"));
    let is_head = matches!(
        head.as_bytes(),
        [a, b, c] if a.is_ascii_uppercase() && b.is_ascii_digit()
            && (c.is_ascii_digit() || c.is_ascii_uppercase())
    );
    let is_tail = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    is_head && (1..=4).contains(&tail.len()) && tail.bytes().all(is_tail)
}

/// SNOMED CT's check digit: of ten numbers that somebody else made up, one passes.
fn verhoeff(code: &str) -> bool {
    const D: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const P: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let digits = code.bytes().rev().map(|digit| usize::from(digit - b'0')).enumerate();
    digits.fold(0, |check, (place, digit)| D[usize::from(check)][usize::from(P[place % 8][digit])])
        == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_great_systems_pass() {
        for (system, code) in [
            (LOINC, "15074-8"),
            (LOINC, "4548-4"),
            (LOINC, "8867-4"),
            (LOINC, "85354-9"),
            (LOINC, "LA33-6"),
            (SNOMED, "46635009"),
            (SNOMED, "73211009"),
            (SNOMED, "91936005"),
            (RXNORM, "313782"),
            (ATC, "A10AB05"),
            (ATC, "A10"),
            (ICD_10, "E10.9"),
            (ICD_10_CM, "S72.001A"),
            (CVX, "140"),
            ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB"),
        ] {
            assert!(is_code(system, code), "{system}|{code}");
        }
    }

    #[test]
    fn what_is_not_built_like_a_code_does_not() {
        for (system, code) in [
            (LOINC, "15074-9"),
            (LOINC, "Mari"),
            (LOINC, "LAMari-1"),
            (LOINC, "37605030299-1"),
            (SNOMED, "46635008"),
            (SNOMED, "046635009"),
            (SNOMED, "12345"),
            (RXNORM, "37605030299"),
            (ATC, "A1"),
            (ATC, "MARI"),
            (ICD_10, "Mari"),
            (ICD_10, "E10."),
            (CVX, "5551234"),
            ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "Mari"),
            ("http://terminology.hl7.org/CodeSystem/mari-tamm", "AMB"),
            ("https://harbour.example/codes", "E10"),
            (UCUM, "{Mari Tamm}"),
            ("", ""),
        ] {
            assert!(!is_code(system, code), "{system}|{code}");
        }
        assert!(is_unit("mmol/L") && !is_unit("") && !is_unit("mmol/L {Mari}"));
    }
}
