use super::*;

#[derive(Debug, Default, serde::Deserialize)]
struct Sample {
    name: Option<String>,
    count: Option<u32>,
}

#[test]
fn errors_have_a_position_and_no_content() {
    for text in [
        "count: topsecret",
        "name: {topsecret: 1}",
        "name: \"topsecret",
        "topsecret",
        "name: topsecret: [",
        "name: *topsecret",
        "name: !!binary topsecret%%",
        "count: 'topsecret'",
        "name: [topsecret, }",
        "name: 'topsecret' topsecret",
        "@topsecret",
        "name: %topsecret",
        "name: `topsecret",
        "name: |topsecret",
        "name: &topsecret *topsecret",
    ] {
        let error = match read::<Sample>(text) {
            Err(error) => error,
            Ok(sample) => panic!("{text} is read as {sample:?}"),
        };
        assert!(error.contains("line 1, column"), "{text}: {error}");
        assert!(!error.contains("topsecret"), "{text}: {error}");
    }
}

#[test]
fn of_a_repeated_key_the_last_counts_and_in_json_it_is_refused() {
    let text = "name: a\nname: b\ncount: 3\n";
    let sample: Sample = read(text).unwrap().unwrap();
    assert_eq!((sample.name.as_deref(), sample.count), (Some("b"), Some(3)));
    let text = "a: {b: 1, b: 2}\na: {b: 3, c: {d: 4, d: 5}}\n";
    let value: serde_json::Value = read(text).unwrap().unwrap();
    assert_eq!(value, serde_json::json!({"a": {"b": 3, "c": {"d": 5}}}));
    let text = "{\"name\": \"a\",\n\"name\": \"b\"}";
    assert_eq!(
        read_json::<Sample>(text).unwrap_err(),
        "duplicate mapping key: name at line 2, column 1"
    );
}

/// What Kubernetes 1.36's sigs.k8s.io/yaml reads of each: `name`, or nothing where it refuses the text.
#[test]
fn texts_are_read_as_kubernetes_reads_them() {
    for (text, name) in [
        ("name: a\n---\n", Some("a")),
        ("name: a\n---\nname: b\n", Some("a")),
        ("name: a\n---\nname: [\n", Some("a")),
        ("name: a\n...\n}\n", Some("a")),
        ("# one\n---\n# two\nname: a\n...\n", Some("a")),
        ("%YAML 1.1\n---\nname: a\n", Some("a")),
        ("%TAG ! tag:x,2000:\n---\nname: !x a\n", Some("a")),
        ("\u{feff}name: a\n", Some("a")),
        ("\u{feff}---\r\nname: a\r\n", Some("a")),
        ("name:\ta\t# x\n", Some("a")),
        ("name: a\rother: b\r", Some("a")),
        ("name: !foo a\n", Some("a")),
        ("x: &x a\nname: *x\n", Some("a")),
        ("x: &x {name: a}\n<<: *x\n", Some("a")),
        ("x: &x {name: b}\n<<: *x\nname: a\n", Some("a")),
        ("<<: [{name: a}, {name: b}]\n", Some("a")),
        ("name: a\nother: [b,\n  c\n]\nlast: x\n", Some("a")),
        ("name: >-\n  a\n", Some("a")),
        ("name: a\nother: b: c\n", None),
        ("name: @a\n", None),
        ("name:\n\t- a\n", None),
        ("name: a\u{1}\n", None),
        ("name: a\0b\n", None),
        ("name: a\u{7f}\n", None),
        ("%YAML 1.2\n---\nname: a\n", None),
        ("%FOO bar\n---\nname: a\n", None),
        ("name: *none\n", None),
        ("name: a\nx: &x [*x]\n", None),
    ] {
        let read = read::<Sample>(text).ok().map(Option::unwrap_or_default);
        assert_eq!(
            read.and_then(|sample| sample.name).as_deref(),
            name,
            "{text:?}"
        );
    }
    for nothing in [
        "",
        "# one\n",
        "---\n---\nname: a\n",
        "---\n# x\n...\n---\nname: a\n",
        "~\n",
    ] {
        assert!(read::<Sample>(nothing).unwrap().is_none(), "{nothing:?}");
    }
}

#[test]
fn a_merge_key_after_what_it_sets_is_refused_with_its_line() {
    for (text, line) in [
        ("x: &x {name: b}\nname: a\n<<: *x\n", Some(3)),
        (
            "x: &x {name: b}\ny:\n- z: 1\n- name: a\n  <<: *x\n",
            Some(5),
        ),
        (
            "x: &x {name: b}\ny: &y {<<: *x, c: 1}\nz: {name: a,\n  <<: [*y]}\n",
            Some(4),
        ),
        ("x: &x {name: b}\ncount: 1\n<<: *x\n", None),
        ("x: &x {name: b}\n<<: *x\nname: a\n", None),
        ("a: \"<<\"\nname: a\n", None),
    ] {
        let refused = read::<Sample>(text).err();
        assert_eq!(
            refused,
            line.map(|line| format!(
                "a merge key (<<) that sets again what stands before it, at line {line}; put it first in its mapping"
            )),
            "{text:?}"
        );
    }
}

