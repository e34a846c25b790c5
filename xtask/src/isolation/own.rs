//! Finds for every route a request of one's own that succeeds: out of the route's schemas and of what answers showed.

use anyhow::Result;
use http::Method;
use kernel_core::http::Access;
use serde_json::Value;

use super::drive::{Base, Drive, Filling};
use super::exchange::Answer;
use super::input::{Form, Leaf};
use super::operation::{Draft, Operation, Person};
use super::pool::Together;
use super::state::Rows;
use super::step::{Action, Kind, Position};

/// How often all open routes are tried again with what the others have taught.
const ROUNDS: usize = 5;
/// How many sets of path parameters are tried per route and round.
const CONTEXTS: usize = 6;

impl Drive<'_> {
    /// Tries every route until each has an own case, or nothing new is learned. Returns those that have none.
    pub(super) async fn own_cases(&mut self) -> Result<Vec<String>> {
        let mut open: Vec<usize> = (0..self.operations.len()).collect();
        open.sort_by_key(|index| rank(&self.operations[*index]));
        for round in 0..ROUNDS {
            let mut still_open = Vec::new();
            for index in &open {
                // What deletes waits until it is known what makes things anew: others need those that are there.
                let waits = round == 0 && self.operations[*index].method == Method::DELETE;
                if waits || !self.try_own(*index).await? {
                    still_open.push(*index);
                }
            }
            let stuck = still_open.len() == open.len();
            open = still_open;
            // Some things come to be only when events and jobs have run their course.
            self.drain().await?;
            if open.is_empty() || stuck {
                break;
            }
        }
        Ok(open.into_iter().map(|index| self.last_attempt(&self.operations[index].name)).collect())
    }

    /// The operation and what it last answered.
    fn last_attempt(&self, name: &str) -> String {
        let steps = self.script.steps.iter().zip(&self.script.answers);
        let last = steps
            .rev()
            .find(|(step, _)| step.label.operation == name && step.label.position == Position::Whole);
        match last.map(|(step, answer)| (&step.action, answer)) {
            Some((Action::Send(ask), answer)) => {
                let body = answer.text().chars().take(160).collect::<String>().replace('\n', " ");
                let sent = String::from_utf8_lossy(&ask.body).into_owned();
                format!("{name} ({ask} {sent:?} was answered {} {body:?})", answer.status)
            }
            _ => format!("{name} (not even tried: something that it needs is not known)"),
        }
    }

    async fn try_own(&mut self, index: usize) -> Result<bool> {
        for (draft, filling) in self.drafts(index).await? {
            let writes = !self.operations[index].is_safe();
            let before = if writes { self.rows().await? } else { Rows::default() };
            let audited = if writes { self.audit_rows().await? } else { 0 };
            let answer = self.send(index, &draft, Position::Whole, Kind::Own).await?;
            if answer.is_success() {
                self.learn(index, &draft, &answer);
                if writes && self.audit_rows().await? > audited {
                    self.audited.insert(self.operations[index].name.clone());
                }
            }
            // What shows nothing must at least have done something.
            if convinces(&answer) && (!answer.body.is_empty() || before != self.rows().await?) {
                if let Some(step) = self.script.steps.last_mut() {
                    step.is_base = true;
                }
                self.bases.insert(self.operations[index].name.clone(), Base { draft, filling });
                if self.operations[index].method == Method::DELETE {
                    self.look_around().await?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks for everything that is known how to ask for: what tells of a thing that has just gone may still look for it,
    /// and meets the copy if it looks everywhere.
    async fn look_around(&mut self) -> Result<()> {
        let operations = self.operations.clone();
        for (index, operation) in operations.iter().enumerate().filter(|(_, other)| other.is_safe()) {
            if let Some(Base { draft, .. }) = self.bases.get(&operation.name).cloned() {
                self.send(index, &draft, Position::Whole, Kind::Own).await?;
            }
        }
        Ok(())
    }

    /// Requests that may succeed, the likeliest first.
    async fn drafts(&mut self, index: usize) -> Result<Vec<(Draft, Filling)>> {
        let operations = self.operations.clone();
        let operation = &operations[index];
        let asker = self.asker(operation).await?;
        let sacrifice = self.sacrifice(index).await?;
        let mut contexts = self.contexts(&operation.input.path, !operation.is_safe());
        contexts.splice(0..0, sacrifice);
        // What only shows is tried with the oldest things and the newest: lists may have their items in either.
        if operation.is_safe() && contexts.len() > CONTEXTS {
            contexts.drain(CONTEXTS / 2..contexts.len() - CONTEXTS / 2);
        }
        contexts.truncate(CONTEXTS);
        let fillings: &[Filling] = match &operation.input.body {
            Some(leaves) if !leaves.is_empty() => &[Filling::Full, Filling::Least, Filling::Known],
            _ => &[Filling::Full],
        };
        let mut drafts = Vec::new();
        for (context, filling) in
            contexts.iter().flat_map(|context| fillings.iter().map(move |f| (context, *f)))
        {
            let Some(draft) = self.draft(operation, &asker, context, filling) else { continue };
            if operation.is_page && operation.is_safe() {
                drafts.push((draft.clone(), filling));
            }
            drafts.push((Draft { as_script: operation.is_page, ..draft }, filling));
        }
        Ok(drafts)
    }

    /// Fills a request in, if everything that it needs is known.
    pub(super) fn draft(
        &mut self,
        operation: &Operation,
        asker: &Person,
        context: &Together,
        filling: Filling,
    ) -> Option<Draft> {
        let mut draft = Draft::new(asker);
        draft.workspace = operation.in_workspace().then(|| self.workspace.clone());
        for leaf in &operation.input.path {
            draft.path.insert(leaf.pointer.clone(), self.path_value(leaf, context)?);
        }
        let required: Vec<Leaf> =
            operation.input.query.iter().filter(|leaf| !leaf.optional).cloned().collect();
        if let Some(Value::Object(query)) = self.body(&prefixed(&required), Filling::Full, context) {
            draft.query = query.into_iter().map(|(name, value)| (name, plain(&value))).collect();
        }
        if let Some(leaves) = &operation.input.body {
            draft.body = Some(self.body(leaves, filling, context)?);
        }
        if operation.takes_key {
            let number = self.next_number();
            let key = format!("key-{}-{number}", self.taste.tag);
            draft.headers.push(("idempotency-key", key));
        }
        Some(draft)
    }

    fn path_value(&self, leaf: &Leaf, context: &Together) -> Option<String> {
        match &leaf.form {
            Form::Id(prefix) => context.get(prefix).cloned(),
            _ => context.get(&leaf.name).cloned().or_else(|| {
                let known = self.pool.values(&leaf.name).first().cloned();
                known.or_else(|| self.taste.value(leaf, 1)).map(|value| plain(&value))
            }),
        }
    }

    /// Sets of own values for the parameters of a path, each of things that were seen together.
    pub(super) fn contexts(&self, path: &[Leaf], newest_first: bool) -> Vec<Together> {
        let wanted: Vec<&str> = path
            .iter()
            .map(|leaf| if let Form::Id(prefix) = &leaf.form { prefix.as_str() } else { leaf.name.as_str() })
            .collect();
        let needed: Vec<&str> = path
            .iter()
            .filter_map(|leaf| if let Form::Id(prefix) = &leaf.form { Some(prefix.as_str()) } else { None })
            .collect();
        let mut found: Vec<Together> = Vec::new();
        let mut note = |together: &Together| {
            let part: Together =
                together.iter().filter(|(key, _)| wanted.contains(&key.as_str())).map(own_pair).collect();
            let complete = needed.iter().all(|key| part.contains_key(*key));
            if complete && !found.contains(&part) {
                found.push(part);
            }
        };
        if newest_first {
            self.pool.together.iter().rev().for_each(&mut note);
        } else {
            self.pool.together.iter().for_each(&mut note);
        }
        if wanted.is_empty() {
            return vec![Together::new()];
        }
        // Those that name every parameter before those of which some must be guessed.
        found.sort_by_key(|part| std::cmp::Reverse(part.len()));
        if needed.is_empty() {
            found.push(Together::new());
        }
        found
    }

    /// Who asks: the owner, but for requests that may end a session; those a guest makes.
    async fn asker(&mut self, operation: &Operation) -> Result<Person> {
        if operation.in_workspace() || operation.is_safe() {
            return Ok(self.people["owner"].clone());
        }
        let person = self.guest().await?;
        Ok(if operation.access == Access::Public && operation.input.body.is_some() {
            Person { name: "nobody", ..Person::default() }
        } else {
            person
        })
    }

    /// Someone who has just signed up, and whom nobody will miss.
    pub(super) async fn guest(&mut self) -> Result<Person> {
        let number = self.next_number();
        let index = self.index("auth.sign_up")?;
        let mut draft = Draft::new(&Person { name: "nobody", ..Person::default() });
        draft.body = Some(serde_json::json!({
            "name": "A guest",
            "email": format!("guest{number}-{}@example.com", self.taste.tag),
            "password": "the password of a guest",
        }));
        let answer = self.send(index, &draft, Position::Whole, Kind::Own).await?;
        let guest = super::drive::session_of("guest", &answer);
        guest.ok_or_else(|| anyhow::anyhow!("a guest cannot sign up: {}", answer.whole()))
    }

    /// For a request that changes a thing: a new thing of that kind, so that those which others need stay.
    pub(super) async fn sacrifice(&mut self, index: usize) -> Result<Option<Together>> {
        let operations = self.operations.clone();
        let operation = &operations[index];
        let last = operation.input.path.iter().rev().find_map(|leaf| match &leaf.form {
            Form::Id(prefix) => Some(prefix.clone()),
            _ => None,
        });
        let Some(prefix) = last.filter(|_| !operation.is_safe()) else { return Ok(None) };
        let Some(creator) = self.creators.get(&prefix).copied().filter(|creator| *creator != index) else {
            return Ok(None);
        };
        self.make(creator, &prefix).await
    }

    /// Makes a new thing; returns it with the things that it belongs to.
    pub(super) async fn make(&mut self, creator: usize, prefix: &str) -> Result<Option<Together>> {
        let operations = self.operations.clone();
        let operation = &operations[creator];
        let Some(base) = self.bases.get(&operation.name).map(|base| base.draft.clone()) else {
            return Ok(None);
        };
        let mut parents = self.contexts(&operation.input.path, false);
        let oldest = parents.first().cloned().unwrap_or_default();
        let latest = parents.pop().unwrap_or_default();
        let before = self.pool.ids(prefix).len();
        // What the oldest ids name may be gone by now.
        for (filling, parents) in [(Filling::Full, oldest), (Filling::Latest, latest)] {
            let Some(draft) = self.draft(operation, &base.asker, &parents, filling) else {
                return Ok(None);
            };
            let draft = Draft { as_script: base.as_script, ..draft };
            let answer = self.send(creator, &draft, Position::Whole, Kind::Own).await?;
            if answer.is_success() {
                self.learn(creator, &draft, &answer);
                break;
            }
        }
        let made = self.pool.ids(prefix).get(before).cloned();
        Ok(made.map(|id| {
            let with = |together: &&Together| together.get(prefix) == Some(&id);
            let richest = self.pool.together.iter().filter(with).max_by_key(|together| together.len());
            richest.cloned().unwrap_or_default()
        }))
    }
}

fn own_pair((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// Query parameters as the fields of a body, so that both are filled alike.
fn prefixed(leaves: &[Leaf]) -> Vec<Leaf> {
    leaves.iter().map(|leaf| Leaf { pointer: format!("/{}", leaf.pointer), ..leaf.clone() }).collect()
}

/// A value as a path or a query holds it.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The order in which routes are tried: what makes things, what shows them, what changes them, what ends them.
fn rank(operation: &Operation) -> (u8, usize, String) {
    let class = match operation.method {
        Method::POST => 0,
        Method::GET | Method::HEAD => 1,
        Method::DELETE => 3,
        _ => 2,
    };
    (class, operation.input.path.len(), operation.name.clone())
}

/// Whether an answer shows that the request did what the route is for: success, and something to see, if the route
/// shows anything.
fn convinces(answer: &Answer) -> bool {
    if answer.status == 204 || answer.status == 101 {
        return true;
    }
    let something = match answer.json() {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.get("items").is_none_or(|items| items != &Value::Array(Vec::new())),
        _ => !answer.body.is_empty(),
    };
    answer.is_success() && something
}
