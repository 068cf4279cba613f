//! Asking a signer by the certificates API: a CertificateSigningRequest is made, followed until it is signed, and made anew, so many
//! times, where it went without an answer.
//!
//! Whoever may write there is not trusted: an object counts only while it is the one that was made here (its uid), with the very request,
//! and what it brings is only ever offered to [`crate::issuer::accept_answer`].

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

use super::answer::Answer;
use super::contact::pause_after;
use super::open_order::OpenOrder;
use super::signing_state::{MOST_ATTEMPTS, Progress, SigningState, request_name, uid};
use crate::api::{
    Access, ApiError, Decision, DecisionKind, NewSigningRequest, SigningRequestObject,
    SigningRequests,
};
use crate::config::ApiSigner;
use crate::host::stopped;
use crate::net::Address;

/// So long a request that was just made or approved is waited for: a signer in the cluster takes a second.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(500);
/// When one that is approved is looked at again, and one that is not.
const SIGNED_SOON: Duration = Duration::from_secs(10);
const APPROVED_LATER: Duration = Duration::from_secs(60);
/// An API that has trouble is asked again after this at the latest, unless it says when.
const LONGEST_TROUBLE: Duration = Duration::from_secs(900);
const SHORTEST_RETRY_AFTER: Duration = Duration::from_secs(5);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// One that was denied or could not be signed is not made anew before.
const AFTER_NO: Duration = Duration::from_secs(3600);

/// By what and where the API is asked.
#[derive(Debug, Clone)]
pub struct ApiDesk {
    /// The credential.
    pub access: Arc<Access>,
    /// The servers, asked in their order.
    pub servers: Vec<Address>,
}

/// By which kubeconfig the API is asked: that of an issuer, or where it names none the usual one.
pub type Connect<'a> = &'a (dyn Fn(Option<&Path>) -> Result<ApiDesk, ApiError> + Sync);

/// What is asked of a signer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) signer: ApiSigner<'a>,
    pub(super) order: &'a OpenOrder,
    /// PEM.
    pub(super) request: &'a str,
    pub(super) usages: &'a [&'static str],
    /// How long it is to be valid.
    pub(super) validity: Duration,
    pub(super) node: &'a str,
}

/// What came of asking.
pub(super) struct Followed {
    pub(super) answer: Answer,
    /// What is known of the request from now on.
    pub(super) token: String,
    /// Whether the API would answer about any other request in the same way.
    pub(super) is_away: bool,
}

impl Asking<'_> {
    /// Goes on from what `token` says, after so many `failures` in a row. `stop`: what ends the wait for a signature.
    pub(super) async fn follow(
        &self,
        connect: Connect<'_>,
        (token, failures): (Option<&str>, u32),
        stop: Option<&watch::Receiver<bool>>,
    ) -> Followed {
        let mut state = SigningState::of(token);
        let answered = match connect(self.signer.kubeconfig) {
            Ok(desk) => self.until_signed(&desk, &mut state, stop).await,
            Err(error) => Err(error),
        };
        let is_away = matches!(
            answered,
            Err(ApiError::ApiUnreachable { .. }
                | ApiError::ApiUnauthorized { .. }
                | ApiError::ApiTrouble { .. })
        );
        Followed {
            answer: answered.unwrap_or_else(|error| trouble(&error, failures)),
            token: state.token(),
            is_away,
        }
    }

    async fn until_signed(
        &self,
        desk: &ApiDesk,
        state: &mut SigningState,
        stop: Option<&watch::Receiver<bool>>,
    ) -> Result<Answer, ApiError> {
        let began = Instant::now();
        let mut is_fresh = matches!(state, SigningState::Next(_));
        loop {
            let (answer, approved) = self.look(desk, state).await?;
            is_fresh |= approved;
            if !is_fresh || !matches!(answer, Answer::Pending { .. }) || began.elapsed() > PATIENCE
            {
                return Ok(answer);
            }
            match stop {
                Some(stop) => tokio::select! {
                    biased;
                    () = stopped(stop) => return Ok(answer),
                    () = sleep(LOOK) => {}
                },
                None => sleep(LOOK).await,
            }
        }
    }

    /// One look at the request, which is made where there is none; whether it was approved by that.
    async fn look(
        &self,
        desk: &ApiDesk,
        state: &mut SigningState,
    ) -> Result<(Answer, bool), ApiError> {
        let attempt = state.attempt();
        if attempt > MOST_ATTEMPTS {
            return Ok((self.given_up(), false));
        }
        let name = request_name(self.order, attempt);
        let annotations = [
            ("kubecertd.io/node", self.node),
            ("kubecertd.io/certificate", self.order.certificate.as_str()),
        ];
        let wanted = NewSigningRequest {
            name: &name,
            annotations: &annotations,
            signer: self.signer.name,
            text: self.request,
            usages: self.usages,
            seconds: seconds(self.validity),
        };
        let found = match state.clone() {
            SigningState::Next(_) => made(desk, &wanted).await?,
            SigningState::Open { uid: known, .. } => {
                let object = put(desk, Question::Get(&name)).await?;
                object.filter(|object| uid(object) == Some(known.as_str()))
            }
        };
        let Some(object) = found else {
            *state = state.after();
            let reason = format!(
                "the CertificateSigningRequest {name} was deleted before it was answered; it is made anew"
            );
            return Ok((not_now(reason, pause_after(attempt - 1)), false));
        };
        let Some(own) = uid(&object) else {
            *state = state.after();
            return Ok((
                not_now(format!("{name}: the API server gave it no uid"), AFTER_NO),
                false,
            ));
        };
        let uid = own.to_owned();
        *state = SigningState::Open { attempt, uid };
        self.judged(desk, state, (object, &wanted)).await
    }

    async fn judged(
        &self,
        desk: &ApiDesk,
        state: &mut SigningState,
        (object, wanted): (SigningRequestObject, &NewSigningRequest<'_>),
    ) -> Result<(Answer, bool), ApiError> {
        let name = wanted.name;
        let attempt = state.attempt();
        let answer = match Progress::of(&object, wanted) {
            Progress::Issued(certificates) => {
                *state = state.after();
                Answer::Issued(certificates)
            }
            Progress::Ended(how) => {
                *state = state.after();
                let reason = format!("the CertificateSigningRequest {name} was {how}");
                not_now(reason, AFTER_NO.max(pause_after(attempt - 1)))
            }
            Progress::NotOurs => {
                *state = state.after();
                let reason = format!(
                    "the CertificateSigningRequest {name} is not what was asked for here, so it is not used; another is made"
                );
                not_now(reason, pause_after(attempt - 1))
            }
            Progress::Pending if self.signer.approve => {
                return self.approve(desk, object, name).await;
            }
            Progress::Pending => pending(APPROVED_LATER),
            Progress::Approved => pending(SIGNED_SOON),
        };
        Ok((answer, false))
    }

    async fn approve(
        &self,
        desk: &ApiDesk,
        object: SigningRequestObject,
        name: &str,
    ) -> Result<(Answer, bool), ApiError> {
        let decision = Decision {
            kind: DecisionKind::Approved,
            reason: "KubecertdOwnRequest".to_owned(),
            message: format!(
                "kubecertd on {} asks for {} itself, and [issuer] approve is true there",
                self.node, self.order.certificate
            ),
            at: crate::host::now(),
        };
        match put(desk, Question::Decide(&object, &decision)).await {
            Ok(_) => Ok((pending(SIGNED_SOON), true)),
            // Another wrote to it meanwhile, or it is gone: what it is now shows the next look.
            Err(ApiError::ApiConflict { .. } | ApiError::ApiNotFound { .. }) => {
                Ok((pending(SIGNED_SOON), true))
            }
            Err(ApiError::ApiForbidden { reason, .. }) => Ok((
                not_now(
                    format!(
                        "the CertificateSigningRequest {name} may not be approved by this credential ({reason}): permit it (verb \
                         approve on the signer {}), or approve it by `kubectl certificate approve {name}`",
                        self.signer.name
                    ),
                    APPROVED_LATER,
                ),
                false,
            )),
            Err(error) => Err(error),
        }
    }

    fn given_up(&self) -> Answer {
        let certificate = &self.order.certificate;
        Answer::Refused {
            reason: format!(
                "the signer {} was asked {MOST_ATTEMPTS} times without an answer of use; see why, then run `kubecertd orders cancel \
                 {certificate}` for a new request",
                self.signer.name
            ),
            is_slow: false,
        }
    }
}

