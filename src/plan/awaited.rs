//! A request that waits for its answer, as far as planning has to know of it.

use std::fmt;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::host::serialize_path;
use crate::node::CertificateId;
use crate::pki::date;

/// A request that is open.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// For which certificate.
    pub id: CertificateId,
    /// Since when.
    pub since: Timestamp,
    /// The request's file, as the node names it.
    #[serde(serialize_with = "serialize_path")]
    pub request: PathBuf,
    /// Who is asked: a program or signer by the name that the configuration gives it; otherwise whoever signs the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The CertificateSigningRequest by which a signer is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_request: Option<String>,
    /// Where the answer to a file belongs, as the node names it.
    #[serde(serialize_with = "serialize_path")]
    pub inbox: PathBuf,
    /// Until when an answer has to be there.
    pub deadline: Timestamp,
    /// How near that is: it grows in steps, so that each is said once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
    /// What came so far.
    #[serde(skip)]
    pub answered: Answered,
    /// Why what came so far is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

/// What came of a request so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// Nothing that could be put in place.
    NotYet,
    /// A certificate that can be put in place.
    Yes {
        /// When the first of it and those that vouch for it ends.
        ends: Timestamp,
    },
}

/// How little time is left at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase", tag = "unit", content = "atMost")]
pub enum Left {
    /// So many days.
    Days(u8),
    /// So many hours.
    Hours(u8),
    /// Nothing.
    None,
}

/// The steps in days and, on the last day, in hours.
const DAYS: [u8; 10] = [30, 21, 14, 10, 7, 5, 4, 3, 2, 1];
const HOURS: [u8; 5] = [12, 6, 3, 2, 1];

impl Left {
    /// How little is left at `now` until `deadline`; nothing while that is more than a month.
    #[must_use]
    pub fn until(deadline: Timestamp, now: Timestamp) -> Option<Self> {
        let left = deadline.duration_since(now);
        if left <= SignedDuration::ZERO {
            return Some(Self::None);
        }
        let fits = |hours: i64| left <= SignedDuration::from_hours(hours);
        let hours = HOURS.into_iter().rev().find(|step| fits(i64::from(*step)));
        let days = DAYS
            .into_iter()
            .rev()
            .find(|step| fits(24 * i64::from(*step)));
        hours.map(Self::Hours).or(days.map(Self::Days))
    }
}

impl fmt::Display for Left {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |count: u8, unit: &str| match count {
            1 => format!("1 {unit} is"),
            count => format!("{count} {unit}s are"),
        };
        match self {
            Self::Days(days) => write!(formatter, "no more than {} left", one(*days, "day")),
            Self::Hours(hours) => write!(formatter, "no more than {} left", one(*hours, "hour")),
            Self::None => formatter.write_str("it has ended"),
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "request open since {} ({}), ",
            date(self.since),
            self.request.display()
        )?;
        match &self.issuer {
            Some(issuer) => {
                write!(formatter, "waiting for the answer of the issuer {issuer}")?;
                if let Some(name) = &self.signing_request {
                    write!(formatter, " to the CertificateSigningRequest {name}")?;
                }
            }
            None => write!(
                formatter,
                "waiting for the signed certificate in {}",
                self.inbox.display()
            )?,
        }
        match self.left {
            Some(Left::None) => write!(formatter, "; it ended on {}", date(self.deadline))?,
            Some(left) => write!(formatter, "; it ends on {}: {left}", date(self.deadline))?,
            None => write!(formatter, "; it ends on {}", date(self.deadline))?,
        }
        match &self.rejected {
            Some(reason) => write!(formatter, "; rejected so far: {reason}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reminders_grow_in_steps_as_the_deadline_nears() {
        let now = Timestamp::UNIX_EPOCH;
        let left = |hours: i64| Left::until(now + SignedDuration::from_hours(hours), now);
        assert_eq!(left(31 * 24), None);
        assert_eq!(left(30 * 24), Some(Left::Days(30)));
        assert_eq!(left(9 * 24), Some(Left::Days(10)));
        assert_eq!(left(24), Some(Left::Days(1)));
        assert_eq!(left(13), Some(Left::Days(1)));
        assert_eq!(left(12), Some(Left::Hours(12)));
        assert_eq!(left(1), Some(Left::Hours(1)));
        assert_eq!(left(0), Some(Left::None));
        let mut seen = Vec::new();
        for hours in (0..40 * 24).rev() {
            let one = left(hours);
            if seen.last() != Some(&one) {
                seen.push(one);
            }
        }
        assert_eq!(
            seen.len(),
            1 + DAYS.len() + HOURS.len() + 1,
            "each once: {seen:?}"
        );
        assert_eq!(Left::Days(1).to_string(), "no more than 1 day is left");
    }
}
