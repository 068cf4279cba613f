//! The same course again and again, each time with a fault at another place.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Weak};

use testkit::control_plane::kubelet_port;
use testkit::injection::{End, Point, Run};
use testkit::machine::{Machine, Template};
use testkit::peer::Listener;
use tokio::runtime::{Builder, Handle};

use crate::apart::check_apart;
use crate::check::{After, check};
use crate::course::Course;

/// Most of a course is waiting.
const AT_ONCE: usize = 8;

/// Calls that look for something (a process, a socket) come more or less often, and shift those that are counted with them.
const ATTEMPTS: usize = 12;

/// Where nodes are made. What is around them runs in a thread of its own.
pub(crate) struct Field {
    template: Template,
    around: Handle,
    _kubelet: Listener,
}

impl Field {
    /// The same for tests that run at the same time, as there is one port for kubelets; the last one takes it away.
    pub(crate) fn shared() -> Arc<Self> {
        static FIELD: Mutex<Weak<Field>> = Mutex::new(Weak::new());
        let mut field = FIELD.lock().unwrap();
        field.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Self::new());
            *field = Arc::downgrade(&new);
            new
        })
    }

    fn new() -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            sender.send(runtime.handle().clone()).unwrap();
            runtime.block_on(std::future::pending::<()>());
        });
        let around = receiver.recv().unwrap();
        let template = Template::made();
        Self {
            _kubelet: around.block_on(kubelet_port(template.authorities())),
            template,
            around,
        }
    }

    pub(crate) fn node(&self, course: &Course) -> Machine {
        let start = Machine::start(&self.template, course.is_wary());
        let mut node = self.around.block_on(start);
        course.prepare(&mut node, self.template.authorities());
        node
    }

    /// Every point of a course, in the order in which they come.
    pub(crate) fn points(&self, course: &Course) -> Vec<Point> {
        let node = self.node(course);
        course.traced(&node).points()
    }
}

/// What came of many runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many of the points were hit.
    pub(crate) hit: usize,
    /// Those that were not, in several attempts.
    pub(crate) missed: Vec<Point>,
    /// How often which end was reached.
    pub(crate) ends: BTreeMap<String, usize>,
    /// How many ended with new files.
    pub(crate) new: usize,
}

impl Tally {
    /// How often something is looked for depends on the moment; that must not hide more than a few points.
    pub(crate) fn expect_most(&self) {
        let few = self.missed.len() * 5 <= self.hit;
        assert!(few, "{} met, not met: {:?}", self.hit, self.missed);
    }
}

/// Every one of these points. `reference`: all points of an undisturbed run.
pub(crate) fn sweep(
    field: &Field,
    course: &Course,
    fault: &str,
    points: &[Point],
    reference: &[Point],
) -> Tally {
    let waiting = Mutex::new(points.iter());
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(point) = waiting.lock().unwrap().next() else {
                        return;
                    };
                    let tried = attempt(field, course, fault, point, reference);
                    let mut tally = tally.lock().unwrap();
                    let Some((run, after)) = tried else {
                        tally.missed.push(point.clone());
                        continue;
                    };
                    tally.hit += 1;
                    tally.new += usize::from(after == After::New);
                    *tally.ends.entry(format!("{:?}", run.end)).or_default() += 1;
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

/// One point; `None` if it was not met. What was met in its place is checked all the same.
fn attempt(
    field: &Field,
    course: &Course,
    fault: &str,
    wanted: &Point,
    reference: &[Point],
) -> Option<(Run, After)> {
    let mut aim = wanted.clone();
    for _ in 0..ATTEMPTS {
        let node = field.node(course);
        let run = course.traced(&node).run(&aim, fault);
        if run.end == End::Beside {
            continue;
        }
        let Point {
            call, file, time, ..
        } = run.hit.as_ref().unwrap_or(wanted);
        let place = format!(
            "{course:?}: {fault} at {call} of {file}, {time}: {:?}",
            run.end
        );
        let after = if course.is_apart() {
            check_apart(&node, course, &run, &place)
        } else {
            check(&node, course, &run, &place)
        };
        let Some(hit) = &run.hit else {
            continue;
        };
        if hit.is_same(wanted) {
            return Some((run, after));
        }
        if let Some(same) = reference.iter().find(|point| point.is_same(hit)) {
            aim.nth = (wanted.nth + aim.nth).saturating_sub(same.nth);
        }
    }
    None
}
