//! What became of what was wanted.

use jiff::Timestamp;

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialised {
    /// `ca`, `apiserver`, `admin.conf`, `sa`
    pub name: String,
    /// Whether it was there already.
    pub is_kept: bool,
    /// When it ends, if it does.
    pub end: Option<Timestamp>,
    /// Where what was kept differs from the configuration, and what has to be known of what was made.
    pub differences: Vec<String>,
}
