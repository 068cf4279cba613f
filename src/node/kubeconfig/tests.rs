use std::path::PathBuf;

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// As kubeadm writes it, with more around it.
fn kubeadm() -> String {
    format!(
        "# by hand\napiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {ca}\n    \
         server: https://10.0.0.1:6443  # ünd ein Kommentar\n  name: kubernetes\ncontexts:\n- context:\n    \
         cluster: kubernetes\n    user: kubernetes-admin\n  name: kubernetes-admin@kubernetes\n\
         current-context: kubernetes-admin@kubernetes\nkind: Config\npreferences: {{}}\nusers:\n\
         - name: kubernetes-admin\n  user:\n    client-certificate-data: {certificate}\n    \
         client-key-data: {key}\n    extra: [1, 0644]\n- name: other\n  user:\n    token: secret\n",
        ca = base64("CA"),
        certificate = base64("CERT"),
        key = base64("KEY"),
    )
}

fn embedded(credential: &Credential) -> &str {
    match credential {
        Credential::Embedded(bytes) => std::str::from_utf8(bytes).unwrap(),
        Credential::File(path) => panic!("file {}", path.display()),
    }
}

fn edited(text: &str, certificate: &str, key: &str) -> String {
    let edited = Kubeconfig::replace_credentials(text, certificate, key).unwrap();
    String::from_utf8(edited.to_vec()).unwrap()
}

/// Replaces in `text`, and checks that the result is `text` with the two values exchanged as told.
fn replaces(text: &str, certificate: &str, key: &str) {
    let edited = edited(text, "NEW CERT", "NEW KEY");
    let expected = text
        .replacen(certificate, &format!("\"{}\"", base64("NEW CERT")), 1)
        .replacen(key, &format!("\"{}\"", base64("NEW KEY")), 1);
    assert_eq!(edited, expected);
}

#[test]
fn the_current_context_is_read() {
    let kubeconfig = Kubeconfig::parse(kubeadm()).unwrap();
    assert_eq!(kubeconfig.context, "kubernetes-admin@kubernetes");
    assert_eq!(kubeconfig.user, "kubernetes-admin");
    assert_eq!(kubeconfig.cluster, "kubernetes");
    assert_eq!(kubeconfig.server, "https://10.0.0.1:6443");
    assert_eq!(
        kubeconfig.certificate_authority.as_deref(),
        Some(&b"CA"[..])
    );
    assert_eq!(embedded(&kubeconfig.certificate), "CERT");
    assert_eq!(embedded(&kubeconfig.key), "KEY");
    assert!(!format!("{kubeconfig:?}").contains("KEY"));
}

#[test]
fn files_are_read_and_data_counts_first() {
    let text = "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n\
         clusters: [{name: k, cluster: {server: s, certificate-authority: ca.crt}}]\n\
         users: [{name: u, user: {client-certificate: a.pem, client-key: b.pem, client-key-data: \"\"}}]\n";
    let kubeconfig = Kubeconfig::parse(text).unwrap();
    assert!(matches!(&kubeconfig.certificate, Credential::File(path) if path.ends_with("a.pem")));
    assert!(matches!(&kubeconfig.key, Credential::File(path) if path.ends_with("b.pem")));
    assert_eq!(
        kubeconfig.certificate_authority_file,
        Some(PathBuf::from("ca.crt"))
    );
    assert_eq!(
        Kubeconfig::replace_credentials(text, "c", "k")
            .unwrap_err()
            .to_string(),
        "cannot edit in place: the user \"u\" has no client-certificate-data in the file"
    );

    let both = text.replace(
        "client-key-data: \"\"",
        &format!("client-key-data: {}", base64("KEY")),
    );
    assert_eq!(embedded(&Kubeconfig::parse(&both).unwrap().key), "KEY");
}

#[test]
fn only_the_two_values_change() {
    let (certificate, key) = (base64("CERT"), base64("KEY"));
    let text = kubeadm();
    replaces(&text, &certificate, &key);
    replaces(&text.replace('\n', "\r\n"), &certificate, &key);
    for quote in ["'", "\""] {
        let quoted = |value: &str| format!("{quote}{value}{quote}");
        let text = text
            .replace(&certificate, &quoted(&certificate))
            .replace(&key, &quoted(&key));
        replaces(&text, &quoted(&certificate), &quoted(&key));
    }
}

