//! kubecertd's own configuration, in three steps: what a file says (all optional), what all files say
//! together (drop-ins merged), and what it means ([`Config`], checked, with defaults).

mod error;
mod fragment;
mod keys;
mod load;
mod merge;
mod nearest;
mod odd;
mod quantity;
mod source;
mod types;
mod value;

pub use error::{ConfigError, ConfigWarning};
pub use load::{Loaded, Origin, directories, load, load_what_is_right, parse};
pub(crate) use nearest::nearest;
pub use types::{
    Backup, Config, KeyPolicy, Locations, Log, LogFormat, OtherRenewer, Renewal, Restart,
    RestartMode, RestartWait,
};
pub(crate) use value::check_filter;
