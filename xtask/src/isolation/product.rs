//! The product under proof: all its pillars, and one of our own that stays out of sight.

use std::sync::{Arc, Mutex, PoisonError};

use kernel_core::hook::{Hook, WorkspaceCreated};
use kernel_core::migration::MigrationPlan;
use kernel_core::testkit;
use kernel_core::{
    AppBuilder, Config, Db, DbConfig, Entropy, Error, Pillar, Role, RoleNames, TenantTx, UserId,
};
use kernel_tenancy::Tenancy;

use super::plant::Plant;

/// Who joins the next workspace beside its founder: no route of the kernel makes members yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Crew(Arc<Mutex<Vec<(UserId, Role)>>>);

impl Crew {
    pub(super) fn set(&self, members: Vec<(UserId, Role)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = members;
    }
}

#[async_trait::async_trait]
impl Hook<TenantTx, WorkspaceCreated> for Crew {
    async fn run(&self, tx: &mut TenantTx, _: &WorkspaceCreated) -> Result<(), Error> {
        let members = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (user, role) in members {
            Tenancy.join(tx, user, role).await?;
        }
        Ok(())
    }
}

/// The product on a database.
pub(super) fn builder(db: Db, config: Config, crew: &Crew, plant: Plant) -> AppBuilder {
    let mut settings = tracker::Settings::default();
    settings.auth = settings.auth.cheap_hashes();
    // A session that slides is written, and when depends on how many requests there were before.
    settings.auth.session_idle = settings.auth.session_end;
    let product = tracker::app(db, config, &settings);
    let product = product.with(Pillar::new("isolation").on_workspace_created(crew.clone()));
    plant.pillar().into_iter().fold(product, AppBuilder::with)
}

/// Roles of their own: the mutants change what roles may do.
pub(super) fn roles() -> RoleNames {
    RoleNames::prefixed("kernel_isolation")
}

/// A clock moved by hand and entropy that begins anew at each step.
pub(super) fn config() -> Config {
    let mut config = testkit::config();
    config.entropy = Entropy::seeded(0);
    config
}

/// What the product needs of a database.
pub(super) fn plan(plant: Plant) -> anyhow::Result<MigrationPlan> {
    // The plan needs no connection.
    let mut nowhere = DbConfig::new("postgres://localhost/nowhere");
    nowhere.roles = roles();
    Ok(builder(Db::new(&nowhere)?, config(), &Crew::default(), plant).plan())
}
