//! Example data for development: always the same, and nothing twice.

mod content;

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, TimeDelta, Utc};
use kernel_auth::NewAccount;
use kernel_core::hook::{Hook, WorkspaceCreated};
use kernel_core::http::Environment;
use kernel_core::{
    App, Clock, Config, Ctx, Db, DbConfig, DbError, Entropy, Error, GlobalTx, KeyProvider, Pillar, Problems,
    Role, TenantTx, UserId,
};
use kernel_jobs::{Runner, RunnerConfig};
use kernel_tenancy::NewWorkspace;

use crate::comment::CommentText;
use crate::issue::{EditIssue, NewIssue, Priority, Status};
use crate::label::{LabelId, NewLabel};
use crate::project::NewProject;
use crate::tracker::{Settings, Tracker, app};
use content::{WORKSPACES, WorkspaceContent};

pub use content::{DEMO, PASSWORD, PEOPLE, email};

/// When the example's history begins. A fixed day, so that every database holds the same.
const BEGINNING: i64 = 1_772_438_400;
const SEED: u64 = 20_260_302;

/// Why there is no example data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// Example data has no place among people's own.
    #[error("example data is refused where APP_ENV is production")]
    Production,
    /// The database is not as the product needs it.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] DbError),
    /// A step was refused.
    #[error("the example data was refused")]
    Refused(#[from] Error),
}

/// What a run has added; nothing the second time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seeded {
    /// People who signed up.
    pub people: usize,
    /// Workspaces founded, with everything in them.
    pub workspaces: usize,
}

/// Puts the example data into a migrated database, as far as it is not there yet.
///
/// Who and what is there already stays as it is: a workspace is founded with all its content or not at all.
///
/// # Errors
/// [`SeedError::Production`], and whatever the database says.
pub async fn run(
    db: &DbConfig,
    keys: Arc<dyn KeyProvider>,
    settings: &Settings,
) -> Result<Seeded, SeedError> {
    if settings.environment == Environment::Production {
        return Err(SeedError::Production);
    }
    // Makes the first data key, if there is none. Not from the seed below: everybody knows that.
    drop(app(Db::new(db)?, Config::new(keys.clone()), settings).build().await?);
    let mut config = Config::new(keys);
    config.clock =
        Clock::manual(DateTime::from_timestamp(BEGINNING, 0).unwrap_or(DateTime::<Utc>::UNIX_EPOCH));
    config.entropy = Entropy::seeded(SEED);
    let clock = config.clock.clone();

    let tracker = Tracker::new(settings);
    tracker.configure(&mut config);
    let people = Arc::new(OnceLock::new());
    let filling = Filling { tracker: tracker.clone(), people: people.clone(), clock };
    let seeds = Pillar::new("seed").on_workspace_created(filling);
    let app = tracker.register(App::builder(Db::new(db)?, config)).with(seeds).build().await?;

    let ctx = app.system("seed");
    let mut seeded = Seeded::default();
    let mut ids = Vec::new();
    for name in PEOPLE {
        ids.push(person(&tracker, &app, &ctx, name, &mut seeded).await?);
    }
    let owners = ids.clone();
    people.get_or_init(|| ids);
    for workspace in WORKSPACES {
        found(&tracker, &app, &ctx, workspace, owners[workspace.owner], &mut seeded).await?;
    }
    if db.worker.is_some() {
        Runner::new(&app, RunnerConfig::default())?.drain().await?;
    }
    app.db().close().await;
    Ok(seeded)
}

async fn person(
    tracker: &Tracker,
    app: &App,
    ctx: &Ctx,
    name: &str,
    seeded: &mut Seeded,
) -> Result<UserId, SeedError> {
    let (auth, email) = (&tracker.auth, email(name));
    let reading = ctx.reading();
    let found =
        app.db().global(&reading, async |tx: &mut GlobalTx| auth.find_by_email(tx, &email).await).await?;
    if let Some(account) = found {
        return Ok(account.id);
    }
    let new = NewAccount { name: name.to_owned(), email, password: PASSWORD.to_owned() };
    seeded.people += 1;
    Ok(auth.sign_up(ctx, app.db(), new, None).await?.session.user.id)
}