/// One question to the API.
#[derive(Clone, Copy)]
enum Question<'a> {
    Make(&'a NewSigningRequest<'a>),
    Get(&'a str),
    Decide(&'a SigningRequestObject, &'a Decision),
}

/// Asks each server in turn until one answers in a way in which the others would not differ; what there is by then.
async fn put(
    desk: &ApiDesk,
    question: Question<'_>,
) -> Result<Option<SigningRequestObject>, ApiError> {
    let mut last = None;
    for server in &desk.servers {
        let requests = SigningRequests::at(&desk.access, server);
        let answer = match question {
            Question::Make(wanted) => requests.create(wanted).await.map(Some),
            Question::Get(name) => requests.get(name).await,
            Question::Decide(object, decision) => {
                requests.decide(object.clone(), decision).await.map(Some)
            }
        };
        match answer {
            Err(error) if error.may_differ_elsewhere() => last = Some(error),
            answer => return answer,
        }
    }
    Err(last.unwrap_or_else(ApiError::no_server))
}

/// Makes it; where its name is taken, what has that name: this very request, if its answer was lost. `None` where it is gone.
async fn made(
    desk: &ApiDesk,
    wanted: &NewSigningRequest<'_>,
) -> Result<Option<SigningRequestObject>, ApiError> {
    match put(desk, Question::Make(wanted)).await {
        Err(ApiError::ApiConflict { .. }) => put(desk, Question::Get(wanted.name)).await,
        answer => answer,
    }
}

/// What it means that the API did not do it.
fn trouble(error: &ApiError, failures: u32) -> Answer {
    let reason = error.to_string();
    match error {
        ApiError::ApiTrouble {
            retry_after: Some(after),
            ..
        } => not_now(
            reason,
            (*after).clamp(SHORTEST_RETRY_AFTER, LONGEST_RETRY_AFTER),
        ),
        // What it does not take now it does not take in a minute.
        ApiError::ApiRefused { .. } => Answer::Refused {
            reason,
            is_slow: false,
        },
        _ => not_now(reason, pause_after(failures).min(LONGEST_TROUBLE)),
    }
}

fn not_now(reason: String, ask_again: Duration) -> Answer {
    Answer::NotNow { reason, ask_again }
}

fn pending(ask_again: Duration) -> Answer {
    Answer::Pending {
        token: None,
        ask_again,
    }
}

/// `spec.expirationSeconds`: ten minutes at least, by the API's rule.
fn seconds(validity: Duration) -> i32 {
    i32::try_from(validity.as_secs())
        .unwrap_or(i32::MAX)
        .max(600)
}
