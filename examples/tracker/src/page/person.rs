//! The names of people whom a page mentions.

use std::collections::{BTreeSet, HashMap};

use kernel_core::{Error, TenantTx, Tx, UserId, people};
use minijinja::{Value, context};

use crate::tracker::Tracker;

/// Names by id; who has none is no longer there.
#[derive(Debug)]
pub(super) struct Names {
    known: HashMap<UserId, String>,
    gone: String,
    /// What the system is called.
    product: String,
}

impl Names {
    pub(super) async fn of(
        tracker: &Tracker,
        tx: &mut TenantTx,
        ids: impl IntoIterator<Item = UserId> + Send,
    ) -> Result<Self, Error> {
        let ids: BTreeSet<_> = ids.into_iter().collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let people = people(tx, &ids).await?;
        let known = people.into_iter().map(|person| (person.id, person.name)).collect();
        let product = tracker.pages.product().name.clone();
        Ok(Self { known, gone: tracker.pages.text(tx.ctx().language(), "person.gone"), product })
    }

    /// A person as the templates know one.
    pub(super) fn shown(&self, id: UserId) -> Value {
        context! { id => id.to_string(), name => self.known.get(&id).unwrap_or(&self.gone) }
    }

    /// Who did something: a person, or else the system.
    pub(super) fn author(&self, id: Option<UserId>) -> Value {
        id.map_or_else(|| context! { name => self.product.as_str() }, |id| self.shown(id))
    }
}