#[test]
fn a_token_that_looks_like_a_huge_number_is_a_text_and_never_shown() {
    let value: serde_json::Value = read("token: 12e3456\nname: .inf\n").unwrap().unwrap();
    assert!(value["token"].is_string() && value["name"].is_string());
    for (text, name) in [("name: 12e3456", "12e3456"), ("name: 0777", "0777")] {
        let sample: Sample = read(text).unwrap().unwrap();
        assert_eq!(sample.name.as_deref(), Some(name));
    }
    let digits = "7".repeat(1_000_000);
    let error = read::<Sample>(&format!("count: {digits}")).unwrap_err();
    assert!(
        error.len() < 200 && !error.contains("777"),
        "{}",
        error.len()
    );
}

#[test]
fn a_file_that_grows_when_it_is_read_is_refused() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (letter, before) in ('b'..='i').zip('a'..) {
        let aliases = vec![format!("*{before}"); 10].join(", ");
        text.push_str(&format!("{letter}: &{letter} [{aliases}]\n"));
    }
    for text in [
        text,
        format!("a: {}", "[".repeat(5_000_000)),
        "- ".repeat(5_000_000),
    ] {
        let begun = std::time::Instant::now();
        let error = read::<serde_json::Value>(&text).unwrap_err();
        assert!(error.len() < 200, "{error}");
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    }
}

/// The inputs of the YAML test suite (https://github.com/yaml/yaml-test-suite, MIT) that Kubernetes 1.36's reader takes and
/// this one refuses, with their names there: not one of them is YAML by the standard.
#[test]
fn what_only_kubernetes_reads_is_named_with_its_line() {
    for (name, text, message) in [
        (
            "3HFZ",
            "---\nkey: value\n... invalid\n",
            "document end marker at line 3",
        ),
        ("4H7K", "---\n[ a, b, c ] ]\n", "bracket at line 2"),
        (
            "565N",
            "a: !!binary \"R0lGODlhDAAMAIQAAP//9\"\n",
            "a tag (!) that is not known here or does not fit its value at line 1",
        ),
        (
            "9JBA",
            "---\n[ a, b, c, ]#invalid\n",
            "comments must be separated from other tokens by whitespace at line 2",
        ),
        (
            "CVW2",
            "---\n[ a, b, c,#invalid\n]\n",
            "comments must be separated from other tokens by whitespace at line 2",
        ),
        (
            "G5U8",
            "---\n- [-, -]\n",
            "plain scalar cannot start with '-' followed by ,[]{} at line 2",
        ),
        (
            "HRE5",
            "---\ndouble: \"quoted \\' scalar\"\n",
            "escape character at line 2",
        ),
        (
            "MUS6/00",
            "%YAML 1.1#...\n---\n",
            "a directive (%YAML) of another version than 1.1 at line 1",
        ),
        (
            "S98Z",
            "a: >\n \n  \n   \n # comment\n",
            "wrongly indented line in block scalar at line 5",
        ),
        (
            "SU5Z",
            "key: \"value\"# invalid comment\n",
            "comments must be separated from other tokens by whitespace at line 1",
        ),
        (
            "U99R",
            "- !!str, xxx\n",
            "while scanning a tag, did not find expected whitespace or line break at line 1",
        ),
        (
            "X4QW",
            "block: ># comment\n  scalar\n",
            "comments must be separated from other tokens by whitespace at line 1",
        ),
        (
            "Y79Y/003",
            "- [\n\tfoo,\n foo\n ]\n",
            "tabs disallowed within this context (block indentation) at line 2",
        ),
        (
            "YJV2",
            "[-]\n",
            "plain scalar cannot start with '-' followed by ,[]{} at line 1",
        ),
    ] {
        let error = read::<serde_json::Value>(text).unwrap_err();
        assert!(error.contains(message), "{name}: {error}");
    }
}

#[test]
fn no_message_speaks_of_the_library() {
    for text in [
        "a: !!binary //8=\n",
        "a: !!int x\n",
        "a: &a [*a]\n",
        "<<: 1\n",
        "? [x]\n: a\n",
        "name: [x]\n",
        "count: -1\n",
        "count: ~x\n",
        &format!("a: {}", "[".repeat(100_000)),
        &"a: 1\n".repeat(100_000),
        &format!("a: {}", "{".repeat(10_000)),
    ] {
        for error in [
            read::<serde_json::Value>(text).err(),
            read::<Sample>(text).err(),
        ] {
            let error = error.unwrap_or_default();
            for word in [
                "Policy", "Options", "option", "budget", "::", "Some(", "max_", "replay", "weak",
            ] {
                assert!(!error.contains(word), "{error}");
            }
        }
    }
}

#[test]
fn a_pem_file_is_not_tried_as_yaml() {
    for (text, line) in [
        (
            "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n",
            1,
        ),
        (
            "---\n# a key\nBag: Attributes\n-----BEGIN EC PRIVATE KEY-----\nMHcC\n",
            4,
        ),
    ] {
        let error = read::<serde_json::Value>(text).unwrap_err();
        assert!(
            error.contains("PEM block") && error.contains(&format!("line {line},")),
            "{error}"
        );
    }
    // What comes after the first document is not looked at.
    let first = read::<serde_json::Value>("a: 1\n---\n-----BEGIN PRIVATE KEY-----\n").unwrap();
    assert_eq!(first.unwrap()["a"], 1);
}
