//! The moments of X.509, which go a day further than those of a [`Timestamp`].
//!
//! The last second of 9999 stands for "no end" (RFC 5280, 4.1.2.5), and a [`Timestamp`] ends 26 hours before it. What lies in these
//! hours is kept as so many nanoseconds behind the last whole second that a [`Timestamp`] has, since certificates know no fractions:
//! later than all others, in the right order, and with its date to be had.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The last second of 9999 in X.509, counted from 1970.
const LAST: i64 = 253_402_300_799;

/// The moment of so many seconds after 1970; what is beyond the year 9999 is its end.
pub(super) fn from_second(second: i64) -> Timestamp {
    let end = if second < 0 {
        Timestamp::MIN
    } else {
        let beyond = second.min(LAST) - Timestamp::MAX.as_second();
        i32::try_from(beyond)
            .ok()
            .and_then(|beyond| Timestamp::new(Timestamp::MAX.as_second(), beyond).ok())
            .unwrap_or(Timestamp::MAX)
    };
    Timestamp::from_second(second).unwrap_or(end)
}

/// Date and time of day of a certificate's moment, in UTC.
#[must_use]
pub fn civil(moment: Timestamp) -> DateTime {
    let in_reach = TimeZone::UTC.to_datetime(moment);
    let beyond = i64::from(moment.subsec_nanosecond());
    if moment.as_second() != Timestamp::MAX.as_second()
        || !(1..=LAST - Timestamp::MAX.as_second()).contains(&beyond)
    {
        return in_reach;
    }
    in_reach
        .with()
        .subsec_nanosecond(0)
        .build()
        .and_then(|whole| whole.checked_add(jiff::SignedDuration::from_secs(beyond)))
        .unwrap_or(in_reach)
}

/// RFC 3339 in whole seconds.
#[must_use]
pub fn rfc3339(moment: Timestamp) -> String {
    civil(moment).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// For serde: as RFC 3339, to the last second of 9999.
pub mod serde_end {
    use jiff::Timestamp;
    use jiff::civil::DateTime;
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes a moment.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        if super::civil(*moment) == jiff::tz::TimeZone::UTC.to_datetime(*moment) {
            to.collect_str(moment)
        } else {
            to.serialize_str(&super::rfc3339(*moment))
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// For what is no moment.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is no moment")))
    }

    fn parse(text: &str) -> Option<Timestamp> {
        if let Ok(moment) = text.parse() {
            return Some(moment);
        }
        let beyond: DateTime = text.strip_suffix('Z')?.parse().ok()?;
        let last = jiff::tz::TimeZone::UTC.to_datetime(Timestamp::MAX);
        let seconds = beyond.duration_since(last.with().subsec_nanosecond(0).build().ok()?);
        Some(super::from_second(
            Timestamp::MAX.as_second().checked_add(seconds.as_secs())?,
        ))
    }

    /// The same of a moment that may be missing.
    pub mod option {
        use jiff::Timestamp;
        use serde::{Deserialize, Deserializer, Serializer};

        #[derive(Deserialize)]
        struct Moment(#[serde(with = "super")] Timestamp);

        /// Writes a moment or null.
        ///
        /// # Errors
        /// The serializer's.
        pub fn serialize<S: Serializer>(
            moment: &Option<Timestamp>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match moment {
                Some(moment) => super::serialize(moment, to),
                None => to.serialize_none(),
            }
        }

        /// Reads one.
        ///
        /// # Errors
        /// For what is no moment.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Ok(Option::<Moment>::deserialize(from)?.map(|moment| moment.0))
        }
    }
}

/// kubeadm's date, always UTC: `May 20, 2027 09:12 UTC`.
#[must_use]
pub fn date(moment: Timestamp) -> String {
    civil(moment).strftime("%b %d, %Y %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Line {
        #[serde(with = "serde_end")]
        end: Timestamp,
        #[serde(
            with = "serde_end::option",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        other: Option<Timestamp>,
    }

    #[test]
    fn the_last_hours_of_9999_keep_their_date_and_their_order() {
        let of = |text: &str| {
            let civil: DateTime = text.parse().unwrap();
            let epoch: DateTime = "1970-01-01T00:00:00".parse().unwrap();
            from_second(civil.duration_since(epoch).as_secs())
        };
        let mut before = Timestamp::MIN;
        for text in [
            "0000-01-01T00:00:00",
            "2050-01-01T00:00:00",
            "9999-12-30T21:59:59",
            "9999-12-30T22:00:00",
            "9999-12-30T22:00:01",
            "9999-12-31T00:00:00",
            "9999-12-31T23:59:58",
            "9999-12-31T23:59:59",
        ] {
            let moment = of(text);
            assert_eq!(rfc3339(moment), format!("{text}Z"));
            assert!(before < moment, "{text}");
            before = moment;
            for other in [None, Some(moment)] {
                let line = Line { end: moment, other };
                let json = serde_json::to_string(&line).unwrap();
                assert!(json.contains(text), "{json}");
                assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line);
            }
        }
        assert_eq!(from_second(i64::MAX), before);
        assert_eq!(from_second(i64::MIN), Timestamp::MIN);
        // What is no certificate's keeps its fraction.
        let now: Timestamp = "2026-11-26T02:18:50.123456789Z".parse().unwrap();
        let json = serde_json::to_string(&Line {
            end: now,
            other: None,
        })
        .unwrap();
        assert_eq!(json, r#"{"end":"2026-11-26T02:18:50.123456789Z"}"#);
        assert!(serde_json::from_str::<Line>(r#"{"end":"soon"}"#).is_err());
        assert!(serde_json::from_str::<Line>(r#"{"end":"9999-99-31T00:00:00Z"}"#).is_err());
    }
}