#[test]
fn json_and_flow_style_are_edited() {
    let (certificate, key) = (base64("CERT"), base64("KEY"));
    let json = format!(
        "{{\"current-context\":\"c\",\"contexts\":[{{\"name\":\"c\",\"context\":{{\"cluster\":\"k\",\"user\":\"u\"}}}}],\n\
         \t\"clusters\":[{{\"name\":\"k\",\"cluster\":{{}}}}],\"users\":[{{\"name\":\"u\",\"user\":\
         {{\"client-key-data\":\"{key}\",\"client-certificate-data\":\"{certificate}\"}}}}]}}"
    );
    replaces(&json, &format!("\"{certificate}\""), &format!("\"{key}\""));
    let flow = format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters: [{{name: k}}]\n\
         users: [{{name: u, user: {{client-certificate-data: {certificate}, client-key-data: {key}}}}}]\n"
    );
    replaces(&flow, &certificate, &key);
}

#[test]
fn block_scalars_are_replaced_whole() {
    let text = kubeadm();
    let (certificate, key) = (base64("CERT"), base64("KEY"));
    let (first, second) = certificate.split_at(4);
    let block = format!("|- # folded\n      {first}\n      {second}\n");
    let folded = format!(">\n        {key}\n\n    # after\n");
    let text = text
        .replace(&format!("{certificate}\n"), &block)
        .replace(&format!("{key}\n"), &folded);
    let edited = edited(&text, "NEW CERT", "NEW KEY");
    let expected = text
        .replace(&block, &format!("\"{}\" # folded\n", base64("NEW CERT")))
        .replace(
            &folded,
            &format!("\"{}\"\n\n    # after\n", base64("NEW KEY")),
        );
    assert_eq!(edited, expected);
}

#[test]
fn an_alias_gives_way_and_its_anchor_stays() {
    let (certificate, key) = (base64("CERT"), base64("KEY"));
    let text = kubeadm()
        .replace(
            "# by hand",
            &format!("x: [&shared {certificate}, &other {key}]"),
        )
        .replace(
            &format!("certificate-data: {certificate}"),
            "certificate-data: *shared",
        )
        .replace(&format!("key-data: {key}"), "key-data: *other # mine");
    assert_eq!(
        embedded(&Kubeconfig::parse(&text).unwrap().certificate),
        "CERT"
    );
    replaces(&text, "*shared", "*other");
}

#[test]
fn the_last_of_repeated_keys_is_read_and_edited() {
    let (certificate, key) = (base64("CERT"), base64("KEY"));
    let again = |text: &str, line: &str| text.replacen(line, &format!("{line}{line}"), 1);
    let text = again(&kubeadm(), &format!("    client-key-data: {key}\n"));
    let edited = edited(&text, "NEW CERT", "NEW KEY");
    let expected = text
        .replace(&certificate, &format!("\"{}\"", base64("NEW CERT")))
        .replace(
            &format!("{key}\n    extra"),
            &format!("\"{}\"\n    extra", base64("NEW KEY")),
        );
    assert_eq!(edited, expected);
    replaces(&format!("{}kind: Config\n", kubeadm()), &certificate, &key);
    let other = kubeadm().replace(
        "current-context:",
        "current-context: none\ncurrent-context:",
    );
    assert_eq!(Kubeconfig::parse(&other).unwrap().user, "kubernetes-admin");
}

#[test]
fn only_the_first_document_is_read_and_edited() {
    let (certificate, key) = (base64("CERT"), base64("KEY"));
    for more in [
        "---\n",
        "---\nusers: [\n",
        "...\n",
        &format!("---\n{}", kubeadm()),
    ] {
        for before in ["", "---\n", "%YAML 1.1\n---\n", "\u{feff}# x\n---\n"] {
            let text = format!("{before}{}{more}", kubeadm());
            replaces(&text, &certificate, &key);
        }
    }
}

#[test]
fn utf_16_stays_utf_16() {
    let text = format!("\u{feff}{}", kubeadm());
    for unit in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(unit).collect() };
        let kubeconfig = Kubeconfig::parse(bytes(&text)).unwrap();
        assert_eq!(embedded(&kubeconfig.key), "KEY");
        let edited = Kubeconfig::replace_credentials(bytes(&text), "NEW CERT", "NEW KEY").unwrap();
        let expected = text
            .replace(&base64("CERT"), &format!("\"{}\"", base64("NEW CERT")))
            .replace(&base64("KEY"), &format!("\"{}\"", base64("NEW KEY")));
        assert_eq!(edited.as_slice(), bytes(&expected));
    }
}

