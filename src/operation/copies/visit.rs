//! Going to every place where a copy may lie, without relying on whoever has it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::super::Context;
use crate::files::{CopyFault, CopyFile, CopyPlace, CopyState, Original, SeenCopy};
use crate::host::{Awaited, Root, Whose, in_time, now};

/// How long a place has to answer: a home may lie on another machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How long all places of users have together: a thousand homes that each take nearly their time would hold a renewal's end up for an
/// hour.
const PATIENCE_WITH_USERS: Duration = Duration::from_secs(20);

/// Whether stale copies get new credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Looking,
    Updating,
}

/// What became of one place.
#[derive(Debug, Default)]
pub(super) struct Visited {
    /// The copies as they were found, or as they are now.
    pub(super) seen: Vec<SeenCopy>,
    /// Those of them that have new credentials now.
    pub(super) updated: Vec<SeenCopy>,
    /// Why nothing is known of the file that lies there, or why it could not be changed.
    pub(super) fault: Option<CopyFault>,
    /// Whether an earlier process left something beside it.
    pub(super) is_to_be_tidied: bool,
}

impl Visited {
    /// Whether there is something to be done.
    pub(super) fn is_due(&self) -> bool {
        self.is_to_be_tidied || self.seen.iter().any(is_stale)
    }

    fn faulty(fault: Option<CopyFault>) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }
}

/// Every place, each on a thread of its own for as long as it has to answer: what one user's home does holds no other up.
pub(super) fn visit_all(
    context: &Context,
    places: Vec<CopyPlace>,
    originals: &[Original],
    doing: Doing,
) -> Vec<(CopyPlace, Visited)> {
    if originals.is_empty() {
        return Vec::new();
    }
    let at = now();
    let named = &context.config.admin_copies.paths;
    let visits = |place: &CopyPlace| {
        let visit = Visit {
            root: context.root.clone(),
            place: place.clone(),
            originals: originals.to_vec(),
            named: named.clone(),
            doing,
            at,
        };
        move |awaited: &Awaited| visit.go(awaited)
    };
    // Any user is the first: those whose homes take long leave nobody out for ever.
    let first = usize::try_from(at.subsec_nanosecond()).unwrap_or(0);
    each_in_time(places, (PATIENCE, PATIENCE_WITH_USERS), first, visits)
        .into_iter()
        .map(|(place, visited)| {
            let visited =
                visited.unwrap_or_else(|| Visited::faulty(unread(&place, CopyFault::NoAnswer)));
            (place, visited)
        })
        .collect()
}

/// Does something at each place within the time that one has, and that all of users have together; `None` where it did not end, or was
/// not begun. Administrators' places come first, then users', beginning with that one; the answer is in the order of the places.
fn each_in_time<T, W>(
    places: Vec<CopyPlace>,
    (each, of_users): (Duration, Duration),
    first: usize,
    mut work_at: impl FnMut(&CopyPlace) -> W,
) -> Vec<(CopyPlace, Option<T>)>
where
    T: Send + 'static,
    W: FnOnce(&Awaited) -> T + Send + 'static,
{
    let (administrators, mut users): (Vec<_>, Vec<_>) = places
        .into_iter()
        .enumerate()
        .partition(|(_, place)| place.is_administrators());
    let first = first.checked_rem(users.len()).unwrap_or(0);
    users.rotate_left(first);
    let mut visited = Vec::new();
    for (index, place) in administrators {
        let done = in_time(&place.path(), Whose::Administrator, each, work_at(&place));
        visited.push((index, (place, done)));
    }
    let mut left = of_users;
    for (index, place) in users {
        let (begun, limit) = (Instant::now(), each.min(left));
        let done = (!limit.is_zero())
            .then(|| in_time(&place.path(), Whose::User, limit, work_at(&place)))
            .flatten();
        left = left.saturating_sub(begun.elapsed());
        visited.push((index, (place, done)));
    }
    visited.sort_by_key(|(index, _)| *index);
    visited.into_iter().map(|(_, one)| one).collect()
}

/// What a thread needs to go to one place.
struct Visit {
    root: Root,
    place: CopyPlace,
    originals: Vec<Original>,
    /// The files that an administrator has named.
    named: Vec<PathBuf>,
    doing: Doing,
    at: Timestamp,
}

impl Visit {
    fn go(&self, awaited: &Awaited) -> Visited {
        let is_to_be_tidied = self.tidy(awaited);
        Visited {
            is_to_be_tidied,
            ..self.go_to_file(awaited)
        }
    }

    /// Removes what an earlier process left, where that is to be done now; whether there is something.
    fn tidy(&self, awaited: &Awaited) -> bool {
        let Some(left) = self.place.left_behind(&self.root) else {
            return false;
        };
        if self.doing == Doing::Looking || !awaited.lasts() {
            return true;
        }
        let removed = left.remove();
        if let Err(error) = &removed {
            tracing::warn!(path = %self.place.path().display(), %error, "what an earlier process left beside it stays there");
        }
        removed.is_err()
    }

