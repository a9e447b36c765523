//! Whole lists, however long.

use std::fmt::Debug;

use kube::Api;
use kube::api::ListParams;
use serde::de::DeserializeOwned;

use super::Cluster;
use crate::error::{ApiError, Cause};

/// Objects per request: what kubectl asks for at a time.
const PAGE: u32 = 500;

/// All objects of a list and the version of the cluster that they show.
pub(crate) struct Listing<K> {
    pub(crate) items: Vec<K>,
    pub(crate) version: String,
}

/// Every object of a list, page by page. A server that forgot a page's place is asked from the start.
pub(crate) async fn all<K>(
    cluster: &Cluster,
    api: &Api<K>,
    params: &ListParams,
    doing: &str,
) -> Result<Listing<K>, ApiError>
where
    K: Clone + DeserializeOwned + Debug,
{
    const ATTEMPTS: usize = 3;
    let mut attempt = 1;
    'from_start: loop {
        let mut items = Vec::new();
        let mut page = params.clone().limit(PAGE);
        loop {
            match cluster.call(doing, api.list(&page)).await {
                Ok(list) => {
                    items.extend(list.items);
                    match list.metadata.continue_.filter(|token| !token.is_empty()) {
                        Some(token) => page = page.continue_token(&token),
                        None => {
                            return Ok(Listing {
                                items,
                                version: list.metadata.resource_version.unwrap_or_default(),
                            });
                        }
                    }
                }
                Err(ApiError {
                    cause: Cause::Server { code: 410, .. },
                    ..
                }) if attempt < ATTEMPTS => {
                    attempt += 1;
                    continue 'from_start;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
