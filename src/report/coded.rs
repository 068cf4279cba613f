//! Codes with their fields, as scripts see them.

use serde_json::Value;

/// The fields of something that has a code, `None` where it has none.
pub(super) fn fields(coded: &impl serde::Serialize) -> Option<Value> {
    // Serialized beside its code, of which the caller has its own.
    match serde_json::to_value(coded) {
        Ok(Value::Object(mut document)) => document.remove("fields"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::ffi::OsStringExt as _;

    use strum::VariantNames;

    use super::*;
    use crate::checks::{Cause, Check};
    use crate::plan::{AuthorityFault, FileFault, Obstacle, Reason};

    /// The codes that the documentation lists under a heading.
    fn documented(heading: &str) -> Vec<&'static str> {
        let text = include_str!("../../docs/codes.md");
        let section = text
            .split("\n## ")
            .find_map(|section| section.strip_prefix(heading));
        let rows = section.unwrap().lines();
        rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next())
            .collect()
    }

    #[test]
    fn every_code_is_documented_and_no_other() {
        for (heading, codes) in [
            ("Findings", Cause::VARIANTS),
            ("Obstacles", Obstacle::VARIANTS),
            ("Reasons", Reason::VARIANTS),
        ] {
            assert_eq!(documented(heading), codes, "{heading}");
            let different: BTreeSet<_> = codes.iter().collect();
            assert_eq!(different.len(), codes.len(), "{heading}");
        }
    }

    #[test]
    fn code_and_fields_are_those_of_the_kind() {
        let unreadable = Cause::NotLookedAt {
            check: Check::OtherRenewer,
            path: std::ffi::OsString::from_vec(b"/etc/\xff".to_vec()).into(),
            reason: "denied".to_owned(),
        };
        assert_eq!(unreadable.code(), "not-looked-at");
        let document = serde_json::to_value(&unreadable).unwrap();
        assert_eq!(document["code"], "not-looked-at");
        let found = fields(&unreadable).unwrap();
        assert_eq!(found["check"], "other-renewer");
        assert_eq!(found["path"], "/etc/\u{fffd}");
        assert_eq!(fields(&Cause::ClockAlone), None);
        let fault = AuthorityFault::File(FileFault {
            path: "/x".into(),
            reason: "is empty".to_owned(),
        });
        let fields = fields(&Obstacle::AuthorityUnusable(fault)).unwrap();
        assert_eq!(fields["fault"], "file");
        assert_eq!(fields["path"], "/x");
    }
}
