//! *Two worlds*: a tenant that is alone, and the same tenant beside others, see and do the same.

use std::collections::BTreeMap;

use anyhow::Result;

use super::host::{Framework, Host};
use super::pool::prefix_of;
use super::replay::{Finding, Watch, replay};
use super::scratch::Scratch;
use super::stage::Stage;
use super::state::Rows;
use super::step::{Action, Kind, Position, Script};
use super::world::{Party, World};
use super::{Outcome, print};

/// How many findings are printed.
const PRINTED: usize = 12;

/// Plays the script beside the others, in memory and on every framework.
pub(super) async fn run(stage: &Stage, frameworks: &[Framework]) -> Result<Outcome> {
    let mut findings = outsiders_see_nothing(&stage.script);
    findings.extend(not_as_missing(&stage.script));
    let mut used = BTreeMap::new();
    findings.extend(beside(stage, None, &stage.script, &mut used).await?);
    for framework in frameworks {
        let script = served_alone(stage, *framework).await?;
        findings.extend(beside(stage, Some(*framework), &script, &mut used).await?);
    }
    let unused: Vec<_> = stage.masks.names().into_iter().filter(|name| !used.contains_key(name)).collect();
    // Only a server adds headers of its own.
    let unused: Vec<_> =
        unused.into_iter().filter(|name| !(frameworks.is_empty() && name == "date")).collect();
    print("two worlds", findings.iter().take(PRINTED));
    print("no own case", stage.open.iter().chain(&stage.mirror.open));
    print("not tried", stage.gaps.iter());
    let cases = stage.script.requests() * (1 + frameworks.len());
    Ok(Outcome::new()
        .value("routes", stage.routes)
        .value("cases", cases)
        .value("positions", positions(&stage.script))
        .value("worlds", 1 + frameworks.len())
        .value("others_rows", stage.others.len() - stage.common.len())
        .value("canaries", stage.copied.canaries)
        .value("differences", findings.len())
        .value("masks", stage.masks.len())
        .require(findings.is_empty(), format!("{} difference(s) between the worlds", findings.len()))
        .require(stage.open.is_empty(), format!("{} route(s) without an own case", stage.open.len()))
        .require(stage.mirror.open.is_empty(), format!("{} without one beside", stage.mirror.open.len()))
        .require(stage.gaps.is_empty(), format!("{} position(s) could not be tried", stage.gaps.len()))
        .require(stage.copied.canaries >= 10, "the others hardly hold any canaries")
        .require(unused.is_empty(), format!("masks that nothing needs: {}", unused.join(", "))))
}

/// Where a framework answers, its own baseline is what it answers to a tenant that is alone.
async fn served_alone(stage: &Stage, framework: Framework) -> Result<Script> {
    let place = stage.alone.copy().await?;
    let world = open(stage, &place, Some(framework)).await?;
    let mut script = stage.script.clone();
    for (number, step) in stage.script.steps.iter().enumerate() {
        script.answers[number] = world.perform(number, step).await?;
    }
    world.close().await;
    Ok(script)
}

async fn open(stage: &Stage, place: &Scratch, framework: Option<Framework>) -> Result<World> {
    let world = World::open(place, Party::Driver, stage.plant, None).await?;
    Ok(match framework {
        Some(framework) => {
            let host = Host::serve(&world.app, framework)?;
            world.served_by(host)
        }
        None => world,
    })
}

/// Plays the script in a copy of the world with others.
async fn beside(
    stage: &Stage,
    framework: Option<Framework>,
    script: &Script,
    used: &mut BTreeMap<String, usize>,
) -> Result<Vec<String>> {
    let place = stage.beside.copy().await?;
    let world = open(stage, &place, framework).await?;
    let watch = Watch {
        masks: &stage.masks,
        interludes: Some(&stage.mirror.interludes),
        foreign: &stage.foreign,
        first_only: false,
    };
    let mut findings: Vec<_> = replay(&world, script, 0..stage.unique_from, watch).await?;
    let rows = Rows::read(&place).await?;
    let of_rows = rows.findings(&stage.others, &stage.common, &stage.left_alone, &stage.masks);
    note_columns(stage, &rows, used);
    let unique = replay(&world, script, stage.unique_from..script.len(), watch).await?;
    findings.extend(unexcused(stage, script, unique, used));
    let after = Rows::read(&place).await?;
    let changed = after.changed(&stage.others, &stage.masks);
    world.close().await;
    if script.answers.iter().any(|answer| answer.header("date").is_some()) {
        *used.entry("date".to_owned()).or_default() += 1;
    }
    let name = framework.map_or("memory", Framework::name);
    let texts = findings.into_iter().map(|finding| finding.text).chain(of_rows).chain(changed);
    Ok(texts.map(|text| format!("[{name}] {text}")).collect())
}

