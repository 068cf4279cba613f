//! Random operations with random crashes, compared with a model that knows nothing of journals: a certificate is old or
//! new, a manifest is home or out, a restart is owed or not.
//!
//! What a crash leaves in the middle of one step is `transaction_crash`'s; here are the many orders of whole steps.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use kubecertd::files::{Operation, generations, recover};
use kubecertd::journal::{Lock, Outcome, Record};
use proptest::prelude::*;
use testkit::files::{MANIFESTS, Plain, SMALL};
use testkit::tree::Entry;

const KEEP: usize = 2;

#[derive(Debug, Clone)]
enum Action {
    Begin,
    Install,
    Park(usize),
    GiveBack(usize),
    Plan(BTreeSet<usize>),
    Restarted(usize),
    RollBack,
    Finish,
    /// Somebody writes another manifest to where it belongs.
    Edit(usize),
    Crash(Tear),
}

/// What a crash does to the end of the journal.
#[derive(Debug, Clone, Copy)]
enum Tear {
    No,
    /// The last record was not flushed, which only one may be that nothing relies on yet; this many bytes of it are.
    Last(usize),
    /// This many bytes of a next one are there.
    Next(usize),
}

/// One operation.
#[derive(Debug, Clone, Default)]
struct InFlight {
    installed: bool,
    rolled_back: bool,
    out: BTreeSet<usize>,
    ever_out: bool,
    /// By component, whether its pod may use new files, and whether it is done.
    owed: BTreeMap<usize, (bool, bool)>,
    /// The restarts before the last record, if that is a note.
    owed_before: Option<BTreeMap<usize, (bool, bool)>>,
    /// Nothing relies on the last record yet.
    last_may_be_torn: bool,
}

struct Model {
    /// Without an operation: what the certificates say.
    wording: Option<String>,
    manifests: Vec<String>,
    /// What somebody put in the place of one that is out.
    newer: BTreeMap<usize, String>,
    in_flight: Option<InFlight>,
    edits: usize,
    installs: usize,
}

impl InFlight {
    fn recorded(&mut self, may_be_torn: bool) {
        self.owed_before = None;
        self.last_may_be_torn = may_be_torn;
    }

    fn noted(&mut self, owed: BTreeMap<usize, (bool, bool)>) {
        self.recorded(true);
        self.owed_before = Some(std::mem::replace(&mut self.owed, owed));
    }

    fn rolled_back(&mut self) {
        if !self.rolled_back {
            self.rolled_back = true;
            self.owed.retain(|_, (touched, _)| *touched);
            self.owed.values_mut().for_each(|(_, done)| *done = false);
            self.recorded(true);
        }
    }

    fn owed(&self) -> Vec<usize> {
        let left = self.owed.iter().filter(|(_, (_, done))| !done);
        left.map(|(component, _)| *component).collect()
    }
}

impl Model {
    fn wording(&self) -> Option<String> {
        match &self.in_flight {
            Some(operation) if operation.installed && !operation.rolled_back => {
                Some(format!("new {}", self.installs))
            }
            _ => self.wording.clone(),
        }
    }

    /// One that is out comes back, or stays away because there is a newer one. Whether it came back.
    fn come_home(&mut self, index: usize) -> bool {
        let Some(operation) = &mut self.in_flight else {
            return true;
        };
        if !operation.out.remove(&index) {
            return true;
        }
        operation.recorded(true);
        match self.newer.remove(&index) {
            Some(newer) => {
                self.manifests[index] = newer;
                false
            }
            None => true,
        }
    }

    fn all_come_home(&mut self) {
        for index in 0..MANIFESTS.len() {
            self.come_home(index);
        }
    }
}

/// The tree, the model, and the operation in flight.
struct Run<'lock> {
    node: &'lock Plain,
    lock: &'lock Lock,
    untouched: BTreeMap<String, Entry>,
    operation: Option<Operation<'lock>>,
    model: Model,
}

impl<'lock> Run<'lock> {
    fn new(node: &'lock Plain, lock: &'lock Lock) -> Self {
        Self {
            node,
            lock,
            untouched: node.cluster(),
            operation: None,
            model: Model {
                wording: None,
                manifests: MANIFESTS.map(|manifest| node.read(manifest)).to_vec(),
                newer: BTreeMap::new(),
                in_flight: None,
                edits: 0,
                installs: 0,
            },
        }
    }

    fn take(&mut self, action: &Action) {
        match action {
            Action::Begin if self.operation.is_none() => {
                self.operation = Some(self.node.begin(self.lock));
                self.model.in_flight = Some(InFlight::default());
            }
            Action::Begin => {}
            Action::Install => self.install(),
            Action::Park(index) => self.park(*index),
            Action::GiveBack(index) => self.return_manifest(*index),
            Action::Plan(components) => self.plan(components),
            Action::Restarted(index) => self.restarted(*index),
            Action::RollBack => self.roll_back(),
            Action::Finish => self.finish(),
            Action::Edit(index) => self.edit(*index),
            Action::Crash(tear) => self.crash(*tear),
        }
        self.compare();
    }

