//! Plays a script back in another world, and notes everything that is not as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::Result;
use uuid::Uuid;

use super::beside::CANARY;
use super::exchange::{Answer, Ask};
use super::mask::Masks;
use super::step::{Action, Script, Step};
use super::world::World;

/// What is watched while a script plays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch<'a> {
    pub(super) masks: &'a Masks,
    /// What the tenant beside sends between the steps.
    pub(super) interludes: Option<&'a BTreeMap<String, Ask>>,
    /// Ids that only tenants beside have; none that was not asked for may come back.
    pub(super) foreign: &'a BTreeSet<Uuid>,
    /// One finding is enough.
    pub(super) first_only: bool,
}

/// What was not as it was, and what it was tried with.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) step: usize,
    pub(super) text: String,
    /// The answer that differs; `None` for a leak, which nothing excuses.
    pub(super) answer: Option<Answer>,
}

/// Plays the steps in the range and compares every answer with the one in the script.
pub(super) async fn replay(
    world: &World,
    script: &Script,
    range: Range<usize>,
    watch: Watch<'_>,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for number in range {
        let step = &script.steps[number];
        if let Some(ask) =
            watch.interludes.filter(|_| step.is_base).and_then(|all| all.get(&step.label.operation))
        {
            world.send(ask).await?;
        }
        world.logs.take();
        let answer = world.perform(number, step).await?;
        let logged = world.logs.take();
        let mut note = |text: String, answer| {
            findings.push(Finding { step: number, text: format!("{}: {text}", step.label), answer });
        };
        let (expected, got) = (watch.masks.stripped(&script.answers[number]), watch.masks.stripped(&answer));
        if let Some(difference) = expected.difference(&got) {
            note(difference, Some(answer.clone()));
        }
        if let Some(leak) = leak(step, &script.answers[number], &answer, watch.foreign) {
            note(format!("{leak} in the answer"), None);
        }
        if logged.contains(CANARY) {
            note("the canary of another tenant in the log".to_owned(), None);
        }
        if watch.first_only && !findings.is_empty() {
            break;
        }
    }
    Ok(findings)
}

/// What the answer shows of other tenants beyond an echo: of the request, and of what the driving tenant has sent
/// before. Where it was alone, nobody else can have told it.
fn leak(step: &Step, alone: &Answer, answer: &Answer, foreign: &BTreeSet<Uuid>) -> Option<String> {
    let mut asked = alone.whole();
    if let Action::Send(ask) = &step.action {
        asked.push_str(&ask.text());
    }
    let whole = answer.whole();
    if whole.contains(CANARY) && !asked.contains(CANARY) {
        return Some("the canary of another tenant".to_owned());
    }
    let shown = uuids(&whole).find(|id| foreign.contains(id) && !asked.contains(&id.simple().to_string()));
    shown.map(|id| format!("the id {id} of another tenant"))
}

/// Every UUID in a text, as 32 digits or with hyphens.
fn uuids(text: &str) -> impl Iterator<Item = Uuid> {
    let runs = text.split(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
    runs.filter(|run| run.len() == 32 || run.len() == 36).filter_map(|run| run.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_both_spellings() {
        let id = Uuid::from_u128(0x0192_e0c1_7a2b_7c3d_8e4f_5a6b_7c8d_9e0f);
        let text = format!("{{\"id\": \"proj_{}\", \"raw\": \"{id}\", \"n\": 12}}", id.simple());
        assert_eq!(uuids(&text).collect::<Vec<_>>(), [id, id]);
    }
}