/// Without a mask the column must differ, or the mask is not needed.
fn note_columns(stage: &Stage, rows: &Rows, used: &mut BTreeMap<String, usize>) {
    for (table, column) in stage.masks.columns() {
        let fewer = stage.masks.without_column(table, column);
        if !rows.findings(&stage.others, &stage.common, &stage.left_alone, &fewer).is_empty() {
            *used.entry(format!("{table}.{column}")).or_default() += 1;
        }
    }
}

/// What is left of the findings when the masks have excused theirs.
fn unexcused(
    stage: &Stage,
    script: &Script,
    findings: Vec<Finding>,
    used: &mut BTreeMap<String, usize>,
) -> Vec<Finding> {
    let mut left = Vec::new();
    for finding in findings {
        let label = &script.steps[finding.step].label;
        match finding.answer.as_ref().and_then(|answer| stage.masks.excuses(label, answer)) {
            Some(mask) => *used.entry(mask.to_owned()).or_default() += 1,
            None => left.push(finding),
        }
    }
    left
}

/// Whoever is in no workspace finds none, and whoever is nobody is asked who they are.
fn outsiders_see_nothing(script: &Script) -> Vec<String> {
    let steps = script.steps.iter().zip(&script.answers);
    let wrong = steps.filter(|(step, answer)| match step.label.asker {
        "outsider" if is_in_workspace(&step.action) => answer.status != 404,
        "nobody" if step.label.position == Position::Whole && is_in_workspace(&step.action) => {
            answer.status != 401 && answer.status != 303
        }
        _ => false,
    });
    wrong.map(|(step, answer)| format!("{}: answered {}", step.label, answer.status)).collect()
}

fn is_in_workspace(action: &Action) -> bool {
    matches!(action, Action::Send(ask) if ask.target.contains("/w/"))
}

/// A foreign id must be answered like one that does not exist.
fn not_as_missing(script: &Script) -> Vec<String> {
    type Place<'a> = (&'a str, Position, &'a str);
    let mut outcomes: BTreeMap<Place<'_>, [Vec<(u16, String)>; 2]> = BTreeMap::new();
    for (step, answer) in script.steps.iter().zip(&script.answers) {
        let column = match step.label.kind {
            Kind::Foreign => 0,
            Kind::Missing if is_of_an_id(&step.action) => 1,
            Kind::Missing | Kind::Own | Kind::Malformed => continue,
        };
        let place = (step.label.operation.as_str(), step.label.position.clone(), step.label.asker);
        let outcome = (answer.status, answer.code());
        let seen = &mut outcomes.entry(place).or_default()[column];
        if !seen.contains(&outcome) {
            seen.push(outcome);
        }
    }
    let differ =
        outcomes.into_iter().filter(|(_, [foreign, missing])| !missing.is_empty() && foreign != missing);
    let text = |((operation, position, asker), [foreign, missing]): (_, [Vec<_>; 2])| {
        format!(
            "{operation}, {position}, by {asker}: a foreign id is answered {foreign:?}, a missing one {missing:?}"
        )
    };
    differ.map(text).collect()
}

/// Whether the step tries an id, or the name of a workspace, that nobody has.
fn is_of_an_id(action: &Action) -> bool {
    let Action::Send(ask) = action else { return false };
    let text = ask.text();
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.any(|word| prefix_of(word).is_some_and(|prefix| word == super::value::missing_id(prefix)))
        || text.contains("/no-such-house")
}

/// How many cases there are of each kind of position.
fn positions(script: &Script) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for step in script.steps.iter().filter(|step| matches!(step.action, Action::Send(_))) {
        *counts.entry(step.label.position.kind()).or_default() += 1;
    }
    counts.iter().map(|(kind, count)| format!("{kind}:{count}")).collect::<Vec<_>>().join(",")
}
