//! Dates and times as ISO 8601 text, down to the microsecond.

/// Days between 0001-01-01 and 1970-01-01, the first being day 1.
pub(crate) const EPOCH_DAYS_FROM_CE: i32 = 719_163;

pub(crate) const SECOND_MICROS: i64 = 1_000_000;
pub(crate) const DAY_MICROS: i64 = 86_400 * SECOND_MICROS;

/// Digits of a second that a time keeps.
const FRACTION_DIGITS: usize = 6;

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeOfDay {
    /// Since midnight.
    pub micros: i64,
    pub form: Form,
}

/// A date with a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime {
    /// Since 1970, by the clock of its own zone.
    pub local_micros: i64,
    /// East of UTC, if a zone is written.
    pub offset_seconds: Option<i32>,
    pub form: Form,
}

/// What is special about how a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    /// Ends with the minutes.
    NoSeconds,
    /// Has digits other than zero below the microsecond, which `micros` does not hold.
    Finer,
}

impl DateTime {
    /// Since 1970, UTC; a time without zone is UTC.
    pub(crate) fn utc_micros(self) -> i64 {
        self.local_micros - i64::from(self.offset_seconds.unwrap_or(0)) * SECOND_MICROS
    }
}

/// `YYYY-MM-DD`, as days since 1970.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let mut scanner = Scanner(text.as_bytes());
    let days = scanner.date()?;
    scanner.at_end().then_some(days)
}

/// `HH:MM[:SS[.fraction]]`.
pub(crate) fn parse_time(text: &str) -> Option<TimeOfDay> {
    let mut scanner = Scanner(text.as_bytes());
    let time = scanner.time()?;
    scanner.at_end().then_some(time)
}

/// A date, and after `T` or a space a time, and after it `Z` or an offset such as `+02:00`.
pub(crate) fn parse_date_time(text: &str) -> Option<DateTime> {
    let mut scanner = Scanner(text.as_bytes());
    let midnight = i64::from(scanner.date()?) * DAY_MICROS;
    if scanner.at_end() {
        return Some(DateTime {
            local_micros: midnight,
            offset_seconds: None,
            form: Form::Plain,
        });
    }
    scanner.one_of(b"Tt ")?;
    let time = scanner.time()?;
    let offset_seconds = if scanner.at_end() {
        None
    } else {
        Some(scanner.offset()?)
    };
    scanner.at_end().then_some(DateTime {
        local_micros: midnight + time.micros,
        offset_seconds,
        form: time.form,
    })
}

struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// Exactly `count` digits.
    fn number(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let number = digits.iter().try_fold(0_u32, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u32::from(digit - b'0'))
        })?;
        self.0 = rest;
        Some(number)
    }

    fn date(&mut self) -> Option<i32> {
        use chrono::Datelike as _;
        let year = i32::try_from(self.number(4)?).ok()?;
        self.one_of(b"-")?;
        let month = self.number(2)?;
        self.one_of(b"-")?;
        let day = self.number(2)?;
        let date = chrono::NaiveDate::from_ymd_opt(year, month, day)?;
        Some(date.num_days_from_ce() - EPOCH_DAYS_FROM_CE)
    }

    fn time(&mut self) -> Option<TimeOfDay> {
        let hours = self.number(2).filter(|hours| *hours < 24)?;
        self.one_of(b":")?;
        let minutes = self.number(2).filter(|minutes| *minutes < 60)?;
        let minutes = i64::from(hours * 60 + minutes);
        if self.one_of(b":").is_none() {
            return Some(TimeOfDay {
                micros: minutes * 60 * SECOND_MICROS,
                form: Form::NoSeconds,
            });
        }
        let seconds = self.number(2).filter(|seconds| *seconds < 60)?;
        let seconds = minutes * 60 + i64::from(seconds);
        let (fraction, form) = if self.one_of(b".").is_some() {
            self.fraction()?
        } else {
            (0, Form::Plain)
        };
        Some(TimeOfDay {
            micros: seconds * SECOND_MICROS + fraction,
            form,
        })
    }

    fn fraction(&mut self) -> Option<(i64, Form)> {
        let length = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if length == 0 {
            return None;
        }
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        let (kept, finer) = digits.split_at(length.min(FRACTION_DIGITS));
        let micros = (0..FRACTION_DIGITS).fold(0, |micros, place| {
            micros * 10 + i64::from(kept.get(place).map_or(0, |digit| digit - b'0'))
        });
        let form = if finer.iter().all(|digit| *digit == b'0') {
            Form::Plain
        } else {
            Form::Finer
        };
        Some((micros, form))
    }

    /// `Z`, `+HH:MM`, `+HHMM` or `+HH`, perhaps after a space.
    fn offset(&mut self) -> Option<i32> {
        if self.one_of(b"Zz").is_some() {
            return Some(0);
        }
        let _ = self.one_of(b" ");
        let sign = self.one_of(b"+-")?;
        let hours = self.number(2).filter(|hours| *hours < 24)?;
        let minutes = if self.at_end() {
            0
        } else {
            let _ = self.one_of(b":");
            self.number(2).filter(|minutes| *minutes < 60)?
        };
        let seconds = i32::try_from((hours * 60 + minutes) * 60).ok()?;
        Some(if sign == b'-' { -seconds } else { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_since_1970() {
        for (text, days) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31", Some(-1)),
            ("2024-02-29", Some(19_782)),
        ] {
            assert_eq!(parse_date(text), days, "{text}");
        }
        for bad in [
            "",
            "2024-2-29",
            "2023-02-29",
            "2024-13-01",
            "2024-01-01 ",
            "20240101",
            "24-01-01",
            "2024-01-0x",
        ] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_keep_microseconds() {
        let micros = |text| parse_time(text).map(|time| (time.micros, time.form));
        assert_eq!(micros("00:00:00"), Some((0, Form::Plain)));
        assert_eq!(
            micros("23:59:59.999999"),
            Some((DAY_MICROS - 1, Form::Plain))
        );
        assert_eq!(micros("01:02"), Some((3_720_000_000, Form::NoSeconds)));
        assert_eq!(micros("00:00:00.5"), Some((500_000, Form::Plain)));
        assert_eq!(micros("00:00:00.1234560"), Some((123_456, Form::Plain)));
        assert_eq!(micros("00:00:00.1234567"), Some((123_456, Form::Finer)));
        for bad in [
            "",
            "24:00:00",
            "1:00",
            "00:60",
            "00:00:60",
            "00:00:00.",
            "00:00:00Z",
            "00:00:00 ",
        ] {
            assert_eq!(micros(bad), None, "{bad}");
        }
    }

    #[test]
    fn offsets_lead_to_utc() {
        let utc = |text| parse_date_time(text).map(DateTime::utc_micros);
        assert_eq!(utc("1970-01-01"), Some(0));
        assert_eq!(utc("1970-01-01T00:00:01Z"), Some(SECOND_MICROS));
        assert_eq!(utc("1970-01-01 02:00:00+02:00"), Some(0));
        assert_eq!(utc("1970-01-01t02:00:00 +0200"), Some(0));
        assert_eq!(utc("1969-12-31T19:30:00-04:30"), Some(0));
        assert_eq!(utc("1970-01-01T02:00:00+02"), Some(0));
        for bad in [
            "1970-01-01T",
            "1970-01-01T00",
            "1970-01-01T00:00:00+",
            "1970-01-01T00:00:00ZZ",
            "now",
        ] {
            assert_eq!(utc(bad), None, "{bad}");
        }
    }
}
