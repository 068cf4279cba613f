//! The status file.

use kubecertd::report::{read_status, write_status};

use crate::place::Place;

thread_local! {
    static PLACE: Place = Place::new();
}

/// A status that is read is written and read as the same.
pub fn check(data: &[u8]) {
    PLACE.with(|place| {
        place.write("/run/kubecertd/status.json", data);
        match read_status(&place.root) {
            Ok(status) => {
                let _ = status.is_running();
                write_status(&place.root, &status).expect("written");
                assert_eq!(read_status(&place.root).expect("what was written"), status);
            }
            Err(error) => assert!(error.to_string().contains("status.json")),
        }
    });
}
