//! What the program does while a fault comes in.

use kubecertd::files::generations;
use kubecertd::journal::Store;
use testkit::injection::{End, Point, Traced};
use testkit::machine::Machine;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Course {
    /// `renew all`, which works.
    Renew,
    /// `rollback` of such a renewal, which works.
    PutBack,
    /// `renew all`, with an API server that does not get well with its new certificate.
    Undo,
    /// `recover`, after a `renew all` that was killed at this point.
    Recover(Point),
}

impl Course {
    /// A wary API server gets well only with the certificate it has at the beginning.
    pub(crate) fn is_wary(&self) -> bool {
        *self == Self::Undo
    }

    /// Does what comes before on a node.
    pub(crate) fn prepare(&self, node: &mut Machine) {
        match self {
            Self::Renew | Self::Undo => {}
            Self::PutBack => {
                let renewed = node.run(&["renew", "all"]);
                assert!(renewed.status.success(), "{renewed:?}");
                node.before = node.cluster();
            }
            Self::Recover(point) => {
                let run = Self::Renew.traced(node).run(point, "signal=SIGKILL");
                assert_eq!(run.end, End::Killed, "{}", run.printed);
            }
        }
    }

    pub(crate) fn traced(&self, node: &Machine) -> Traced {
        let command = match self {
            Self::Renew | Self::Undo => node.command(&["renew", "all"]),
            Self::PutBack => {
                let kept = generations(&Store::new(&node.root)).unwrap();
                node.command(&["rollback", &kept[0].id])
            }
            Self::Recover(_) => node.command(&["recover"]),
        };
        Traced {
            command,
            environment: Vec::new(),
            // The second is that of a configuration that cannot be read.
            refused: &[1, 78],
            has_threads: false,
        }
    }

    /// How many receipts there are before it.
    pub(crate) fn receipts_before(&self) -> usize {
        usize::from(*self == Self::PutBack)
    }
}
