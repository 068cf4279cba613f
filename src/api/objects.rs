//! Objects of one kind at one API server: what the kube crate would have asked there, and what comes of the answer.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response};
use kube::Resource;
use kube::core::params::{GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::request::{Error as UnusableRequest, Request as Requests};
use kube::core::{ObjectList, PartialObjectMeta, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::transport::send;
use super::{Access, ApiError};
use crate::net::Address;

/// So many objects of a long list are asked for at once.
const PAGE: u32 = 100;
/// No list has more pages than are read.
const MOST_PAGES: usize = 2_000;

/// Objects of a kind, in one namespace or in none.
#[derive(Debug, Clone)]
pub(super) struct Objects<K> {
    access: Arc<Access>,
    server: Address,
    requests: Requests,
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource<DynamicType = ()>> Objects<K> {
    /// Those of a kind that this program knows. Nothing is asked yet.
    pub(super) fn of(access: &Arc<Access>, server: &Address, namespace: Option<&str>) -> Self {
        Self::at(access, server, K::url_path(&(), namespace))
    }
}

impl<K> Objects<K> {
    /// Those below a path. Nothing is asked yet.
    pub(super) fn at(access: &Arc<Access>, server: &Address, path: String) -> Self {
        Self {
            access: Arc::clone(access),
            server: server.clone(),
            requests: Requests::new(path),
            kind: PhantomData,
        }
    }

    async fn ask(
        &self,
        request: Result<Request<Vec<u8>>, UnusableRequest>,
    ) -> Result<Response<Bytes>, ApiError> {
        let request = request.map_err(|error| self.trouble(&error.to_string()))?;
        let answer = send(&self.access, &self.server, request).await;
        let answer = answer.map_err(|error| ApiError::without_answer(error, &self.server))?;
        if answer.status().is_client_error() || answer.status().is_server_error() {
            let (status, later) = (refusal(&answer), retry_after(&answer));
            return Err(ApiError::of_status(&status, self.server.clone(), later));
        }
        Ok(answer)
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: Result<Request<Vec<u8>>, UnusableRequest>,
    ) -> Result<T, ApiError> {
        let answer = self.ask(request).await?;
        serde_json::from_slice(answer.body()).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &serde_json::Error) -> ApiError {
        self.trouble(&format!("its answer cannot be read: {error}"))
    }

    fn trouble(&self, reason: &str) -> ApiError {
        ApiError::trouble(reason, &self.server)
    }
}

impl<K: DeserializeOwned> Objects<K> {
    /// The object of that name; `None` where there is none.
    pub(super) async fn get(&self, name: &str) -> Result<Option<K>, ApiError> {
        let request = self.requests.get(name, &GetParams::default());
        if_any(self.read(request).await)
    }

    /// What is said about it, and not the object.
    pub(super) async fn metadata(
        &self,
        name: &str,
    ) -> Result<Option<PartialObjectMeta<K>>, ApiError> {
        let request = self.requests.get_metadata(name, &GetParams::default());
        if_any(self.read(request).await)
    }

    /// Those that bear a label, whatever its value, at most `most` of them.
    pub(super) async fn labelled(&self, label: &str, most: u32) -> Result<Vec<K>, ApiError>
    where
        K: Clone,
    {
        let wanted = ListParams::default().labels(label).limit(most);
        let list: ObjectList<K> = self.read(self.requests.list(&wanted)).await?;
        Ok(list.items)
    }

    /// Shows all of a list, page by page, so that it is never there as a whole. `fields`: which of them, `spec.signerName=…`. A page that
    /// is too long to be read, since whoever may make objects can make large ones, is asked for in smaller ones.
    pub(super) async fn each(
        &self,
        fields: Option<&str>,
        mut see: impl FnMut(K),
    ) -> Result<(), ApiError>
    where
        K: Clone,
    {
        let mut wanted = ListParams {
            field_selector: fields.map(str::to_owned),
            ..ListParams::default()
        };
        let mut limit = PAGE;
        for _ in 0..MOST_PAGES {
            wanted.limit = Some(limit);
            let list: ObjectList<K> = match self.read(self.requests.list(&wanted)).await {
                Err(ApiError::ApiTooLong { .. }) if limit > 1 => {
                    limit /= 2;
                    continue;
                }
                answer => answer?,
            };
            list.items.into_iter().for_each(&mut see);
            limit = PAGE.min(limit * 2);
            wanted.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
            if wanted.continue_token.is_none() {
                return Ok(());
            }
        }
        Err(self.trouble(&format!("a list has more than {MOST_PAGES} pages")))
    }

    /// Sets what the patch says, of whatever version it is.
    pub(super) async fn merge(&self, name: &str, patch: Value) -> Result<K, ApiError> {
        let patch = Patch::Merge(patch);
        let request = self.requests.patch(name, &PatchParams::default(), &patch);
        self.read(request).await
    }
}

impl<K: Serialize + DeserializeOwned> Objects<K> {
    /// Makes one.
    pub(super) async fn create(&self, object: &K) -> Result<K, ApiError> {
        let object = self.written(object)?;
        let request = self.requests.create(&PostParams::default(), object);
        self.read(request).await
    }

    /// Replaces the version that the object names.
    pub(super) async fn replace(&self, name: &str, object: &K) -> Result<K, ApiError> {
        let object = self.written(object)?;
        let request = self.requests.replace(name, &PostParams::default(), object);
        self.read(request).await
    }

    /// Replaces a part of the version that the object names, by the way that is for this part.
    pub(super) async fn replace_part(
        &self,
        part: &str,
        name: &str,
        object: &K,
    ) -> Result<K, ApiError> {
        let object = self.written(object)?;
        let parameters = PostParams::default();
        let request = self
            .requests
            .replace_subresource(part, name, &parameters, object);
        self.read(request).await
    }

    fn written(&self, object: &K) -> Result<Vec<u8>, ApiError> {
        serde_json::to_vec(object).map_err(|error| self.trouble(&error.to_string()))
    }
}

fn if_any<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ApiError::ApiNotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `Retry-After` in seconds; a date, which the API server does not write, is passed over.
fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// What a refusal says. A proxy before the API server says it in a way of its own.
fn refusal(answer: &Response<Bytes>) -> Status {
    let code = answer.status().as_u16();
    match serde_json::from_slice::<Status>(answer.body()) {
        Ok(status) if status.code != 0 => status,
        Ok(status) => status.with_code(code),
        Err(_) => {
            let text = String::from_utf8_lossy(answer.body());
            Status::failure(text.trim(), "").with_code(code)
        }
    }
}
