//! Codes with their fields, as scripts see them.

use serde_json::Value;

use crate::checks::Finding;

/// The fields of something that has a code, `None` where it has none.
pub(crate) fn fields(coded: &impl serde::Serialize) -> Option<Value> {
    // Serialized beside its code, of which the caller has its own.
    match serde_json::to_value(coded) {
        Ok(Value::Object(mut document)) => document.remove("fields"),
        Ok(_) => None,
        Err(error) => {
            tracing::error!("a code is printed without its fields: {error}");
            None
        }
    }
}

/// Something with a code, as it is printed and kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Coded {
    /// Its code; `docs/codes.md` lists them.
    pub code: String,
    /// What belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Value>,
    /// The same in a sentence.
    pub message: String,
}

impl Coded {
    /// A value whose `Display` is its sentence.
    pub fn of(code: &str, value: &(impl serde::Serialize + ToString)) -> Self {
        Self {
            code: code.to_owned(),
            fields: fields(value),
            message: value.to_string(),
        }
    }
}

impl From<&Finding> for Coded {
    fn from(finding: &Finding) -> Self {
        Self {
            message: finding.to_string(),
            ..Self::of(finding.cause.code(), &finding.cause)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;
    use crate::checks::{Cause, Check};
    use crate::node::{Fault, Problem};
    use crate::plan::{AuthorityFault, Obstacle};

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
        let fault = AuthorityFault::File(Problem {
            path: "/x".into(),
            fault: Fault::CannotBeRead {
                reason: "is empty".to_owned(),
            },
        });
        let fields = fields(&Obstacle::AuthorityUnusable(fault)).unwrap();
        assert_eq!(fields["fault"], "file");
        assert_eq!(fields["path"], "/x");
    }
}
