//! Where a control plane is made, and what it is to be like.

use jiff::Timestamp;

use crate::credentials::places::Places;
use crate::node::ControlPlane;

/// The place, the configuration and the moment.
pub(super) struct Setting<'a> {
    pub(super) places: &'a Places,
    pub(super) control_plane: &'a ControlPlane,
    pub(super) now: Timestamp,
}
