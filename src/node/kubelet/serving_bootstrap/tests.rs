use super::*;

fn edited(text: &str, wanted: bool) -> String {
    with_serving_bootstrap(text, wanted).unwrap().unwrap().text
}

#[test]
fn one_line_comes_and_goes_and_every_other_byte_stays() {
    for text in [
        "kind: KubeletConfiguration\nport: 10250\n",
        "---\n# by kubeadm\nkind: KubeletConfiguration # x\n\n",
        "kind: KubeletConfiguration\r\nport: 10250\r\n",
        "authentication:\n  x509:\n    clientCAFile: /x\nshutdownGracePeriod: 0s\n",
    ] {
        let on = edited(text, true);
        assert!(on.starts_with(text), "{on:?}");
        assert_eq!(
            on.len(),
            text.len() + "serverTLSBootstrap: true".len() + line_break(text).len()
        );
        assert_eq!(edited(&on, false), text);
        assert_eq!(with_serving_bootstrap(&on, true), Ok(None));
        assert_eq!(with_serving_bootstrap(text, false), Ok(None));
    }
    // Without a line break at its end, and an empty one.
    assert_eq!(
        edited("port: 1", true),
        "port: 1\nserverTLSBootstrap: true\n"
    );
    assert_eq!(edited("", true), "serverTLSBootstrap: true\n");
}

#[test]
fn a_line_that_is_there_is_changed_where_it_is() {
    for (text, on) in [
        (
            "a: 1\nserverTLSBootstrap: false\nb: 2\n",
            "a: 1\nserverTLSBootstrap: true\nb: 2\n",
        ),
        (
            "serverTLSBootstrap :  false # no\r\n",
            "serverTLSBootstrap :  true # no\r\n",
        ),
        ("serverTLSBootstrap: false", "serverTLSBootstrap: true"),
    ] {
        let edit = with_serving_bootstrap(text, true).unwrap().unwrap();
        assert_eq!(edit.text, on);
        assert!(edit.removed.unwrap().contains("false") && edit.added.unwrap().contains("true"));
    }
    let edit = with_serving_bootstrap("a: 1\nserverTLSBootstrap: true\nb: 2\n", false);
    let edit = edit.unwrap().unwrap();
    assert_eq!((edit.text.as_str(), edit.added), ("a: 1\nb: 2\n", None));
    assert_eq!(edit.removed.as_deref(), Some("serverTLSBootstrap: true"));
}

#[test]
fn what_cannot_be_edited_in_place_is_left_and_said() {
    for (text, why) in [
        ("{\"kind\": \"KubeletConfiguration\"}", "it is JSON"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("a: 1\n...\n", "more than one document"),
        (
            "\"serverTLSBootstrap\": false\n",
            "written in an unusual way",
        ),
        (
            "serverTLSBootstrap: &x false\n",
            "written in an unusual way",
        ),
        (
            "serverTLSBootstrap: false\nserverTLSBootstrap: false\n",
            "written in an unusual way",
        ),
        (
            "serverTLSBootstrap:\n  false\n",
            "written in an unusual way",
        ),
        // What would be read as something else with a line behind it.
        ("a: |\n  x\nb: [1,\n", "line"),
        ("a: \"x\n", "line"),
    ] {
        let error = with_serving_bootstrap(text, true).unwrap_err();
        assert!(error.contains(why), "{text:?}: {error}");
    }
    // The key inside of something else is another.
    let text = "a:\n  serverTLSBootstrap: true\n";
    assert_eq!(
        edited(text, true),
        format!("{text}serverTLSBootstrap: true\n")
    );
    let text = "a: |\n  serverTLSBootstrap: false\n";
    assert_eq!(
        edited(text, true),
        format!("{text}serverTLSBootstrap: true\n")
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_nothing_else_changes(text in "(serverTLSBootstrap|[a-c]|: |true|false|\n|\\PC){0,30}") {
        for wanted in [true, false] {
            if let Ok(Some(edit)) = with_serving_bootstrap(&text, wanted) {
                proptest::prop_assert!(differs_only_in_it(&text, &edit.text));
            }
        }
    }
}
