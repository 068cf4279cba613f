//! What becomes of requests, in an administrator's words.

use std::fmt;

use super::decide::Closing;

impl fmt::Display for Closing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Renewed => "the certificate was renewed",
            Self::Changed => {
                "the certificate was replaced by one with another subject, other names or usages"
            }
            Self::SignedHere => "the CA's key is on this node now",
            Self::LeftAlone => "the configuration says that the certificate is to be left alone",
            Self::Gone => "the node has no such certificate any more",
            Self::Double => "another one for the certificate is open",
        })
    }
}
