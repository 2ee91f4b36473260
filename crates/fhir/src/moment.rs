//! FHIR's `instant` and `dateTime` (R4 datatypes), strict: the forms of the specification, and
//! dates that exist.

use time::{Date, Month, OffsetDateTime};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// A point in time as it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Instant {
    /// Milliseconds since 1970, UTC; finer parts are cut.
    pub(crate) ms: i64,
    /// The hour on the writer's clock, if an offset says where that clock hangs ("Z" does not).
    pub(crate) local_hour: Option<u8>,
}

/// An R4 `instant`: date, time with seconds, and zone.
pub(crate) fn instant(text: &str) -> Option<Instant> {
    let (date, time) = text.split_once('T')?;
    let midnight_ms = day_ms(date.get(..4)?, date.get(4..7)?, date.get(7..)?)?;
    let zone_at = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone_at);
    let (seconds, fraction) = match clock.split_once('.') {
        Some((seconds, fraction)) => (seconds, fraction),
        None => (clock, "0"),
    };
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = seconds.as_bytes() else { return None };
    let (hour, minute) = (pair(h1, h2, 23)?, pair(m1, m2, 59)?);
    // A leap second is allowed by R4 and counted as the second before the next minute.
    let second = pair(s1, s2, 60)?.min(59);
    if fraction.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let milli: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let offset_min = match zone.as_bytes() {
        b"Z" => None,
        &[sign, h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (pair(h1, h2, 14)?, pair(m1, m2, 59)?);
            let size = hours * 60 + minutes;
            if size > 14 * 60 {
                return None;
            }
            Some(if sign == b'-' { -size } else { size })
        }
        _ => return None,
    };
    let local_ms = midnight_ms + ((hour * 60 + minute) * 60 + second) * 1000 + milli;
    Some(Instant {
        ms: local_ms - offset_min.unwrap_or(0) * 60_000,
        local_hour: offset_min.map(|_| hour as u8),
    })
}

/// An R4 `instant` in UTC; of a time after the year 9999 the last that it can say.
pub(crate) fn written(ms: u64) -> String {
    const LAST_MS: u64 = 253_402_300_799_999;
    let ms = ms.min(LAST_MS);
    let at = OffsetDateTime::from_unix_timestamp((ms / 1000) as i64);
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = at.to_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}.{:03}Z", at.date(), ms % 1000)
}

/// The span that an R4 `dateTime` names, `[start, end)` in milliseconds UTC: a year, a month, a
/// day, a minute (search only), a second, or a millisecond. Dates without a zone are read as UTC.
pub(crate) fn span(text: &str) -> Option<(i64, i64)> {
    let next_month = |year: &str, month: &str| {
        let month: u8 = month.get(1..)?.parse().ok()?;
        if month < 12 {
            day_ms(year, &format!("-{:02}", month + 1), "-01")
        } else {
            Some(day_ms(year, "-12", "-31")? + DAY_MS)
        }
    };
    match text.len() {
        4 => Some((day_ms(text, "-01", "-01")?, day_ms(text, "-12", "-31")? + DAY_MS)),
        7 => {
            let (year, month) = (text.get(..4)?, text.get(4..)?);
            Some((day_ms(year, month, "-01")?, next_month(year, month)?))
        }
        10 => {
            let start = day_ms(text.get(..4)?, text.get(4..7)?, text.get(7..)?)?;
            Some((start, start + DAY_MS))
        }
        _ => {
            if let Some(at) = instant(text) {
                let width = if text.contains('.') { 1 } else { 1000 };
                return Some((at.ms, at.ms + width));
            }
            // A search may leave out the seconds, the zone, or both (R4 search, "date").
            let zoned = |text: &str| format!("{text}Z");
            if let Some(at) = instant(&zoned(text)) {
                return Some((at.ms, at.ms + if text.contains('.') { 1 } else { 1000 }));
            }
            let (minute, zone) = (text.get(..16)?, text.get(16..)?);
            let zone = if zone.is_empty() { "Z" } else { zone };
            let at = instant(&format!("{minute}:00{zone}"))?;
            Some((at.ms, at.ms + 60_000))
        }
    }
}

/// Whether this is an R4 `dateTime`: with a time, seconds and zone must be there.
pub(crate) fn is_date_time(text: &str) -> bool {
    if text.len() > 10 { instant(text).is_some() } else { span(text).is_some() }
}

fn day_ms(year: &str, month: &str, day: &str) -> Option<i64> {
    let digits = |text: &str| -> Option<u16> {
        let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    let two = |text: &str| -> Option<u8> {
        let text = text.strip_prefix('-')?;
        (text.len() == 2).then(|| digits(text)).flatten().map(|number| number as u8)
    };
    let year = (year.len() == 4).then(|| digits(year)).flatten().filter(|year| *year > 0)?;
    let month = Month::try_from(two(month)?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, two(day)?).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp() * 1000)
}

fn pair(tens: u8, ones: u8, max: i64) -> Option<i64> {
    if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
        return None;
    }
    let number = i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    (number <= max).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_to_the_millisecond() {
        let at = |text| instant(text).map(|at| at.ms);
        assert_eq!(at("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(at("2026-01-05T09:30:00.120Z"), Some(1_767_605_400_120));
        assert_eq!(at("2026-01-05T11:30:00.12+02:00"), Some(1_767_605_400_120));
        assert_eq!(at("2026-01-05T11:30:00.1209999+02:00"), Some(1_767_605_400_120));
        assert_eq!(instant("2026-11-21T23:47:00+02:00").unwrap().local_hour, Some(23));
        assert_eq!(instant("2026-11-21T23:47:00Z").unwrap().local_hour, None);
    }

    #[test]
    fn what_is_no_instant_is_none() {
        let wrong = [
            "",
            "yesterday",
            "2026-01-05",
            "2026-01-05T09:30Z",
            "2026-01-05T09:30:00",
            "2026-02-30T09:30:00Z",
            "2026-13-01T09:30:00Z",
            "2026-01-05T24:00:00Z",
            "2026-01-05T09:30:00.Z",
            "2026-01-05T09:30:00+15:00",
            "2026-01-05t09:30:00z",
            "0000-01-05T09:30:00Z",
            "2026-01-05T09:30:00Zx",
            "２026-01-05T09:30:00Z",
            "2026-1-05T09:30:00Z",
            "+026-01-05T09:30:00Z",
        ];
        for text in wrong {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_partial_date_names_its_whole_span() {
        let day = DAY_MS;
        assert_eq!(span("1970"), Some((0, 365 * day)));
        assert_eq!(span("1970-02"), Some((31 * day, 59 * day)));
        assert_eq!(span("1970-12"), Some((334 * day, 365 * day)));
        assert_eq!(span("1970-01-02"), Some((day, 2 * day)));
        assert_eq!(span("1970-01-01T00:01"), Some((60_000, 120_000)));
        assert_eq!(span("1970-01-01T02:01+02:00"), Some((60_000, 120_000)));
        assert_eq!(span("1970-01-01T00:00:01Z"), Some((1000, 2000)));
        assert_eq!(span("1970-01-01T00:00:01.5Z"), Some((1500, 1501)));
        assert_eq!(span("1970-02-29"), None);
        assert_eq!(span("197"), None);
        assert!(!is_date_time("1970-01-01T00:01"));
    }
}
