//! The lists that an account's scripts look into (RFC 6134), as the operator sees them.

use anyhow::Context;
use mail_types::AnnotationName;
use mailstore::{ANNOTATION_OCTETS_MAX, ANNOTATIONS_PER_PLACE_MAX, Account, StoreError, Value};
use mta::{list_annotation, list_entries, list_of_annotation};

use super::execute::{account, done};
use super::{Answer, ListChange, SieveListLine};
use crate::house::House;

pub(super) async fn run(
    house: &House,
    address: &str,
    name: Option<&str>,
    change: Option<ListChange>,
) -> anyhow::Result<Answer> {
    let kept = house.store.account(account(house, address)?.id).await?;
    let Some(name) = name else { return all(&kept) };
    let annotation =
        list_annotation(name).with_context(|| format!("{name:?} cannot be the name of a list"))?;
    let there_is_none =
        || format!("{address} has no list {name}; `mailstead sieve lists {address}` names them");
    let Some(change) = change else {
        let text = text(&kept, annotation).await?.with_context(there_is_none)?;
        let entries = list_entries(&String::from_utf8_lossy(&text)).map(str::to_owned).collect();
        return Ok(Answer::SieveEntries { entries });
    };
    let (value, what) = match change {
        ListChange::Put { text } => {
            let entries = list_entries(&text).count();
            (Some(Value::from(text.into_bytes())), format!("{name} has {entries} entries"))
        }
        ListChange::Delete => {
            text(&kept, annotation.clone()).await?.with_context(there_is_none)?;
            (None, format!("{name} is gone"))
        }
    };
    kept.annotate(None, &[(annotation, value)]).await.map_err(tell)?;
    done(what)
}

fn all(kept: &Account) -> anyhow::Result<Answer> {
    let annotations = kept.annotations()?;
    let lists = annotations.of(None).filter_map(|(annotation, info)| {
        let name = list_of_annotation(annotation)?.to_owned();
        Some(SieveListLine { name, octets: info.octets })
    });
    Ok(Answer::SieveLists { lists: lists.collect() })
}

async fn text(kept: &Account, annotation: AnnotationName) -> Result<Option<Value>, StoreError> {
    Ok(kept.annotation_values(None, vec![annotation]).await?.pop().and_then(|(_, value)| value))
}

fn tell(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::AnnotationTooLarge => anyhow::anyhow!(
            "a list has {ANNOTATION_OCTETS_MAX} octets at most; sieve.lists in the configuration takes longer ones"
        ),
        StoreError::TooManyAnnotations => anyhow::anyhow!(
            "an account has {ANNOTATIONS_PER_PLACE_MAX} lists and other annotations at most; remove some first"
        ),
        error => error.into(),
    }
}
