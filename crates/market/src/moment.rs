//! FHIR's `date`, `dateTime` and `instant`, strict, with how exact each is.

use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// A moment as exactly as it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    Year(i32),
    Month(i32, Month),
    Day(Date),
    /// UTC; true: it had a fraction.
    Instant(OffsetDateTime, bool),
}

impl Moment {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let year = digits(text.get(..4)?, 4)?;
        if year == 0 {
            return None;
        }
        let year = i32::from(year);
        if text.len() == 4 {
            return Some(Self::Year(year));
        }
        let month = part(text.get(4..7)?, '-')?;
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        if text.len() == 7 {
            return Some(Self::Month(year, month));
        }
        let day = part(text.get(7..10)?, '-')?;
        let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
        if text.len() == 10 {
            return Some(Self::Day(date));
        }
        let (clock, zone) = zone(text.get(10..)?)?;
        let hour = part(clock.get(..3)?, 'T')?;
        let minute = part(clock.get(3..6)?, ':')?;
        // A leap second counts as the one before it.
        let second = part(clock.get(6..9)?, ':').filter(|second| *second <= 60)?.min(59);
        let fraction = clock.get(9..)?;
        let milli = match fraction.strip_prefix('.') {
            None if fraction.is_empty() => 0,
            None => return None,
            Some(digits) => {
                let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
                if digits.is_empty() || digits.len() > 9 || !is_number {
                    return None;
                }
                format!("{digits:0<3}").get(..3)?.parse().ok()?
            }
        };
        let [hour, minute, second] = [hour, minute, second].map(|number| number as u8);
        let time = Time::from_hms_milli(hour, minute, second, milli).ok()?;
        let at = PrimitiveDateTime::new(date, time).assume_offset(zone);
        let at = at.checked_to_offset(UtcOffset::UTC)?;
        Some(Self::Instant(at, !fraction.is_empty()))
    }

    pub(crate) fn year(self) -> i32 {
        match self {
            Self::Year(year) | Self::Month(year, _) => year,
            Self::Day(date) => date.year(),
            Self::Instant(at, _) => at.year(),
        }
    }

    /// The seconds it may mean, from one up to before another. A day without a clock may be that
    /// day anywhere on the earth; here it is that of UTC.
    pub(crate) fn span_s(self) -> Option<(i64, i64)> {
        let first = |year, month| Date::from_calendar_date(year, month, 1).ok();
        let start_s = |date: Date| date.midnight().assume_utc().unix_timestamp();
        Some(match self {
            Self::Year(year) => {
                (start_s(first(year, Month::January)?), start_s(first(year + 1, Month::January)?))
            }
            Self::Month(year, month) => {
                let next = if month == Month::December { year + 1 } else { year };
                (start_s(first(year, month)?), start_s(first(next, month.next())?))
            }
            Self::Day(date) => (start_s(date), start_s(date) + 86_400),
            Self::Instant(at, _) => (at.unix_timestamp(), at.unix_timestamp() + 1),
        })
    }

    /// So many days earlier; what is less exact than a day keeps its year only, since a part of a
    /// month has no distance to anything.
    pub(crate) fn earlier(self, days: i64) -> Option<Self> {
        let by = Duration::days(days);
        Some(match self {
            Self::Year(year) => Self::Year(year - i32::try_from(days / 365).ok()?),
            Self::Month(year, month) => {
                let first = Date::from_calendar_date(year, month, 1).ok()?;
                Self::Year(first.checked_sub(by)?.year())
            }
            Self::Day(date) => Self::Day(date.checked_sub(by)?),
            Self::Instant(at, fraction) => Self::Instant(at.checked_sub(by)?, fraction),
        })
    }

    pub(crate) fn written(self) -> Option<String> {
        let year = self.year();
        if !(1..=9999).contains(&year) {
            return None;
        }
        Some(match self {
            Self::Year(year) => format!("{year:04}"),
            Self::Month(year, month) => format!("{year:04}-{:02}", u8::from(month)),
            Self::Day(date) => {
                format!("{year:04}-{:02}-{:02}", u8::from(date.month()), date.day())
            }
            Self::Instant(at, fraction) => {
                let (hour, minute, second) = at.to_hms();
                let day = Self::Day(at.date()).written()?;
                let milli = at.millisecond();
                let fraction = if fraction { format!(".{milli:03}") } else { String::new() };
                format!("{day}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
            }
        })
    }
}