    fn install(&mut self) {
        let Some(operation) = &mut self.operation else {
            return;
        };
        let in_flight = self.model.in_flight.as_mut().unwrap();
        let wording = format!("new {}", self.model.installs + 1);
        let installed = operation.install(self.node.replacements(&wording));
        if in_flight.installed || in_flight.rolled_back {
            installed.unwrap_err();
        } else {
            installed.unwrap();
            in_flight.installed = true;
            in_flight.recorded(true);
            self.model.installs += 1;
        }
    }

    fn park(&mut self, index: usize) {
        let Some(operation) = &mut self.operation else {
            return;
        };
        let in_flight = self.model.in_flight.as_mut().unwrap();
        let parked = operation.park(&self.node.path(MANIFESTS[index]));
        if in_flight.out.contains(&index) {
            parked.unwrap_err();
            return;
        }
        parked.unwrap();
        in_flight.out.insert(index);
        in_flight.ever_out = true;
        in_flight.recorded(false);
        if let Some((touched, _)) = in_flight.owed.get_mut(&index) {
            *touched = true;
        }
    }

    fn return_manifest(&mut self, index: usize) {
        if let Some(operation) = &mut self.operation {
            let came = operation.return_manifest(&self.node.path(MANIFESTS[index]));
            assert_eq!(came.unwrap(), self.model.come_home(index));
        }
    }

    fn plan(&mut self, components: &BTreeSet<usize>) {
        let Some(operation) = &mut self.operation else {
            return;
        };
        let named = components.iter().map(|index| {
            let manifest: PathBuf = self.node.path(MANIFESTS[*index]);
            (name(*index), manifest).into()
        });
        let record = Record::RestartsPlanned {
            pods: named.collect(),
        };
        operation.note(record).unwrap();
        let in_flight = self.model.in_flight.as_mut().unwrap();
        // Whoever may use new files by an earlier plan has to go back with them.
        let mut owed = in_flight.owed.clone();
        owed.retain(|_, (touched, _)| *touched);
        owed.values_mut().for_each(|(_, done)| *done = true);
        for index in components {
            let touched = owed.contains_key(index) || in_flight.out.contains(index);
            owed.insert(*index, (touched, false));
        }
        in_flight.noted(owed);
    }

    fn restarted(&mut self, index: usize) {
        let Some(operation) = &mut self.operation else {
            return;
        };
        let component = name(index);
        operation.note(Record::Restarted { component }).unwrap();
        let in_flight = self.model.in_flight.as_mut().unwrap();
        let mut owed = in_flight.owed.clone();
        owed.entry(index).and_modify(|state| *state = (true, true));
        in_flight.noted(owed);
    }

    fn roll_back(&mut self) {
        if let Some(operation) = &mut self.operation {
            operation.roll_back("the model wants it").unwrap();
            self.model.all_come_home();
            self.model.in_flight.as_mut().unwrap().rolled_back();
        }
    }

    fn finish(&mut self) {
        let Some(operation) = self.operation.take() else {
            return;
        };
        let id = operation.id().to_owned();
        operation.finish(Outcome::Done, KEEP, u64::MAX).unwrap();
        self.model.all_come_home();
        self.model.wording = self.model.wording();
        let ended = self.model.in_flight.take().unwrap();
        let kept = generations(&self.node.store).unwrap();
        // Those with manifests only are counted by themselves.
        let (with_certificates, others): (Vec<_>, Vec<_>) = kept
            .iter()
            .partition(|one| one.files.iter().any(|file| file.certificate.is_some()));
        assert!(with_certificates.len() <= KEEP && others.len() <= KEEP);
        if ended.installed || ended.ever_out {
            assert_eq!(kept.last().unwrap().id, id, "its backup is not the newest");
        }
    }

    fn edit(&mut self, index: usize) {
        self.model.edits += 1;
        let text = format!("edit {}\n", self.model.edits);
        self.node.write(MANIFESTS[index], &text, 0o600);
        let out = self
            .model
            .in_flight
            .as_ref()
            .map(|operation| &operation.out);
        if out.is_some_and(|out| out.contains(&index)) {
            self.model.newer.insert(index, text);
        } else {
            self.model.manifests[index] = text;
        }
    }