async fn found(
    tracker: &Tracker,
    app: &App,
    ctx: &Ctx,
    content: &WorkspaceContent,
    owner: UserId,
    seeded: &mut Seeded,
) -> Result<(), SeedError> {
    let tenancy = tracker.tenancy;
    let slug = content.slug.parse().map_err(Error::internal)?;
    let new = NewWorkspace { name: content.name.to_owned(), slug };
    let founded =
        app.db().global(ctx, async |tx: &mut GlobalTx| Ok::<_, Error>(tenancy.create(tx, owner, new).await?));
    match founded.await {
        Ok(_) => seeded.workspaces += 1,
        // It is there from an earlier time.
        Err(error) if error.code() == "tenancy.slug_taken" => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Fills a workspace in the transaction that founds it.
struct Filling {
    tracker: Tracker,
    people: Arc<OnceLock<Vec<UserId>>>,
    clock: Clock,
}

#[async_trait::async_trait]
impl Hook<TenantTx, WorkspaceCreated> for Filling {
    async fn run(&self, tx: &mut TenantTx, created: &WorkspaceCreated) -> Result<(), Error> {
        let content = WORKSPACES.iter().find(|content| content.slug == created.slug);
        let (Some(content), Some(people)) = (content, self.people.get()) else { return Ok(()) };
        for (person, role) in content.members() {
            self.tracker.tenancy.join(tx, people[person], role).await?;
        }
        let working =
            content.members().filter(|(_, role)| *role >= Role::Member).map(|(person, _)| people[person]);
        let working: Vec<_> = std::iter::once(created.owner).chain(working).collect();
        let mut labels = Vec::new();
        for (name, colour) in content::LABELS {
            let new = NewLabel { name: (*name).to_owned(), colour: *colour };
            labels.push(self.tracker.create_label(tx, new).await?.id);
        }
        for project in content.projects {
            self.clock.advance(TimeDelta::hours(19));
            let new = NewProject {
                name: project.name.to_owned(),
                key: project.key.to_owned(),
                description: project.description.to_owned(),
            };
            let id = self.tracker.start_project(tx, Some(created.owner), new).await?.id;
            for (index, title) in project.issues.iter().enumerate() {
                self.clock.advance(TimeDelta::minutes(397));
                let new = NewIssue {
                    title: (*title).to_owned(),
                    body: content::body(index, project.name),
                    priority: PRIORITIES[(index * 5 + title.len()) % PRIORITIES.len()],
                    assignee: (index % 4 != 3).then(|| working[(index * 3 + 1) % working.len()]),
                    labels: some_of(&labels, index, title.len()),
                };
                let author = working[index % working.len()];
                let issue = self.tracker.open_issue(tx, Some(author), id, new).await?;
                let status = STATUSES[(index + title.len()) % STATUSES.len()];
                if status != Status::Open {
                    self.clock.advance(TimeDelta::minutes(41));
                    let edit = EditIssue { status: Some(status), ..EditIssue::default() };
                    self.tracker.update_issue(tx, issue.listed.id, edit).await?;
                }
                for (place, body) in content::said(index, title.len()).iter().enumerate() {
                    self.clock.advance(TimeDelta::minutes(23));
                    let author = working[(index + place + 1) % working.len()];
                    let text = CommentText { body: (*body).to_owned() };
                    self.tracker.say(tx, Some(author), issue.listed.id, text).await?;
                }
            }
        }
        Ok(())
    }
}

/// None, one or two of the labels.
fn some_of(labels: &[LabelId], index: usize, length: usize) -> Vec<LabelId> {
    let picked =
        labels.iter().enumerate().filter(|(place, _)| (index * 2 + length + place * 3).is_multiple_of(5));
    picked.map(|(_, label)| *label).collect()
}

const PRIORITIES: [Priority; 5] =
    [Priority::Medium, Priority::Low, Priority::High, Priority::None, Priority::Urgent];
const STATUSES: [Status; 4] = [Status::Open, Status::Done, Status::InProgress, Status::Open];