/// The year of a second since 1970, in UTC.
pub fn year_at(time_s: u64) -> u16 {
    let time_s = i64::try_from(time_s).unwrap_or(i64::MAX);
    let moment = OffsetDateTime::from_unix_timestamp(time_s);
    // The library's calendar ends with the year 9999.
    moment.map_or(9999, |moment| moment.year().unsigned_abs() as u16)
}

fn digits(text: &str, count: usize) -> Option<u16> {
    let is_number = text.len() == count && text.bytes().all(|digit| digit.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Two digits behind a separator.
fn part(text: &str, separator: char) -> Option<u16> {
    digits(text.strip_prefix(separator)?, 2)
}

/// Splits off the zone.
fn zone(text: &str) -> Option<(&str, UtcOffset)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, UtcOffset::UTC));
    }
    let at = text.len().checked_sub(6)?;
    let (clock, zone) = (text.get(..at)?, text.get(at..)?);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let hours = part(zone.get(..3)?, if sign < 0 { '-' } else { '+' })?;
    let minutes = part(zone.get(3..)?, ':')?;
    if hours > 14 || minutes > 59 {
        return None;
    }
    let offset = UtcOffset::from_hms(sign * hours as i8, sign * minutes as i8, 0).ok()?;
    Some((clock, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_they_were_read_in_utc() {
        for text in
            ["2026", "2026-01", "2026-01-05", "2026-01-05T09:30:00Z", "2026-01-05T09:30:00.120Z"]
        {
            assert_eq!(Moment::parse(text).unwrap().written().unwrap(), text);
        }
        let zoned = Moment::parse("2026-01-05T01:30:00+02:00").unwrap();
        assert_eq!(zoned.written().unwrap(), "2026-01-04T23:30:00Z");
        for text in [
            "",
            "26",
            "0000",
            "2026-13",
            "2026-02-30",
            "2026-1-5",
            "2026-01-05T09:30",
            "2026-01-05T09:30:00",
            "2026-01-05T24:00:00Z",
            "2026-01-05T09:30:00.Z",
            "yesterday",
            "2026-01-05T09:30:00+15:00",
            "2026-01-05T09:30:00Zx",
            "2026-01-05 09:30:00Z",
            "2026-01-0５",
            "2026-01-05T09:30:61Z",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn earlier_moments_keep_their_distances() {
        let earlier = |text: &str, days| Moment::parse(text)?.earlier(days)?.written();
        assert_eq!(earlier("2026-03-01", 1).unwrap(), "2026-02-28");
        assert_eq!(earlier("2026-03-01T00:30:00+02:00", 1).unwrap(), "2026-02-27T22:30:00Z");
        assert_eq!(earlier("2026-03", 1).unwrap(), "2026");
        assert_eq!(earlier("2026-01", 1).unwrap(), "2025");
        assert_eq!(earlier("0001-01-01", 400), None);
    }

    #[test]
    fn a_span_is_all_that_may_be_meant() {
        let span = |text: &str| Moment::parse(text).unwrap().span_s().unwrap();
        assert_eq!(span("1970"), (0, 365 * 86_400));
        assert_eq!(span("1970-12"), (334 * 86_400, 365 * 86_400));
        assert_eq!(span("1970-01-02"), (86_400, 2 * 86_400));
        assert_eq!(span("1970-01-01T00:00:05Z"), (5, 6));
    }
}
