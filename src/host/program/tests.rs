#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// What `/bin/sh -c text` comes to.
async fn shell(text: &str, time: Duration) -> Ended {
    let program = Program::new(Path::new("/bin/sh"), time)
        .argument("-c")
        .argument(text)
        .variable("PATH", "/usr/bin:/bin");
    program.run(None, &mut |_, _| {}).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Whether a process is there and no zombie; one that was killed may take a moment.
fn lives(pid: &str) -> bool {
    let stat = format!("/proc/{}/stat", pid.trim());
    (0..100).all(|_| {
        std::thread::sleep(Duration::from_millis(10));
        std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "))
    })
}

#[tokio::test]
async fn it_gets_its_environment_arguments_and_input_and_nothing_else() {
    let program = Program::new(Path::new("/bin/sh"), LONG)
        .argument("-c")
        .argument("cat; pwd; echo \"$1\"; exec /usr/bin/env")
        .argument("name")
        .argument("a b")
        .variable("ONE", "1\n2")
        .input(b"what is read\n".to_vec());
    let ended = program.run(None, &mut |_, _| {}).await.unwrap();
    assert!(ended.is_success(), "{ended:?}");
    let output = text(&ended.output);
    let (said, environment) = output.split_once("a b\n").unwrap();
    assert_eq!(said, "what is read\n/\n");
    assert!(environment.contains("ONE=1\n2\n"), "{environment}");
    for own in ["CARGO", "HOME", "USER"] {
        assert!(!environment.contains(own), "{environment}");
    }
}

#[tokio::test]
async fn lines_are_passed_on_as_they_come_and_what_has_no_end_too() {
    let program = Program::new(Path::new("/bin/sh"), LONG)
        .argument("-c")
        .argument("echo one; echo two >&2; printf 'thr\\377ee'; exit 7");
    let heard = Mutex::new(Vec::new());
    let mut on_line = |stream, line: &str| heard.lock().unwrap().push((stream, line.to_owned()));
    let ended = program.run(None, &mut on_line).await.unwrap();
    assert!(matches!(ended.manner, Manner::Ended(status) if status.code() == Some(7)));
    assert!(!ended.is_success());
    let heard = heard.into_inner().unwrap();
    for line in [
        (Stream::Output, "one".to_owned()),
        (Stream::Error, "two".to_owned()),
        (Stream::Output, "thr\u{fffd}ee".to_owned()),
    ] {
        assert!(heard.contains(&line), "{heard:?}");
    }
    assert_eq!((ended.output.len(), ended.error.len()), (10, 4));
}

#[tokio::test]
async fn a_flood_is_read_to_its_end_and_kept_up_to_the_limit() {
    let program = Program::new(Path::new("/bin/sh"), LONG)
        .argument("-c")
        .argument("yes | head -c 3000000; yes e | head -c 3000000 >&2; exit 0")
        .variable("PATH", "/usr/bin:/bin")
        .output_limit(10_000);
    let lines = Mutex::new(0usize);
    let mut on_line = |_, _: &str| *lines.lock().unwrap() += 1;
    let ended = program.run(None, &mut on_line).await.unwrap();
    assert!(ended.is_success(), "{:?}", ended.manner);
    assert_eq!((ended.output.len(), ended.error.len()), (10_000, 10_000));
    assert!(ended.is_cut);
    assert_eq!(*lines.lock().unwrap(), 10_000);

    let endless = shell("cat /dev/zero", Duration::from_millis(300)).await;
    assert_eq!(endless.manner, Manner::OutOfTime);
    assert!(endless.is_cut && endless.after < GRACE + Duration::from_secs(2));
}

#[tokio::test]
async fn one_that_hangs_is_ended_with_all_that_it_started() {
    let text_of = "sleep 300 & echo $!; trap 'echo asked' TERM; sleep 300 & wait";
    let ended = shell(text_of, Duration::from_secs(1)).await;
    assert_eq!(ended.manner, Manner::OutOfTime);
    let said = text(&ended.output);
    assert!(said.contains("asked"), "{said}");
    assert!(!lives(said.lines().next().unwrap()), "a child of it lives");
    assert!(
        ended.after < Duration::from_secs(1) + GRACE,
        "{:?}",
        ended.after
    );
}

#[tokio::test]
async fn one_that_does_not_hear_is_killed() {
    let deaf = "trap '' TERM; sleep 300 & echo $!; while :; do sleep 300; done";
    let ended = shell(deaf, Duration::from_millis(200)).await;
    assert_eq!(ended.manner, Manner::OutOfTime);
    assert!(!lives(&text(&ended.output)));
    assert!(ended.after >= GRACE && ended.after < GRACE + Duration::from_secs(2));
}

#[tokio::test]
async fn what_it_leaves_behind_neither_lives_on_nor_holds_anything_up() {
    let ended = shell("sleep 300 & echo $!", LONG).await;
    assert!(ended.is_success());
    assert!(!lives(&text(&ended.output)));

    // One that has left the group keeps the pipe open; it is left alone and not waited for.
    let ended = shell("setsid sleep 4 & echo done", LONG).await;
    assert!(ended.is_success());
    assert_eq!(text(&ended.output), "done\n");
    assert!(ended.after < Duration::from_secs(3), "{:?}", ended.after);
}

#[tokio::test]
async fn a_stop_ends_it_and_a_wait_that_is_given_up_as_well() {
    let (stop, stopped) = watch::channel(false);
    let program = Program::new(Path::new("/bin/sleep"), LONG).argument("300");
    let mut ignored = |_, _: &str| {};
    let (ended, ()) = tokio::join!(program.run(Some(&stopped), &mut ignored), async {
        sleep(Duration::from_millis(100)).await;
        stop.send(true).unwrap();
    });
    assert_eq!(ended.unwrap().manner, Manner::Stopped);

    let pid = Mutex::new(String::new());
    let program = Program::new(Path::new("/bin/sh"), LONG)
        .argument("-c")
        .argument("echo $$; sleep 300; :")
        .variable("PATH", "/bin");
    let mut on_line = |_, line: &str| *pid.lock().unwrap() = line.to_owned();
    let waited =
        tokio::time::timeout(Duration::from_millis(300), program.run(None, &mut on_line)).await;
    assert!(waited.is_err());
    sleep(Duration::from_millis(100)).await;
    let pid = pid.into_inner().unwrap();
    assert!(!pid.is_empty() && !lives(&pid), "{pid:?} lives");
}

#[tokio::test]
async fn one_that_is_not_there_or_reads_nothing_is_no_trouble() {
    let none = Program::new(Path::new("/nowhere/at/all"), LONG);
    let error = none.run(None, &mut |_, _| {}).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let deaf = Program::new(Path::new("/bin/true"), LONG).input(vec![b'x'; 1 << 20]);
    assert!(deaf.run(None, &mut |_, _| {}).await.unwrap().is_success());
}

#[tokio::test]
async fn capabilities_can_be_taken_from_it() {
    for (program, is_free) in [
        (Program::new(Path::new("/bin/cat"), LONG), false),
        (
            Program::new(Path::new("/bin/cat"), LONG).without_capabilities(),
            true,
        ),
    ] {
        let ended = program.argument("/proc/self/status");
        let ended = ended.run(None, &mut |_, _| {}).await.unwrap();
        let status = text(&ended.output);
        let effective = status.lines().find(|line| line.starts_with("CapEff:"));
        let has_none = effective.unwrap().ends_with("0000000000000000");
        let is_root = nix::unistd::geteuid().is_root();
        assert_eq!(has_none, is_free || !is_root, "{effective:?}");
        assert!(!is_free || status.contains("NoNewPrivs:\t1"));
    }
    // This thread and its process keep theirs.
    let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(!nix::unistd::geteuid().is_root() || !own.contains("CapEff:\t0000000000000000"));
}

/// Runs the next test in a process that ignores the end of its children, as a shell may leave it.
#[test]
fn a_failure_is_seen_also_where_the_end_of_children_is_ignored() {
    let here = std::env::current_exe().unwrap();
    // dash does not hand it on.
    let output = std::process::Command::new("bash")
        .args(["-c", "trap '' CHLD; exec \"$0\" \"$@\""])
        .arg(here)
        .args(["--ignored", "--exact"])
        .arg("host::program::tests::a_failure_is_seen")
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[tokio::test]
#[ignore = "the test before it runs it"]
async fn a_failure_is_seen() {
    let ended = shell("exit 3", LONG).await;
    assert!(
        matches!(ended.manner, Manner::Ended(status) if status.code() == Some(3)),
        "{ended:?}"
    );
}

/// systemd goes by the lines in their order: what a later one takes away is gone.
fn allows(unit: &str, call: &str) -> bool {
    // systemd.exec(5) and `systemd-analyze syscall-filter`: both sets have capset in them.
    let has = |word: &str| word == call || matches!(word, "@system-service" | "@privileged");
    let filters = unit
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="));
    filters.fold(false, |is_allowed, filter| {
        let (filter, gives) = match filter.strip_prefix('~') {
            Some(rest) => (rest, false),
            None => (filter, true),
        };
        if filter.split_whitespace().any(has) {
            gives
        } else {
            is_allowed
        }
    })
}

#[test]
fn the_shipped_unit_lets_capabilities_be_taken_from_a_program() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/kubecertd.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    assert!(allows(&unit, "capset"));
    assert!(!allows(&unit.replace(" capset\n", "\n"), "capset"));
}
