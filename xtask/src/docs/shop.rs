//! The small product that the documents build: a shop with items on its shelves. `docs/pillar.md` explains it.

use chrono::{DateTime, Utc};
use garde::Validate;
use http::Method;
use kernel_auth::Auth;
use kernel_core::http::{Body, Created, Items, Paged, Route, Unfiltered};
use kernel_core::{
    AppBuilder, AuditAction, AuditEntry, Error, Event, Id, Migrations, Noun, Pillar, SealedColumn, Table,
    TenantTx, Tx, audit, publish,
};
use kernel_jobs::Jobs;
use kernel_tenancy::Tenancy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a role may do.
pub mod permission {
    kernel_core::permissions! {
        /// See what is on the shelves.
        pub ITEM_READ = "shop.item.read" for Viewer;
        /// Put something on a shelf.
        pub ITEM_CREATE = "shop.item.create" for Member;
    }
}

/// What a plan may include.
pub mod feature {
    kernel_core::features! {
        /// Order from suppliers.
        pub ORDERS = "shop.orders";
    }
}

/// What a plan may limit.
pub mod limit {
    kernel_core::limits! {
        /// Items on the shelves.
        pub ITEMS = "shop.items";
    }
}

/// Names items.
#[derive(Debug)]
pub enum ItemNoun {}

impl Noun for ItemNoun {
    const PREFIX: &'static str = "item";
}

/// The id of an item.
pub type ItemId = Id<ItemNoun>;

/// An item, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// What it is called.
    pub name: String,
    /// When it was put on the shelf.
    pub created_at: DateTime<Utc>,
}

/// What putting an item on a shelf takes.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    /// What it is called.
    #[garde(length(chars, min = 1, max = 80))]
    #[schemars(length(min = 1, max = 80))]
    pub name: String,
}

/// An item has been put on a shelf.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemCreated {
    /// Which one.
    pub item_id: ItemId,
}

impl Event for ItemCreated {
    const NAME: &'static str = "shop.item.created";

    fn aggregate(&self) -> Uuid {
        self.item_id.uuid()
    }
}

/// Somebody puts an item on a shelf.
pub const ITEM_CREATE: AuditAction = AuditAction::new("shop.item.create");

/// Where the token for the supplier's page lies.
pub const ORDER_TOKEN: SealedColumn = SealedColumn::new("shop", "item", "order_token");

/// The kernel's pillars, which a product's routes need.
#[must_use]
pub fn base(app: AppBuilder) -> AppBuilder {
    app.with(Jobs::new()).with(Auth::default()).with(Tenancy)
}

/// The same with the shop.
#[must_use]
pub fn register(app: AppBuilder) -> AppBuilder {
    base(app).with(pillar())
}

/// The shop as a pillar.
#[must_use]
pub fn pillar() -> Pillar {
    let (all, get, post) = ("/items", Method::GET, Method::POST);
    Pillar::new("shop")
        .migrations(Migrations::new("shop", sqlx::migrate!("../docs/shop/migrations")))
        .tables([Table::tenant("shop", "item")
            .public(&["id", "created_at"])
            .private(&["name"])
            .sealed(&["order_token"])
            .searchable("english", &["name"])])
        .permissions(permission::ALL)
        .features(feature::ALL)
        .limits(limit::ALL)
        .audits(&[ITEM_CREATE])
        .routes([
            Route::tenant(get, all, "shop.item.list", permission::ITEM_READ, (), list).summary("The items"),
            Route::tenant(post, all, "shop.item.create", permission::ITEM_CREATE, (), create)
                .summary("Puts an item on a shelf"),
        ])
}

/// Puts an item on a shelf: row, audit row and event commit together.
///
/// # Errors
/// When the database refuses.
pub async fn create((): (), tx: &mut TenantTx, Body(new): Body<NewItem>) -> Result<Created<Item>, Error> {
    let ctx = tx.ctx().clone();
    let item = Item { id: ctx.new_id(), name: new.name, created_at: ctx.now() };
    store::insert(tx, &item).await?;
    audit(tx, AuditEntry::new(ITEM_CREATE).target("item", item.id)).await?;
    publish(tx, &ItemCreated { item_id: item.id }).await?;
    Ok(Created(item))
}

/// What is on the shelves, by name.
///
/// # Errors
/// `malformed_cursor`; when the database refuses.
pub async fn list((): (), tx: &mut TenantTx, list: Paged<Unfiltered>) -> Result<Items<Item>, Error> {
    let rows = store::list(tx, list.page.after()?, list.page.fetch()).await?;
    Ok(list.page.items(rows, |item| item.name.clone()))
}

/// The statements. A product has them in a file of its own, `store/item.rs`.
pub mod store {
    use kernel_core::{TenantTx, Tx};

    use super::Item;

    /// Writes an item.
    ///
    /// # Errors
    /// What the database says.
    pub async fn insert(tx: &mut TenantTx, item: &Item) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO shop.item (workspace_id, id, name, created_at) VALUES ($1, $2, $3, $4)")
            .bind(tx.workspace_id())
            .bind(item.id)
            .bind(&item.name)
            .bind(item.created_at)
            .execute(tx.conn())
            .await?;
        Ok(())
    }

    /// Items by name, after one of them.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(tx: &mut TenantTx, after: Option<String>, most: i64) -> Result<Vec<Item>, sqlx::Error> {
        sqlx::query_as(
            "SELECT id, name, created_at FROM shop.item
             WHERE workspace_id = $1 AND name > $2 ORDER BY name LIMIT $3",
        )
        .bind(tx.workspace_id())
        .bind(after.unwrap_or_default())
        .bind(most)
        .fetch_all(tx.conn())
        .await
    }
}
