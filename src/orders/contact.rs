//! When an issuer was asked, and when it is asked again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::answer::Answer;
use crate::host::shifted;

/// The pause after a first refusal; it doubles with each.
const FIRST_PAUSE: i64 = 60;
const LONGEST_PAUSE: i64 = 6 * 3600;
/// No pause is longer, whoever asks for it.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// The last time that an issuer was asked, as its file has it. What is there in a released form stays readable.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// Its name.
    pub issuer: String,
    /// What it is given back the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When that is.
    pub ask_again: Timestamp,
    /// When it was asked; absent where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Timestamp>,
    /// How often in a row it gave nothing that can be used.
    pub failures: u32,
    /// Why it refused, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Contact {
    /// After that answer. One that is issued is used at once, so the next time matters only where it cannot be.
    #[must_use]
    pub fn after(before: Option<&Self>, issuer: &str, answer: &Answer, now: Timestamp) -> Self {
        let before = before.filter(|before| before.issuer == issuer);
        let failures = before.map_or(0, |before| before.failures);
        let (token, failures, pause, refused) = match answer {
            Answer::Pending { token, ask_again } => (token.clone(), 0, whole(*ask_again), None),
            // The token is kept: what could not be asked now may still be known by it.
            Answer::Refused { reason, .. } => (
                before.and_then(|before| before.token.clone()),
                failures.saturating_add(1),
                pause(failures),
                Some(reason.clone()),
            ),
            Answer::NotNow { reason, ask_again } => (
                before.and_then(|before| before.token.clone()),
                failures.saturating_add(1),
                whole(*ask_again),
                Some(reason.clone()),
            ),
            Answer::Issued(_) => (None, failures.saturating_add(1), pause(failures), None),
        };
        Self {
            issuer: issuer.to_owned(),
            token,
            ask_again: shifted(now, SignedDuration::from_secs(pause)),
            asked: Some(now),
            failures,
            refused,
        }
    }

    /// How long until the next time.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Duration {
        let left = self.ask_again.duration_since(now);
        // The clock was ahead when it was asked, so that the moment says nothing.
        if left > LONGEST || self.asked.is_some_and(|asked| asked > now) {
            return Duration::ZERO;
        }
        Duration::try_from(left).unwrap_or_default()
    }
}

/// How long after that many failures in a row.
pub(super) fn pause_after(failures: u32) -> Duration {
    Duration::from_secs(u64::try_from(pause(failures)).unwrap_or_default())
}

fn pause(failures: u32) -> i64 {
    FIRST_PAUSE
        .saturating_mul(1_i64.checked_shl(failures.min(20)).unwrap_or(i64::MAX))
        .min(LONGEST_PAUSE)
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_asked_about_again_ever_later_and_a_pending_answer_when_it_says() {
        let now = Timestamp::UNIX_EPOCH;
        let refusal = Answer::Refused {
            reason: "no".to_owned(),
            is_slow: false,
        };
        let pending = Answer::Pending {
            token: Some("t".to_owned()),
            ask_again: Duration::from_secs(30),
        };
        let first = Contact::after(None, "vault", &pending, now);
        assert_eq!(first.remaining(now), Duration::from_secs(30));
        let mut contact = Contact::after(Some(&first), "vault", &refusal, now);
        assert_eq!(contact.token.as_deref(), Some("t"));
        let mut pauses = Vec::new();
        for _ in 0..12 {
            pauses.push(contact.remaining(now).as_secs());
            contact = Contact::after(Some(&contact), "vault", &refusal, now);
        }
        assert_eq!(pauses[..3], [60, 120, 240]);
        assert_eq!(pauses.last(), Some(&21_600));
        let again = Contact::after(Some(&contact), "vault", &pending, now);
        assert_eq!((again.failures, again.refused), (0, None));
        // Another issuer is another story.
        let other = Contact::after(Some(&contact), "step", &refusal, now);
        assert_eq!((other.token, other.failures), (None, 1));
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_it_from_nothing() {
        let ahead = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 400);
        let refusal = Answer::Refused {
            reason: "no".to_owned(),
            is_slow: false,
        };
        let contact = Contact::after(None, "vault", &refusal, ahead);
        assert_eq!(contact.remaining(ahead), Duration::from_secs(60));
        // Set back by a second, an hour and a year; also where it is not known when it was asked.
        for hours in [0, 1, 24 * 365] {
            let back = SignedDuration::from_hours(hours) + SignedDuration::from_secs(1);
            assert_eq!(contact.remaining(ahead - back), Duration::ZERO, "{hours}");
        }
        let old = Contact {
            asked: None,
            ..contact
        };
        let now = ahead - SignedDuration::from_hours(24 * 365);
        assert_eq!(old.remaining(now), Duration::ZERO);
        // The longest pause there is.
        let pending = Answer::Pending {
            token: None,
            ask_again: Duration::from_secs(86_400),
        };
        let contact = Contact::after(None, "vault", &pending, now);
        assert_eq!(contact.remaining(now), Duration::from_secs(86_400));
    }
}
