//! Which client certificate the API server shows to the kubelet, as the kubelet counts it.
//!
//! The kubelet's histogram `apiserver_client_certificate_expiration_seconds` grows with each request by the remaining life of the
//! client certificate that came with it. Its metrics are asked for through this node's API server, so that the question itself is such a
//! request: the growth between two answers is the life of the certificate that the API server uses now.
//!
//! kubeadm lets the API server verify no kubelet. A process that takes the kubelet's port can so pretend that the new certificate was
//! seen, and gains that the API server goes on with the old one for the minutes until it looks at its files.

use jiff::Timestamp;

use super::authenticate::as_holder_at;
use super::endpoint::{API_SERVER, api_server_address, runs};
use crate::node::{CertificateId, Inventory};
use crate::pki::date;

const HISTOGRAM: &str = "apiserver_client_certificate_expiration_seconds";

/// The clocks are the same; what passes between the kubelet's look and this one's, seconds.
const ROUNDING: f64 = 1.5;

/// What the histogram came to at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    sum: f64,
    count: f64,
    /// Before the question and after the answer.
    asked: (Timestamp, Timestamp),
}

/// Why there is no reading.
#[derive(Debug)]
pub(super) enum NoReading {
    /// The kubelet or the API server does not give it, and will not: no such right, no such metric.
    Never(String),
    /// Nothing answered.
    NotNow(String),
}

/// Reads the histogram through this node's API server, as the administrator.
pub(super) async fn read(inventory: &Inventory) -> Result<Reading, NoReading> {
    let never = |reason: &str| NoReading::Never(reason.to_owned());
    let node = inventory
        .node_name
        .as_deref()
        .filter(|name| is_plain(name))
        .ok_or_else(|| never("the node's name is not known"))?;
    let admin = inventory
        .entry(&CertificateId::ADMIN)
        .filter(|admin| admin.present().is_some())
        .ok_or_else(|| never("there is no admin.conf to ask with"))?;
    let address = inventory
        .static_pods
        .iter()
        .find(|pod| runs(pod, API_SERVER))
        .and_then(api_server_address)
        .ok_or_else(|| never("it is not known where the API server answers"))?;
    let path = format!("/api/v1/nodes/{node}/proxy/metrics");
    let before = crate::host::now();
    let answer = as_holder_at(&admin.path, &address, &path)
        .await
        .map_err(|error| NoReading::NotNow(error.to_string()))?;
    match answer.status {
        200 => {}
        401 | 403 | 404 | 405 => {
            return Err(NoReading::Never(format!("{path}: {}", answer.describe())));
        }
        _ => return Err(NoReading::NotNow(format!("{path}: {}", answer.describe()))),
    }
    let (sum, count) = histogram(&answer.body)
        .ok_or_else(|| NoReading::Never(format!("{path} has no {HISTOGRAM}")))?;
    Ok(Reading {
        sum,
        count,
        asked: (before, crate::host::now()),
    })
}

/// What the kubelet saw between two readings, in words, where it is nothing but a certificate that ends then.
///
/// # Errors
/// What it saw instead.
pub(super) fn saw(before: Reading, after: Reading, ends: Timestamp) -> Result<String, String> {
    let requests = after.count - before.count;
    if requests < 1.0 {
        return Err("the kubelet saw no client certificate".to_owned());
    }
    let life = (after.sum - before.sum) / requests;
    let remaining = |moment: Timestamp| ends.duration_since(moment).as_secs_f64();
    let (most, least) = (remaining(before.asked.1), remaining(after.asked.1));
    let said = format!(
        "the kubelet saw a client certificate with {:.1} h to live",
        life / 3600.0
    );
    if (least - ROUNDING..=most + ROUNDING).contains(&life) {
        Ok(said)
    } else {
        Err(format!("{said}, not the one that ends {}", date(ends)))
    }
}

/// A name that means nothing else in a path.
fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|one| one.is_ascii_alphanumeric() || matches!(one, b'-' | b'.'))
        && !name.is_empty()
        && !name.starts_with('.')
}

/// Sum and count of the histogram in Prometheus' text format.
fn histogram(text: &str) -> Option<(f64, f64)> {
    let value = |end: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(HISTOGRAM)?.strip_prefix(end))
            .find_map(|rest| rest.strip_prefix(' ')?.trim().parse::<f64>().ok())
            .filter(|value| value.is_finite())
    };
    Some((value("_sum")?, value("_count")?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::SignedDuration;

    use super::*;

    const TEXT: &str = "# HELP apiserver_client_certificate_expiration_seconds Distribution\n\
        apiserver_client_certificate_expiration_seconds_bucket{le=\"0\"} 0\n\
        apiserver_client_certificate_expiration_seconds_sum 3.1535999e+07\n\
        apiserver_client_certificate_expiration_seconds_count 12\n";

    #[test]
    fn only_the_histogram_itself_is_read() {
        assert_eq!(histogram(TEXT), Some((31_535_999.0, 12.0)));
        for odd in [
            "",
            "apiserver_client_certificate_expiration_seconds_sum 1\n",
            "apiserver_client_certificate_expiration_seconds_sum NaN\napiserver_client_certificate_expiration_seconds_count 1\n",
            "apiserver_client_certificate_expiration_seconds_summary 1\napiserver_client_certificate_expiration_seconds_count 1\n",
            "x_apiserver_client_certificate_expiration_seconds_sum 1\n",
            "apiserver_client_certificate_expiration_seconds_sum +Inf\napiserver_client_certificate_expiration_seconds_count 1\n",
        ] {
            assert_eq!(histogram(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_growth_is_the_life_of_the_certificate_that_was_seen() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let hours = |hours: i64| SignedDuration::from_hours(hours);
        let seconds = |seconds: i64| SignedDuration::from_secs(seconds);
        let at = |from: i64, sum: f64, count: f64| Reading {
            sum,
            count,
            asked: (now + seconds(from), now + seconds(from + 1)),
        };
        let before = at(0, 1e9, 40.0);
        let (old, new) = (now + hours(24), now + hours(8760));
        let life = |ends: Timestamp| ends.duration_since(now + seconds(10)).as_secs_f64();
        let of_new = at(10, 1e9 + life(new), 41.0);
        let said = saw(before, of_new, new).unwrap();
        assert_eq!(
            said,
            "the kubelet saw a client certificate with 8760.0 h to live"
        );
        let of_old = at(10, 1e9 + life(old), 41.0);
        let said = saw(before, of_old, new).unwrap_err();
        assert!(said.contains("with 24.0 h to live, not the one"), "{said}");
        // One of each is neither, and so is one made a minute earlier.
        let mixed = at(10, 1e9 + life(old) + life(new), 42.0);
        assert!(saw(before, mixed, new).is_err());
        assert!(saw(before, of_new, new - seconds(60)).is_err());
        // Another request may have come from it as well.
        assert!(saw(before, at(10, 1e9 + 2.0 * life(new), 42.0), new).is_ok());
        // The kubelet was restarted, or counts nothing.
        assert!(saw(before, at(10, 5.0, 1.0), new).is_err());
        assert!(saw(before, at(10, 1e9, 40.0), new).is_err());
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["", "a/../b", "a?b", "..", "a b", "a%2f"] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(is_plain("cp1.example"));
    }
}
