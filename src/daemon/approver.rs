//! The approver of kubelets' requests, on a thread of its own. While the configuration wants none there is no such thread.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::ApproverMode;
use crate::node::Inventory;
use crate::operation::{ApproverDuty, Context};
use crate::report::ApproverStatus;

/// How long one look may take, with every server silent; waiting for the Lease of one that is gone is the longest.
const BOUND: Duration = Duration::from_secs(600);

/// What the loop knows.
#[derive(Debug, Clone)]
struct Told {
    context: Context,
    inventory: Arc<Inventory>,
}

impl Told {
    /// Whether anything is to be judged here. A host that has nothing of kubeadm's belongs to no cluster.
    fn wants(&self) -> bool {
        self.context.config.approver.mode != ApproverMode::Off && self.inventory.is_kubeadms()
    }
}

/// The loop's end of the line.
#[derive(Debug, Default)]
pub(super) struct Approving(Option<Line>);

#[derive(Debug)]
struct Line {
    told: watch::Sender<Option<Told>>,
    seen: watch::Receiver<Option<ApproverStatus>>,
}

impl Approving {
    /// Tells what is known now. The first that wants an approver begins it.
    pub(super) fn tell(&mut self, context: &Context, inventory: &Arc<Inventory>) {
        let told = Told {
            context: context.clone(),
            inventory: Arc::clone(inventory),
        };
        if self.0.is_none() && told.wants() {
            self.0 = begin();
        }
        if let Some(line) = &self.0 {
            line.told.send_replace(Some(told));
        }
    }

    /// What it saw last; `None` where there is none.
    pub(super) fn seen(&self) -> Option<ApproverStatus> {
        self.0.as_ref()?.seen.borrow().clone()
    }

    /// Ends when that has changed.
    pub(super) async fn changed(&mut self) {
        let changed = match &mut self.0 {
            Some(line) => line.seen.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            std::future::pending().await
        }
    }
}

fn begin() -> Option<Line> {
    let (told, to_be_told) = watch::channel(None);
    let (shown, seen) = watch::channel(None);
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(look_after(to_be_told, shown)),
            Err(error) => silent(&error),
        }
    };
    let begun = thread::Builder::new()
        .name("approver".to_owned())
        .spawn(work);
    begun.map_err(|error| silent(&error)).ok()?;
    Some(Line { told, seen })
}

fn silent(error: &std::io::Error) {
    tracing::warn!("kubecertd cannot judge kubelets' requests: {error}");
}

/// Until the loop is gone.
async fn look_after(
    mut told: watch::Receiver<Option<Told>>,
    shown: watch::Sender<Option<ApproverStatus>>,
) {
    let mut duty = ApproverDuty::default();
    loop {
        let now = told.borrow_and_update().clone();
        let Some(now) = now.filter(Told::wants) else {
            duty.end().await;
            shown.send_if_modified(|before| before.take().is_some());
            if told.changed().await.is_err() {
                return;
            }
            continue;
        };
        let looking = timeout(BOUND, duty.look(&now.context, &now.inventory));
        let looked = tokio::select! {
            looked = looking => looked.ok(),
            wanted = unwanted(&mut told) => {
                if wanted.is_err() {
                    return;
                }
                continue;
            }
        };
        if let Some(status) = looked {
            shown.send_if_modified(|before| {
                let changed = before.as_ref() != Some(&status);
                *before = Some(status);
                changed
            });
        }
        let again = Instant::now() + duty.pause();
        tokio::select! {
            () = sleep_until(again) => {}
            wanted = unwanted(&mut told) => if wanted.is_err() {
                return;
            },
        }
    }
}

/// Ends when nothing is to be judged here any more; an error where nobody is left to say it.
async fn unwanted(told: &mut watch::Receiver<Option<Told>>) -> Result<(), watch::error::RecvError> {
    loop {
        told.changed().await?;
        if !told.borrow_and_update().as_ref().is_some_and(Told::wants) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Config;
    use crate::host::Root;

    #[test]
    fn without_a_wish_for_one_there_is_no_thread_and_nothing_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        let mut context = Context::new(root, Config::default(), None);
        let inventory = Arc::new(context.observe());
        let mut approving = Approving::default();
        approving.tell(&context, &inventory);
        assert!(approving.0.is_none() && approving.seen().is_none());
        context.config.approver.mode = ApproverMode::Observe;
        approving.tell(&context, &inventory);
        assert!(approving.0.is_some());
    }
}
