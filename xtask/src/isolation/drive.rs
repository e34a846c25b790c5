//! A tenant that tries every route, and writes down what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use http::Method;
use kernel_core::{AuditAction, Role};
use serde_json::{Value, json};

use super::exchange::Answer;
use super::input::{Form, Leaf, assemble};
use super::operation::{Draft, Operation, Person, templates};
use super::pool::{Pool, Templates, Together};
use super::scratch::Scratch;
use super::state::Rows;
use super::step::{Action, Kind, Label, Position, Script, Step};
use super::value::Taste;
use super::world::World;

/// An own request that succeeded, to vary.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) draft: Draft,
    /// How its body was filled.
    pub(super) filling: Filling,
}

/// A drive under way.
#[derive(Debug)]
pub(super) struct Drive<'w> {
    pub(super) world: &'w World,
    place: &'w Scratch,
    /// All rows at moments between the steps, the latest first.
    pub(super) moments: Vec<Rows>,
    pub(super) operations: Arc<Vec<Operation>>,
    pub(super) templates: Templates,
    pub(super) taste: Taste,
    pub(super) pool: Pool,
    pub(super) people: BTreeMap<&'static str, Person>,
    pub(super) workspace: String,
    pub(super) script: Script,
    /// The own case of each operation.
    pub(super) bases: BTreeMap<String, Base>,
    /// Operations after whose success there were more audit rows than before.
    pub(super) audited: BTreeSet<String>,
    /// Which operation makes things of which noun.
    pub(super) creators: BTreeMap<String, usize>,
    /// Values made up so far.
    number: u64,
}

/// How the fields of a body are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filling {
    /// All fields, with new values.
    Full,
    /// The same, but of things that a tenant makes itself the latest.
    Latest,
    /// Only those that must be there.
    Least,
    /// All fields, with values that were accepted before under the same name.
    Known,
}

impl<'w> Drive<'w> {
    pub(super) fn new(world: &'w World, place: &'w Scratch, taste: Taste) -> Self {
        let operations = Operation::all(&world.app);
        Self {
            world,
            place,
            moments: Vec::new(),
            templates: templates(&operations),
            operations: Arc::new(operations),
            taste,
            pool: Pool::default(),
            people: BTreeMap::new(),
            workspace: String::new(),
            script: Script::default(),
            bases: BTreeMap::new(),
            audited: BTreeSet::new(),
            creators: BTreeMap::new(),
            number: 0,
        }
    }

    /// Does a step and writes it down.
    pub(super) async fn step(&mut self, label: Label, action: Action) -> Result<Answer> {
        let step = Step { label, action, is_base: false };
        let answer = self.world.perform(self.script.len(), &step).await?;
        self.script.steps.push(step);
        self.script.answers.push(answer.clone());
        Ok(answer)
    }

    /// Sends a draft.
    pub(super) async fn send(
        &mut self,
        index: usize,
        draft: &Draft,
        position: Position,
        kind: Kind,
    ) -> Result<Answer> {
        let operation = &self.operations[index];
        let deletes = operation.method == Method::DELETE;
        let is_own_case = position == Position::Whole && kind == Kind::Own;
        let changes = [Method::PATCH, Method::PUT].contains(&operation.method);
        let refers = kind == Kind::Own && changes && operation.refers(&position);
        let label = Label { operation: operation.name.clone(), position, kind, asker: draft.asker.name };
        let ask = draft.ask(operation);
        if (is_own_case && deletes) || refers {
            // What it deletes, or no longer refers to, stays in the copy.
            self.keep_moment().await?;
        }
        self.step(label, Action::Send(ask)).await
    }

    /// Signs a new person up under this name.
    pub(super) async fn sign_up(&mut self, name: &'static str) -> Result<Person> {
        let index = self.index("auth.sign_up")?;
        let mut draft = Draft::new(&Person { name, ..Person::default() });
        draft.body = Some(json!({
            "name": name,
            "email": format!("{name}-{}@example.com", self.taste.tag),
            "password": format!("the password of {name}"),
        }));
        let answer = self.send(index, &draft, Position::Whole, Kind::Own).await?;
        ensure!(answer.is_success(), "{name} cannot sign up: {}", answer.whole());
        let person = session_of(name, &answer).context("a session")?;
        self.pool.learn("auth.sign_up", &Together::new(), &answer, &self.templates);
        self.people.insert(name, person.clone());
        Ok(person)
    }

    /// Founds the tenant's workspace, with a crew of members beside its owner, and an annex without.
    pub(super) async fn found(&mut self, owner: &Person, crew: &[(&Person, Role)]) -> Result<()> {
        let members: Result<Vec<_>> =
            crew.iter().map(|(person, role)| Ok((person.id.parse()?, *role))).collect();
        let label = Label {
            operation: "crew".to_owned(),
            position: Position::Whole,
            kind: Kind::Own,
            asker: owner.name,
        };
        self.step(label, Action::Crew(members?)).await?;
        self.workspace = format!("house-{}", self.taste.tag);
        self.found_one(owner, "The house", &self.workspace.clone()).await?;
        // A person's list of workspaces is to have a second page.
        self.found_one(owner, "The annex", &format!("annex-{}", self.taste.tag)).await
    }

    async fn found_one(&mut self, owner: &Person, name: &str, slug: &str) -> Result<()> {
        let index = self.index("tenancy.workspace.create")?;
        let mut draft = Draft::new(owner);
        draft.body = Some(json!({ "name": name, "slug": slug }));
        let answer = self.send(index, &draft, Position::Whole, Kind::Own).await?;
        ensure!(answer.is_success(), "the workspace cannot be founded: {}", answer.whole());
        self.pool.learn("tenancy.workspace.create", &Together::new(), &answer, &self.templates);
        Ok(())
    }

