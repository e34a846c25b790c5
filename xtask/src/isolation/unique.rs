//! Values that only one tenant may have: the one thing by which tenants may notice each other.

use anyhow::{Result, ensure};

use super::change::{Change, Strangers};
use super::drive::{Drive, Filling};
use super::operation::{Draft, Person};
use super::pool::Together;
use super::step::{Kind, Position};

/// Asks for values that the tenant beside has, wherever a value is unique among all tenants. Where the tenant is
/// alone, each must be given.
pub(super) async fn probe(drive: &mut Drive<'_>, strangers: &Strangers) -> Result<()> {
    let operations = drive.operations.clone();
    let mut asked_for = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let Some(base) = drive.bases.get(&operation.name).cloned() else { continue };
        for leaf in operation.input.body.clone().unwrap_or_default() {
            let spans = drive.taste.spanning.iter().any(|column| column.starts_with(&leaf.name));
            if !spans || base.filling == Filling::Known {
                continue;
            }
            let own = drive.pool.values(&leaf.name);
            let mut theirs = strangers.pool.values(&leaf.name).iter();
            let taken = theirs.rfind(|value| !own.contains(value) && !asked_for.contains(*value));
            let Some(taken) = taken.cloned() else { continue };
            asked_for.push(taken.clone());
            let asker =
                if base.draft.asker.cookie.is_some() { drive.guest().await? } else { Person::default() };
            let Some(draft) = drive.draft(operation, &asker, &Together::new(), Filling::Full) else {
                continue;
            };
            let draft = Draft { as_script: base.draft.as_script, ..draft };
            let draft = Change::Body(leaf.pointer.clone(), Some(taken.clone())).apply(&draft);
            let position = Position::Body(leaf.name.clone());
            let answer = drive.send(index, &draft, position, Kind::Foreign).await?;
            ensure!(
                answer.is_success(),
                "{}: {taken} is not free even alone: {}",
                operation.name,
                answer.whole()
            );
        }
    }
    Ok(())
}