    fn go_to_file(&self, awaited: &Awaited) -> Visited {
        let file = match CopyFile::read(&self.root, &self.place) {
            Ok(Some(file)) => file,
            Ok(None) => return Visited::default(),
            Err(CopyFault::LinkThere) if self.leads_to_known() => return Visited::default(),
            Err(fault) => return Visited::faulty(unread(&self.place, fault)),
        };
        let is_this = |original: &Original| self.root.node_path(&original.path) == file.path();
        if self.originals.iter().any(is_this) {
            return Visited::default();
        }
        let mut visited = Visited {
            seen: file.seen(&self.originals, self.at),
            ..Visited::default()
        };
        if self.doing == Doing::Looking || !visited.is_due() {
            return visited;
        }
        match file.update(&self.originals, self.at, &|| awaited.lasts()) {
            Ok(updated) => {
                for copy in visited.seen.iter_mut().filter(|one| is_stale(one)) {
                    copy.state = CopyState::Current;
                }
                visited.updated = updated;
            }
            Err(fault) => visited.fault = Some(fault),
        }
        visited
    }

    /// Whether what lies in root's home is a link to an original, or to a file that is looked at under its own name.
    fn leads_to_known(&self) -> bool {
        if !(self.place.is_administrators() && self.place.is_discovered()) {
            return false;
        }
        let real = |path: &Path| self.root.resolve(&self.root.join(path)).ok();
        let Some(end) = real(&self.place.path()) else {
            return false;
        };
        let mut originals = self.originals.iter().map(|original| &original.path);
        originals.any(|path| *path == end)
            || self
                .named
                .iter()
                .any(|path| real(path).as_ref() == Some(&end))
    }
}

/// What is said of a file that could not be read: of a user's nothing, who may have there what he likes.
fn unread(place: &CopyPlace, fault: CopyFault) -> Option<CopyFault> {
    let is_to_be_said = place.is_administrators();
    if !is_to_be_said {
        tracing::debug!(path = %place.path().display(), %fault, "not looked at as a copy of admin.conf");
    }
    is_to_be_said.then_some(fault)
}

pub(super) fn is_stale(copy: &SeenCopy) -> bool {
    copy.state == CopyState::Stale
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;
    use crate::config::{AdminCopies, Discover};
    use crate::files::copy_places;

    /// A named file, root's home, and those of so many users.
    fn places(users: u32) -> Vec<CopyPlace> {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        let users: String = (0..users)
            .map(|number| {
                format!(
                    "u{number}:x:{0}:{0}::/home/u{number}:/bin/sh\n",
                    1000 + number
                )
            })
            .collect();
        crate::host::make_directories(&root.join("/etc"), 0o755).unwrap();
        crate::host::write_atomically(
            &root.join("/etc/passwd"),
            format!("{users}root:x:0:0:root:/root:/bin/sh\n").as_bytes(),
            0o644,
        )
        .unwrap();
        let config = AdminCopies {
            discover: Discover::Users,
            paths: vec!["/srv/named".into()],
        };
        copy_places(&root, &config)
    }

    #[test]
    fn all_users_together_have_one_time_and_roots_place_its_own() {
        let places = places(100);
        assert_eq!(places.len(), 102);
        // Each user's place takes nearly the time that one has, and ends: the number of those that hang limits nothing.
        let begun = Mutex::new(Vec::new());
        let (end, ended) = channel::<()>();
        let mut ended = Some(ended);
        let started = Instant::now();
        let each = Duration::from_millis(200);
        let visited = each_in_time(places, (each, each * 3), 0, |place| {
            begun.lock().unwrap().push(place.path());
            let is_users = !place.is_administrators();
            let is_named = place.path().ends_with("named");
            let hangs = is_named.then(|| ended.take()).flatten();
            move |_: &Awaited| {
                if is_users {
                    thread::sleep(Duration::from_millis(150));
                }
                hangs.is_none_or(|ended| ended.recv().is_ok())
            }
        });
        drop(end);
        assert!(started.elapsed() < each * 10, "{:?}", started.elapsed());
        let done = visited.iter().filter(|(_, done)| done.is_some()).count();
        let begun = begun.into_inner().unwrap();
        assert!((2..10).contains(&done), "{done}: {begun:?}");
        assert!(begun.len() < 10, "{begun:?}");
        assert_eq!(visited.len(), 102, "what was not begun is not forgotten");
        let of_root = visited
            .iter()
            .find(|(place, _)| place.path().starts_with("/root"));
        assert_eq!(
            of_root.unwrap().1,
            Some(true),
            "after a named one that hangs"
        );
    }

    #[test]
    fn any_user_is_the_first_and_none_before_an_administrators() {
        let each = Duration::from_secs(60);
        for (first, user) in [(0, "/home/u0"), (2, "/home/u2"), (7, "/home/u1")] {
            let places = places(3);
            let mut begun = Vec::new();
            let visited = each_in_time(places.clone(), (each, each), first, |place| {
                begun.push(place.clone());
                |_: &Awaited| ()
            });
            assert!(begun.iter().take(2).all(CopyPlace::is_administrators));
            assert!(begun[2].path().starts_with(user), "{first}: {begun:?}");
            let visited: Vec<CopyPlace> = visited.into_iter().map(|(place, _)| place).collect();
            assert_eq!(visited, places, "whoever was the first");
            assert_eq!(begun.len(), places.len());
        }
    }
}
