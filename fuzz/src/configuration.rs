//! kubecertd's own configuration with its drop-ins.

use kubecertd::config::{ConfigError, load};

use crate::place::{Place, parts};

const FILES: [&str; 3] = [
    "/etc/kubecertd/kubecertd.toml",
    "/usr/lib/kubecertd/kubecertd.d/10-a.toml",
    "/etc/kubecertd/kubecertd.d/20-b.toml",
];

thread_local! {
    static PLACE: Place = Place::new();
}

/// A configuration that is accepted and shown is accepted again, and means the same; one that is refused has a place and
/// a reason for every mistake.
pub fn check(data: &[u8]) {
    PLACE.with(|place| {
        for file in FILES {
            place.remove(file);
        }
        for (file, contents) in FILES.iter().zip(parts(data)) {
            place.write(file, contents);
        }
        let loaded = match load(&place.root, None) {
            Ok(loaded) => loaded,
            Err(errors) => return errors.iter().for_each(check_error),
        };
        let shown = loaded.to_toml();
        for file in FILES {
            place.remove(file);
        }
        place.write(FILES[0], shown.as_bytes());
        let again =
            load(&place.root, None).unwrap_or_else(|errors| panic!("{errors:?} in:\n{shown}"));
        assert_eq!(again.config, loaded.config, "{shown}");
    });
}

fn check_error(error: &ConfigError) {
    assert!(!error.to_string().is_empty());
    if let ConfigError::Wrong {
        line,
        column,
        message,
        ..
    } = error
    {
        assert!(*line > 0 && *column > 0 && !message.is_empty());
    }
}