#[test]
fn merge_keys_elsewhere_do_not_matter() {
    let text = kubeadm()
        .replace("# by hand", "x: &x {proxy-url: http://p}")
        .replace("- cluster:\n", "- cluster:\n    <<: *x\n")
        .replace(
            "  user:\n    client-cert",
            "  user:\n    <<: *x\n    client-cert",
        );
    assert!(text.matches("<<").count() == 2);
    replaces(&text, &base64("CERT"), &base64("KEY"));
}

/// What cannot be edited is said with construct and line, and by the same words beforehand.
#[test]
fn what_cannot_be_edited_is_named_with_its_line() {
    let (certificate, key) = (base64("CERT"), base64("KEY"));
    let fields =
        format!("    client-certificate-data: {certificate}\n    client-key-data: {key}\n");
    let shared =
        format!("x: &x {{client-certificate-data: {certificate}, client-key-data: {key}}}");
    let kubeadm = kubeadm();
    for (text, message) in [
        (
            kubeadm
                .replace(
                    &format!("data: {certificate}"),
                    &format!("data: &c {certificate}"),
                )
                .replace("token: secret", "client-certificate-data: *c"),
            "client-certificate-data is also the value of an anchor (&) which the alias (*) at line 24 uses again; write it \
             out there",
        ),
        (
            kubeadm
                .replace("  user:\n    client", "  user: &u\n    client")
                .replace("user:\n    token: secret", "user: *u"),
            "client-certificate-data is also the value of an anchor (&) which the alias (*) at line 23 uses again; write it \
             out there",
        ),
        (
            kubeadm
                .replace("# by hand", &shared)
                .replace(&fields, "    <<: *x\n"),
            "client-certificate-data comes from a merge key (<<) at line 19; write it out in the user's own entry",
        ),
        (
            kubeadm.replace("# by hand", &shared).replace(
                &format!("  user:\n{fields}    extra: [1, 0644]\n"),
                "  user: *x\n",
            ),
            "client-certificate-data is inside of what is written as an alias (*) at line 18; write it out in the user's \
             own entry",
        ),
        (
            kubeadm.replace(&format!("client-key-data: {key}"), "client-key: /x.key"),
            "of certificate and key one is embedded and the other in a file; put both in the same way",
        ),
    ] {
        let (_, reason) =
            Kubeconfig::parse_to_replace(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let reason = reason.unwrap();
        assert_eq!(
            reason.trim_start_matches("cannot edit in place: "),
            message,
            "{text}"
        );
        assert!(Kubeconfig::replace_credentials(&text, "C", "K").is_err());
    }
    assert_eq!(Kubeconfig::parse_to_replace(&kubeadm).unwrap().1, None);
}

#[test]
fn what_cannot_be_used_is_said() {
    let kubeadm = kubeadm();
    let context = "kubernetes-admin@kubernetes";
    for (text, message) in [
        (
            String::new(),
            "not a kubeconfig: the file is empty; restore it from a backup",
        ),
        (
            "[]".to_owned(),
            "not a kubeconfig: expected mapping start at line 1",
        ),
        (
            "a: b\n".to_owned(),
            "current-context is not set; set it with",
        ),
        (
            kubeadm.replace(&format!("current-context: {context}"), "current-context: x"),
            "current-context names the context \"x\", which is not in the file",
        ),
        (
            kubeadm.replace("user: kubernetes-admin\n", "user: nobody\n"),
            "the context \"kubernetes-admin@kubernetes\" names the user \"nobody\"",
        ),
        (
            kubeadm.replace("cluster: kubernetes\n", ""),
            "the context \"kubernetes-admin@kubernetes\" names no cluster",
        ),
        (
            kubeadm.replace("name: other", "name: kubernetes-admin"),
            "two users are called \"kubernetes-admin\"",
        ),
        (
            kubeadm.replace("user: kubernetes-admin\n", "user: other\n"),
            "the user \"other\" has no client certificate but a token",
        ),
        (
            kubeadm.replace(&base64("KEY"), "S*ECRET"),
            "users[kubernetes-admin].client-key-data: damaged base64",
        ),
        (
            kubeadm.replace(&format!("    client-key-data: {}\n", base64("KEY")), ""),
            "the user \"kubernetes-admin\" has a client certificate but no key",
        ),
        (
            format!("# nothing\n---\n---\n{kubeadm}"),
            "not a kubeconfig: its first document is empty, and kubectl reads no other",
        ),
        (
            kubeadm.replace("token: secret", "token: \"secret"),
            "not a kubeconfig: ",
        ),
    ] {
        let error = Kubeconfig::parse(&text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
        assert!(
            !error.contains("ECRET") && !error.contains("secret"),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}|[-a-z:{}\\[\\], \n|>&*\"']{0,60}") {
        let _ = Kubeconfig::parse(&text);
        let _ = Kubeconfig::replace_credentials(&text, "c", "k");
    }

    #[test]
    fn cut_anywhere_nothing_panics(end in 0usize..800) {
        let text = kubeadm();
        if let Some(text) = text.get(..end) {
            let _ = Kubeconfig::parse(text);
            let _ = Kubeconfig::replace_credentials(text, "c", "k");
        }
    }

    #[test]
    fn the_rest_is_kept(comment in "[ -~äß]{0,30}", server in "[ -~äß]{0,30}", new in "\\PC{1,200}", crlf: bool) {
        let text = kubeadm()
            .replace("# by hand", &format!("# {comment}"))
            .replace("https://10.0.0.1:6443", &format!("'{}'", server.replace('\'', "''")));
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let edited = edited(&text, &new, "K");
        let parsed = Kubeconfig::parse(&edited).unwrap();
        prop_assert_eq!(embedded(&parsed.certificate), new.as_str());
        prop_assert_eq!(&parsed.server, &server);
        let back = edited
            .replacen(&format!("\"{}\"", base64(&new)), &base64("CERT"), 1)
            .replacen(&format!("\"{}\"", base64("K")), &base64("KEY"), 1);
        prop_assert_eq!(back, text);
    }
}

#[test]
fn what_is_damaged_besides_the_credentials_is_not_edited() {
    let kubeadm = kubeadm();
    let sound = "certificate-authority-data: ";
    assert!(Kubeconfig::replace_credentials(&kubeadm, "C", "K").is_ok());
    let damaged = kubeadm.replace(sound, &format!("{sound}."));
    assert_ne!(damaged, kubeadm);
    let error = Kubeconfig::replace_credentials(&damaged, "C", "K").unwrap_err();
    assert!(
        error.to_string().contains("could not be read back"),
        "{error}"
    );
}

#[test]
fn users_of_other_contexts_get_new_credentials_and_nothing_else_changes() {
    let text = kubeadm()
        .replacen("- name: other", "- name: again\n  user:\n    client-certificate-data: Q0VSVA==\n    client-key-data: |\n      S0VZ\n- name: other", 1)
        .replacen("current-context: kubernetes-admin@kubernetes\n", "", 1);
    let users = Kubeconfig::embedded_users(&text).unwrap();
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["kubernetes-admin", "again"]);
    for user in &users {
        assert_eq!(user.certificate.as_slice(), b"CERT");
        assert_eq!(user.key.as_slice(), b"KEY");
        assert!(!format!("{user:?}").contains("67, 69"), "no secret");
    }
    let edited = Kubeconfig::replace_credentials_of(&text, &names, "NEW CERT", "NEW KEY").unwrap();
    let new = |old: &str| format!("\"{}\"", base64(&format!("NEW {old}")));
    let wanted = text
        .replace(&base64("CERT"), &new("CERT"))
        .replace("|\n      S0VZ", &new("KEY"))
        .replace(&base64("KEY"), &new("KEY"));
    assert_eq!(std::str::from_utf8(&edited).unwrap(), wanted);
    let one =
        Kubeconfig::replace_credentials_of(&text, &names[1..], "NEW CERT", "NEW KEY").unwrap();
    let one = Kubeconfig::embedded_users(&*one).unwrap();
    assert_eq!(one[0].certificate.as_slice(), b"CERT");
    assert_eq!(one[1].key.as_slice(), b"NEW KEY");
    let twice = text.replacen("- name: again", "- name: kubernetes-admin", 1);
    let error = Kubeconfig::replace_credentials_of(&twice, &names[..1], "C", "K").unwrap_err();
    assert!(matches!(error, KubeconfigError::Duplicate(_)), "{error}");
}