    /// Lets events and jobs run their course, and keeps the rows as they were before.
    pub(super) async fn drain(&mut self) -> Result<Answer> {
        self.keep_moment().await?;
        let label = Label {
            operation: "drain".to_owned(),
            position: Position::Whole,
            kind: Kind::Own,
            asker: "worker",
        };
        self.step(label, Action::Drain).await
    }

    /// All rows as they are now.
    pub(super) async fn rows(&self) -> Result<Rows> {
        Rows::read(self.place).await
    }

    /// How many rows the audit log has.
    pub(super) async fn audit_rows(&self) -> Result<i64> {
        let count = "SELECT (SELECT count(*) FROM kernel_core.audit_log) + (SELECT count(*) FROM kernel_core.audit_unsealed)";
        Ok(sqlx::query_scalar(count).fetch_one(&mut self.place.admin().await?).await?)
    }

    /// What the audit log tells of and no pillar declares.
    pub(super) async fn undeclared_actions(&self) -> Result<Vec<String>> {
        let declared: Vec<_> = self.world.app.audit_actions().map(AuditAction::name).collect();
        let told = "SELECT action FROM kernel_core.audit_log WHERE action <> ALL ($1)
             UNION SELECT action FROM kernel_core.audit_unsealed WHERE action <> ALL ($1)
             ORDER BY action";
        Ok(sqlx::query_scalar(told).bind(declared).fetch_all(&mut self.place.admin().await?).await?)
    }

    pub(super) async fn keep_moment(&mut self) -> Result<()> {
        self.moments.insert(0, self.rows().await?);
        Ok(())
    }

    pub(super) fn index(&self, operation: &str) -> Result<usize> {
        let found = self.operations.iter().position(|other| other.name == operation);
        found.with_context(|| format!("there is no operation {operation}"))
    }

    /// A new number, for values that nobody has used.
    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// A body, if every field that must be there can be filled.
    pub(super) fn body(&mut self, leaves: &[Leaf], filling: Filling, context: &Together) -> Option<Value> {
        let number = self.next_number();
        let mut values = BTreeMap::new();
        for leaf in leaves {
            if filling == Filling::Least && leaf.optional {
                continue;
            }
            match self.leaf(leaf, filling, context, number) {
                Some(value) => drop(values.insert(leaf.pointer.clone(), value)),
                None if leaf.optional => {}
                None => return None,
            }
        }
        Some(assemble(&values))
    }

    fn leaf(&self, leaf: &Leaf, filling: Filling, context: &Together, number: u64) -> Option<Value> {
        if let Form::Id(prefix) = &leaf.form {
            let made_here = |creator: &usize| self.operations[*creator].in_workspace();
            let latest = filling == Filling::Latest && self.creators.get(prefix).is_some_and(made_here);
            let ids = self.pool.ids(prefix);
            let id = context.get(prefix).or(if latest { ids.last() } else { ids.first() })?;
            return Some(json!(id));
        }
        if leaf.form == Form::AnyId {
            return Some(json!(self.pool.one_of_each().into_iter().next()?));
        }
        let known = self.pool.values(&leaf.name).last();
        match known.filter(|_| filling == Filling::Known) {
            Some(known) => Some(known.clone()),
            None => self.taste.value(leaf, number),
        }
    }

    /// Remembers what an accepted body held.
    pub(super) fn accepted(&mut self, index: usize, draft: &Draft) {
        let (operations, Some(body)) = (self.operations.clone(), &draft.body) else { return };
        for leaf in operations[index].input.body.iter().flatten() {
            if let Some(value) = body.pointer(&leaf.pointer).filter(|value| value.is_string()) {
                self.pool.remember(&leaf.name, value);
            }
        }
    }

    /// Learns from a successful own request; notes which nouns it makes.
    pub(super) fn learn(&mut self, index: usize, draft: &Draft, answer: &Answer) {
        let asked = self.asked(index, draft);
        let before: BTreeSet<String> = self.pool.all_ids().cloned().collect();
        let operations = self.operations.clone();
        self.pool.learn(&operations[index].name, &asked, answer, &self.templates);
        self.accepted(index, draft);
        if operations[index].method == Method::POST {
            let sent = draft.ask(&operations[index]).text();
            let made: Vec<_> = self
                .pool
                .all_ids()
                .filter(|id| !before.contains(*id) && !sent.contains(id.as_str()))
                .filter_map(|id| Some(super::pool::prefix_of(id)?.to_owned()))
                .collect();
            for prefix in made {
                self.creators.entry(prefix).or_insert(index);
            }
        }
    }

    /// The path's parameters as things that go together.
    fn asked(&self, index: usize, draft: &Draft) -> Together {
        let leaves = self.operations[index].input.path.iter();
        let key =
            |leaf: &Leaf| if let Form::Id(prefix) = &leaf.form { prefix.clone() } else { leaf.name.clone() };
        leaves.filter_map(|leaf| Some((key(leaf), draft.path.get(&leaf.pointer)?.clone()))).collect()
    }
}

/// The session that an answer opened.
pub(super) fn session_of(name: &'static str, answer: &Answer) -> Option<Person> {
    let json = answer.json();
    Some(Person {
        name,
        id: json["user"]["id"].as_str()?.to_owned(),
        cookie: Some(answer.header("set-cookie")?.split(';').next()?.to_owned()),
        csrf: Some(json["csrf_token"].as_str()?.to_owned()),
    })
}
