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

/// `E10`, `E10.9`, `S72.001A`, `W19.XXXA`.
fn is_icd(code: &str) -> bool {
    let (head, tail) = code.split_once('.').unwrap_or((code, "0"));
    let is_head = matches!(
        head.as_bytes(),
        [a, b, c] if a.is_ascii_uppercase() && b.is_ascii_digit()
            && (c.is_ascii_digit() || c.is_ascii_uppercase())
    );
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    // Letters alone are a name, but for one, and for those behind places that are left free.
    let is_tail = tail.len() == 1
        || tail.starts_with("XXX")
        || tail.bytes().any(|byte| byte.is_ascii_digit());
    is_head && is_tail && (1..=4).contains(&tail.len()) && tail.bytes().all(is_plain)
}

/// SNOMED CT's check digit (Verhoeff): of ten numbers that somebody else made up, one passes.
fn verhoeff(code: &str) -> bool {
    // What one place turns a digit into, once more with each place.
    const TURN: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let digits = code.bytes().rev().map(|digit| digit - b'0').enumerate();
    let check = digits.fold(0, |check, (place, digit)| {
        after(check, (0..place % 8).fold(digit, |digit, _| TURN[usize::from(digit)]))
    });
    check == 0
}

/// One symmetry of a pentagon after another: below 5 they turn it, from 5 on they mirror it.
fn after(one: u8, next: u8) -> u8 {
    let turned = (if one < 5 { one + next } else { 5 + one - next }) % 5;
    if (one < 5) == (next < 5) { turned } else { turned + 5 }
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
            (ICD_10_CM, "W19.XXXA"),
            (ICD_10_CM, "O09.A0"),
            (ICD_10, "F10.X"),
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
            (ICD_10, "M12.MARI"),
            (ICD_10_CM, "M12.TOM"),
            (ICD_10_CM, "M12.XXMA"),
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

    #[test]
    fn a_slip_of_the_pen_is_no_snomed_code() {
        for code in ["46635009", "73211009", "91936005", "271807003", "900000000000207008"] {
            assert!(is_code(SNOMED, code), "{code}");
            for place in 0..code.len() {
                let mut other = code.as_bytes().to_vec();
                for digit in b'0'..=b'9' {
                    other[place] = digit;
                    let other = std::str::from_utf8(&other).unwrap();
                    assert_eq!(is_code(SNOMED, other), other == code, "{other}");
                }
            }
            for place in 1..code.len() {
                let mut other = code.as_bytes().to_vec();
                other.swap(place - 1, place);
                let other = std::str::from_utf8(&other).unwrap();
                assert_eq!(is_code(SNOMED, other), other == code, "{other}");
            }
        }
    }
}
