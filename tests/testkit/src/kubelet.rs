//! What a kubelet does with a manifest directory, on a container runtime.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::cri::Shared;

/// What starts and stops when a manifest comes and goes.
pub trait Pods: Send + 'static {
    fn start(&mut self, component: &str);
    fn stop(&mut self, component: &str);
    /// Whether another than the kubelet has ended it.
    fn has_ended(&self, _component: &str) -> bool {
        false
    }
}

/// Containers of the fake runtime; `started` is called for each.
pub struct Containers<F> {
    pub runtime: Shared,
    pub started: F,
    /// The one that takes its whole grace to end; without any all do.
    pub lingers: Option<&'static str>,
}

impl<F: FnMut(&str) + Send + 'static> Pods for Containers<F> {
    fn start(&mut self, component: &str) {
        (self.started)(component);
        self.runtime.lock().unwrap().start(component);
    }

    fn stop(&mut self, component: &str) {
        self.runtime.lock().unwrap().stop(component);
    }

    fn has_ended(&self, component: &str) -> bool {
        self.lingers.is_some_and(|one| one != component)
            || !self.runtime.lock().unwrap().runs(component)
    }
}

/// What happened, in order: `out etcd`, `back etcd`.
pub type Events = Arc<Mutex<Vec<String>>>;

pub struct Kubelet {
    pub events: Events,
    task: JoinHandle<()>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Looks every 20 ms; stops a pod `grace` after its manifest went and starts it as soon as it is back.
pub fn watch(manifests: PathBuf, grace: Duration, mut pods: impl Pods) -> Kubelet {
    let events = Events::default();
    let told = Arc::clone(&events);
    let mut running = components(&manifests);
    let task = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = components(&manifests);
            let gone: Vec<(String, String)> = running.difference(&now).cloned().collect();
            let began = tokio::time::Instant::now();
            let all_ended = |pods: &dyn Pods| gone.iter().all(|(pod, _)| pods.has_ended(pod));
            while !all_ended(&pods) && began.elapsed() < grace {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for (component, _) in gone {
                pods.stop(&component);
                told.lock().unwrap().push(format!("stopped {component}"));
            }
            for (component, _) in now.difference(&running) {
                pods.start(component);
                told.lock().unwrap().push(format!("started {component}"));
            }
            running = now;
        }
    });
    Kubelet { events, task }
}

/// What there is, with its contents: other contents are another pod.
fn components(manifests: &PathBuf) -> BTreeSet<(String, String)> {
    // A test that ends takes its directory away.
    let Ok(entries) = std::fs::read_dir(manifests) else {
        return BTreeSet::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(entry.path()).ok()?;
            Some((name.strip_suffix(".yaml")?.to_owned(), text))
        })
        .collect()
}
