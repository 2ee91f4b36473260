//! `medtrail/claim-v1`: a payer says that something was billed for a person; the person says
//! whether they had it.

use super::{InquiryError, check_language, check_optional, check_text, word};
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const CLAIM_VERSION: &str = "medtrail/claim-v1";
/// Characters of a code or its system.
const CODE_CHARS_MAX: usize = 200;

word!(
    /// `medtrail/claim-v1`.
    ClaimV1, CLAIM_VERSION
);
word!(
    /// `billed`.
    ActBilled, "billed"
);
word!(
    /// `answered`.
    ActAnswered, "answered"
);

/// A code of a service, as the payer's catalogue has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// The catalogue.
    pub system: String,
    /// The code in it.
    pub code: String,
}

/// What was billed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// In the payer's words: `MRI of the knee`.
    pub text: String,
    /// Its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The FHIR resource type that such a service leaves behind, by which a line that may account
    /// for it is looked for: `ImagingStudy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Where it was done, as the bill names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// How much was billed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Digits, a point, at most four digits.
    pub value: String,
    /// ISO 4217.
    pub currency: String,
}

/// Something was billed: the payer's signed report, or its word by API key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Billed {
    version: ClaimV1,
    act: ActBilled,
    /// The day for which it was billed, where it was done: `2026-11-27`.
    pub day: String,
    /// What.
    pub service: Service,
    /// How much, if that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Sum>,
    /// Of the texts (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl Billed {
    /// A service of a day.
    pub fn new(day: String, service: Service) -> Self {
        let (version, act) = (ClaimV1, ActBilled);
        Self { version, act, day, service, amount: None, language: None }
    }

    /// What JSON alone does not tell.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), InquiryError> {
        days_since_1970(&self.day).ok_or(InquiryError::Day)?;
        check_text("service", &self.service.text)?;
        if let Some(Code { system, code }) = &self.service.code {
            check_code("code.system", system)?;
            check_code("code.code", code)?;
        }
        self.service.resource.as_deref().map_or(Ok(()), |name| check_code("resource", name))?;
        self.service.place.as_deref().map_or(Ok(()), |place| check_text("service", place))?;
        self.amount.as_ref().map_or(Ok(()), check_sum)?;
        self.language.as_deref().map_or(Ok(()), check_language)
    }

    /// The day's first moment in UTC, milliseconds since 1970; none if it is no day.
    pub fn day_ms(&self) -> Option<u64> {
        days_since_1970(&self.day).map(|days| days * 86_400_000)
    }
}

fn check_code(field: &'static str, code: &str) -> Result<(), InquiryError> {
    let fits = (1..=CODE_CHARS_MAX).contains(&code.len());
    match fits && code.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(InquiryError::Code(field)),
    }
}

fn check_sum(sum: &Sum) -> Result<(), InquiryError> {
    let (whole, part) = sum.value.split_once('.').unwrap_or((&sum.value, "0"));
    let is_digits = |text: &str, max| {
        (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_currency =
        sum.currency.len() == 3 && sum.currency.bytes().all(|byte| byte.is_ascii_uppercase());
    match is_digits(whole, 12) && is_digits(part, 4) && is_currency {
        true => Ok(()),
        false => Err(InquiryError::Amount),
    }
}

/// Days from 1970 to a day of the Gregorian calendar, written as ISO 8601 does. None before 1970.
fn days_since_1970(day: &str) -> Option<u64> {
    let bytes = day.as_bytes();
    let is_form = bytes.len() == 10
        && bytes.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_form {
        return None;
    }
    let (year, month, day): (u64, u64, u64) =
        (day[..4].parse().ok()?, day[5..7].parse().ok()?, day[8..].parse().ok()?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let in_month = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=in_month).contains(&day) {
        return None;
    }
    // Years counted from March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some(days - 719_468)
}

/// What the person says to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// Yes, I had it.
    Yes,
    /// No, that was not me.
    No,
}

/// The person answers. The log's own entry, in that person's trail.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BilledAnswer {
    version: ClaimV1,
    act: ActAnswered,
    /// The commitment of the claim's entry.
    pub claim: B256,
    /// Whether they had it.
    pub answer: Reply,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of the text (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl BilledAnswer {
    /// Of these parts.
    pub fn new(claim: B256, answer: Reply, text: Option<String>, language: Option<String>) -> Self {
        Self { version: ClaimV1, act: ActAnswered, claim, answer, text, language }
    }

    /// What JSON alone does not tell.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), InquiryError> {
        check_optional("text", self.text.as_deref(), self.language.as_deref())
    }
}

/// Any document of this version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Claim {
    /// Something was billed.
    Billed(Billed),
    /// The person answers.
    Answered(BilledAnswer),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mri() -> Billed {
        let service = Service { text: "MRI".into(), code: None, resource: None, place: None };
        Billed::new("2026-11-27".into(), service)
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (day, days) in [
            ("1970-01-01", 0),
            ("1970-03-01", 59),
            ("2000-02-29", 11_016),
            ("2026-11-27", 20_784),
            ("2100-03-01", 47_541),
        ] {
            assert_eq!(days_since_1970(day), Some(days), "{day}");
        }
        for none in [
            "2026-11-31",
            "2026-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-1",
            "1969-12-31",
            "2026-11-27T",
            "2026/11/27",
            "２026-11-27",
            "",
        ] {
            assert_eq!(days_since_1970(none), None, "{none}");
        }
    }

    #[test]
    fn a_claim_is_checked_field_by_field() {
        assert_eq!(mri().check(), Ok(()));
        let sum = |value: &str, currency: &str| Billed {
            amount: Some(Sum { value: value.into(), currency: currency.into() }),
            ..mri()
        };
        assert_eq!(sum("120.50", "EUR").check(), Ok(()));
        for (value, currency) in [
            ("-1", "EUR"),
            ("1,5", "EUR"),
            ("1.", "EUR"),
            (".5", "EUR"),
            ("1.12345", "EUR"),
            ("1", "eur"),
        ] {
            assert_eq!(sum(value, currency).check(), Err(InquiryError::Amount), "{value}");
        }
        let mut coded = mri();
        coded.service.code = Some(Code { system: "a b".into(), code: "1".into() });
        assert_eq!(coded.check(), Err(InquiryError::Code("code.system")));
    }

    #[test]
    fn what_a_payer_bills_is_never_read_as_the_persons_answer() {
        let bytes = serde_json::to_vec(&mri()).unwrap();
        assert!(matches!(serde_json::from_slice(&bytes), Ok(Claim::Billed(_))));
        let answer = BilledAnswer::new(B256::repeat_byte(1), Reply::No, None, None);
        let bytes = serde_json::to_vec(&answer).unwrap();
        assert!(serde_json::from_slice::<Billed>(&bytes).is_err());
        assert!(matches!(serde_json::from_slice(&bytes), Ok(Claim::Answered(_))));
    }
}
