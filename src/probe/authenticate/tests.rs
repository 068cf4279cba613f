use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        body: body.to_owned(),
    }
}

#[test]
fn a_review_names_the_holder_and_the_certificate() {
    let body = |user: &str, digest: &str| {
        answer(
            201,
            &format!(
                r#"{{"status":{{"userInfo":{{"username":"{user}","extra":{{"authentication.kubernetes.io/credential-id":["X509SHA256={digest}"]}}}}}}}}"#
            ),
        )
    };
    let own = || Some("ab12".to_owned());
    let known = read_review("https://x", &body("system:kube-scheduler", "ab12"), own()).unwrap();
    assert_eq!(known.user.as_deref(), Some("system:kube-scheduler"));
    assert!(known.evidence.contains("this certificate"));
    assert!(matches!(
        read_review("https://x", &body("system:kube-scheduler", "cd34"), own()),
        Err(AuthenticationError::Refused { .. })
    ));
    assert!(matches!(
        read_review("https://x", &body(ANONYMOUS, "ab12"), own()),
        Err(AuthenticationError::Refused { .. })
    ));
}

#[test]
fn forbidden_is_accepted_unless_it_means_anonymous() {
    let forbidden = |user: &str| {
        answer(
            403,
            &format!(r#"{{"message":"forbidden: User \"{user}\" cannot get path \"/api\""}}"#),
        )
    };
    assert!(read_discovery("https://x", &forbidden("system:kube-scheduler")).is_ok());
    assert!(matches!(
        read_discovery("https://x", &forbidden(ANONYMOUS)),
        Err(AuthenticationError::Refused { .. })
    ));
    assert!(matches!(
        read_discovery("https://x", &answer(401, "Unauthorized")),
        Err(AuthenticationError::Refused { .. })
    ));
    assert!(matches!(
        read_discovery("https://x", &answer(500, "")),
        Err(AuthenticationError::NoAnswer(_))
    ));
}
