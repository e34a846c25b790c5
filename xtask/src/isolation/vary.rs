//! The whole matrix: every route, every position, every kind of value.

use anyhow::Result;

use super::change::{Change, Strangers, Variant, Variants, ends_session};
use super::drive::{Base, Drive, Filling};
use super::operation::{Draft, Operation};
use super::pool::Together;
use super::step::{Kind, Position};

/// In how many places a list is asked for a second page.
const PLACES: usize = 12;

impl Drive<'_> {
    /// Varies every own case in every position. Returns the positions for which some kind of value is unknown.
    pub(super) async fn vary(&mut self, strangers: &Strangers) -> Result<Vec<String>> {
        let mut gaps = Vec::new();
        self.make_more().await?;
        self.drain().await?;
        self.page_all().await?;
        let operations = self.operations.clone();
        for (index, operation) in operations.iter().enumerate() {
            if self.bases.contains_key(&operation.name) {
                gaps.extend(self.vary_one(index, operation, strangers).await?);
            }
        }
        Ok(gaps)
    }

    async fn vary_one(
        &mut self,
        index: usize,
        operation: &Operation,
        strangers: &Strangers,
    ) -> Result<Vec<String>> {
        let own = self.pool.clone();
        let variants = Variants { operation, own: &own, strangers, taste: &self.taste.clone() };
        let mut all = variants.all();
        let gaps = variants.gaps(&all);
        all.extend(self.askers(operation, &all));
        let mut live = None;
        for variant in all {
            let draft = match live.take() {
                Some(draft) => draft,
                None => match self.live(index, operation).await? {
                    Some(draft) => draft,
                    None => continue,
                },
            };
            let changed = variant.change.apply(&draft);
            let changed = if operation.takes_key { self.rekeyed(changed, &variant.change) } else { changed };
            let answer = self.send(index, &changed, variant.position, variant.kind).await?;
            if answer.is_success() {
                self.learn(index, &changed, &answer);
            }
            // What succeeded may have used up what it worked on; what makes things needs new values each time.
            let used_up = !operation.is_safe() && (answer.is_success() || operation.input.path.is_empty());
            live = if used_up || ends_session(&answer) { None } else { Some(draft) };
        }
        self.replay(index, operation).await?;
        Ok(gaps)
    }

    /// Asks every list for a short page, so that there are cursors to vary. What has no second page in one place may
    /// have one in another: the own case moves there.
    pub(super) async fn page_all(&mut self) -> Result<()> {
        let operations = self.operations.clone();
        for (index, operation) in operations.iter().enumerate().filter(|(_, operation)| operation.input.paged)
        {
            let Some(Base { draft, .. }) = self.bases.get(&operation.name).cloned() else { continue };
            let own = operation.input.path.iter().filter_map(|leaf| draft.path.get(&leaf.pointer));
            let own: Together = own.map(|value| (key_of(value, ""), value.clone())).collect();
            let others = self.contexts(&operation.input.path, false);
            for context in std::iter::once(own).chain(others).take(PLACES) {
                let Some(draft) = self.draft(operation, &draft.asker, &context, Filling::Full) else {
                    continue;
                };
                let short = Change::Query("limit".to_owned(), vec!["1".to_owned()]).apply(&draft);
                let answer = self.send(index, &short, Position::Query("limit".to_owned()), Kind::Own).await?;
                if answer.is_success() {
                    self.learn(index, &short, &answer);
                }
                if self.pool.cursors.contains_key(&operation.name) {
                    self.bases.entry(operation.name.clone()).and_modify(|base| base.draft = draft);
                    break;
                }
            }
        }
        Ok(())
    }

    /// The same request by other people: one who is also in the other workspace, one who is in none, nobody.
    fn askers(&self, operation: &Operation, variants: &[Variant]) -> Vec<Variant> {
        let person = |name: &str| self.people.get(name).cloned();
        let by = |name: &str, position: &Position, kind| {
            let change = person(name).map(Change::Asker)?;
            Some(Variant { position: position.clone(), kind, change })
        };
        let mut all = Vec::new();
        if !operation.in_workspace() {
            return all;
        }
        for name in ["outsider", "nobody"] {
            all.extend(by(name, &Position::Whole, Kind::Own));
        }
        if operation.is_page {
            // A page may name all workspaces of the person who looks at it.
            return all;
        }
        all.extend(by("insider", &Position::Whole, Kind::Own));
        let foreign = variants.iter().filter(|variant| variant.kind == Kind::Foreign);
        let insider = person("insider");
        all.extend(foreign.filter_map(|variant| {
            // The insider may enter the other workspace by its own address: that is no case of isolation.
            let enters = matches!(variant.change, Change::Workspace(_));
            let asker = insider.clone().filter(|_| !enters)?;
            let change = Change::Both(Box::new(variant.change.clone()), Box::new(Change::Asker(asker)));
            Some(Variant { position: variant.position.clone(), kind: variant.kind, change })
        }));
        all
    }

    /// A request that would succeed now.
    async fn live(&mut self, index: usize, operation: &Operation) -> Result<Option<Draft>> {
        let Base { draft: base, filling } = self.bases[&operation.name].clone();
        if operation.is_safe() {
            return Ok(Some(base));
        }
        let needs_session = !operation.in_workspace() && base.asker.cookie.is_some();
        let asker =
            if needs_session && operation.input.body.is_none() { self.guest().await? } else { base.asker };
        let context = match self.sacrifice(index).await? {
            Some(context) => context,
            None if operation.input.path.is_empty() => Together::new(),
            None => base.path.iter().map(|(name, value)| (key_of(value, name), value.clone())).collect(),
        };
        let draft = self.draft(operation, &asker, &context, filling);
        Ok(draft.map(|draft| Draft { as_script: base.as_script, ..draft }))
    }

    /// A key of its own for each variant, unless the key is what varies.
    fn rekeyed(&mut self, draft: Draft, change: &Change) -> Draft {
        if matches!(change, Change::Header("idempotency-key", _)) {
            return draft;
        }
        let number = self.next_number();
        let key = format!("key-{}-{number}", self.taste.tag);
        Change::Header("idempotency-key", key).apply(&draft)
    }

    /// One key twice: the same request is replayed, another one is refused.
    async fn replay(&mut self, index: usize, operation: &Operation) -> Result<()> {
        if !operation.takes_key {
            return Ok(());
        }
        let Some(draft) = self.live(index, operation).await? else { return Ok(()) };
        let position = Position::Header("idempotency-key".to_owned());
        self.send(index, &draft, position.clone(), Kind::Own).await?;
        self.send(index, &draft, position.clone(), Kind::Own).await?;
        let Some(other) = self.live(index, operation).await? else { return Ok(()) };
        let key =
            draft.headers.iter().find(|(name, _)| *name == "idempotency-key").map(|(_, key)| key.clone());
        if let Some(key) = key {
            let other = Change::Header("idempotency-key", key).apply(&other);
            self.send(index, &other, position, Kind::Own).await?;
        }
        Ok(())
    }
}

fn key_of(value: &str, name: &str) -> String {
    super::pool::prefix_of(value).unwrap_or(name).to_owned()
}