    fn crash(&mut self, tear: Tear) {
        let Some(operation) = self.operation.take() else {
            assert!(recover(&self.node.store, self.lock).unwrap().is_empty());
            return;
        };
        let journal = self.node.store.journal();
        let journal = journal.join(format!("{}.jsonl", operation.id()));
        drop(operation);
        self.tear(&journal, tear);
        let model = &mut self.model;
        let in_flight = model.in_flight.as_mut().unwrap();
        let expected: Vec<PathBuf> = in_flight
            .out
            .iter()
            .filter(|index| !model.newer.contains_key(index))
            .map(|index| self.node.path(MANIFESTS[*index]))
            .collect();
        let has_effect = in_flight.installed || in_flight.ever_out;
        let mut recovered = recover(&self.node.store, self.lock).unwrap();
        model.all_come_home();
        if !has_effect {
            assert!(recovered.is_empty(), "nothing had been changed");
            model.in_flight = None;
            return;
        }
        assert_eq!(recovered.len(), 1);
        let recovery = recovered.remove(0);
        let in_flight = model.in_flight.as_mut().unwrap();
        // One returning record more or less, which nothing relies on.
        in_flight.recorded(false);
        assert_eq!(
            BTreeSet::from_iter(recovery.returned),
            BTreeSet::from_iter(expected)
        );
        assert_eq!(recovery.rolled_forward, !in_flight.rolled_back);
        let left: BTreeSet<String> = recovery
            .restarts_left
            .into_iter()
            .map(|pod| pod.component)
            .collect();
        assert_eq!(left, in_flight.owed().into_iter().map(name).collect());
        self.operation = Some(recovery.operation);
    }

    fn tear(&mut self, journal: &PathBuf, tear: Tear) {
        let text = std::fs::read(journal).unwrap();
        let in_flight = self.model.in_flight.as_mut().unwrap();
        match tear {
            Tear::Last(bytes) if in_flight.last_may_be_torn => {
                let start = text[..text.len() - 1]
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .unwrap()
                    + 1;
                let kept = start + bytes.min(text.len() - start - 1);
                std::fs::write(journal, &text[..kept]).unwrap();
                if let Some(owed) = in_flight.owed_before.take() {
                    in_flight.owed = owed;
                }
            }
            Tear::No | Tear::Last(_) => {}
            Tear::Next(bytes) => {
                let next =
                    br#"0123456789abcdef {"seq":99,"record":{"step":"finished","outcome":"done"}}"#;
                let mut file = std::fs::File::options().append(true).open(journal).unwrap();
                file.write_all(&next[..bytes.min(next.len())]).unwrap();
            }
        }
    }

    /// Everything that can be seen.
    fn compare(&self) {
        let parking = self
            .node
            .names(&self.node.path("/etc/kubernetes/.kubecertd"));
        let is_out = |index: usize| {
            let operation = self.model.in_flight.as_ref();
            operation.is_some_and(|operation| operation.out.contains(&index))
        };
        let mut any_out = false;
        for (index, manifest) in MANIFESTS.iter().enumerate() {
            let file = manifest.rsplit('/').next().unwrap().to_owned();
            assert_eq!(parking.contains(&file), is_out(index), "{manifest}");
            let there = self.node.path(manifest).exists();
            assert_eq!(
                there,
                !is_out(index) || self.model.newer.contains_key(&index),
                "{manifest}"
            );
            any_out |= is_out(index);
        }
        let mut expected = match self.model.wording() {
            Some(wording) => self.node.cluster_with(&wording),
            None => self.untouched.clone(),
        };
        let mut now = self.node.cluster();
        for cluster in [&mut expected, &mut now] {
            cluster.retain(|path, _| {
                !any_out || !path.contains("/manifests/") && !path.contains("/.kubecertd")
            });
        }
        for (manifest, text) in MANIFESTS.iter().zip(&self.model.manifests) {
            expected
                .entry((*manifest).to_owned())
                .and_modify(|entry| entry.contents.clone_from(text));
        }
        assert_eq!(now, expected);
    }
}

fn name(index: usize) -> String {
    ["etcd", "kube-apiserver"][index].to_owned()
}

fn action() -> impl Strategy<Value = Action> {
    let which = || 0..MANIFESTS.len();
    prop_oneof![
        4 => Just(Action::Begin),
        3 => Just(Action::Install),
        4 => which().prop_map(Action::Park),
        3 => which().prop_map(Action::GiveBack),
        2 => proptest::collection::btree_set(which(), 0..=2).prop_map(Action::Plan),
        2 => which().prop_map(Action::Restarted),
        1 => Just(Action::RollBack),
        1 => Just(Action::Finish),
        1 => which().prop_map(Action::Edit),
        1 => Just(Action::Crash(Tear::No)),
        2 => (0..200usize).prop_map(|bytes| Action::Crash(Tear::Last(bytes))),
        1 => (0..80usize).prop_map(|bytes| Action::Crash(Tear::Next(bytes))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn whatever_happens_the_node_is_as_the_model_says(actions in proptest::collection::vec(action(), 1..40)) {
        let node = Plain::fleeting(&SMALL);
        let lock = node.lock();
        let mut run = Run::new(&node, &lock);
        for action in &actions {
            run.take(action);
        }
        run.take(&Action::Crash(Tear::No));
        run.take(&Action::Finish);
    }
}
