//! Requests that wait for an answer for hours or days, each with its key; outside any operation.
//!
//! Where the key of a CA is not on this node, the program asks for a certificate and waits. An open request is an [`OpenOrder`]: its
//! key lies in `orders/` of the state directory, the request for whoever signs it in `outbox/`, and what they answer is looked for
//! in `inbox/`. What comes there is only ever offered to [`crate::issuer::accept_answer`]; what passes is an input of the plan like
//! any due certificate, and the one operation puts it in place.
//!
//! Who can write to the inbox is not trusted for that: a certificate counts only for the key of an open request and with a
//! signature that leads to a CA on this node. But who could, could also crowd out an answer, so nothing is read of an inbox
//! that another user may write to.

mod answer;
mod ask;
mod certificates_api;
mod command;
mod contact;
mod decide;
mod error;
mod inbox;
mod look;
mod open_order;
mod signing_state;
mod store;
mod words;

pub use answer::Answer;
pub use ask::AskedIssuer;
pub use certificates_api::{ApiDesk, Connect};
pub use contact::Contact;
pub use decide::{Closing, Step, decide};
pub use error::OrderError;
pub use inbox::Delivered;
pub use look::{Looked, look};
pub use open_order::OpenOrder;
pub use store::OrderStore;
