//! What the audit log keeps of a detail that is named like a private column.

use kernel_core::audit::{self, AuditFilter, AuditOrder};
use kernel_core::job::JobNoun;
use kernel_core::testkit::{TestKernel, config};
use kernel_core::{AuditAction, AuditEntry, Config, Error, Id, Redaction, TenantTx, Tx};
use serde_json::{Value, json};

use crate::shop;

/// Writes a detail of every kind, and reads what was kept.
async fn kept(config: Config) -> Value {
    let kernel = TestKernel::with(config, |app| app.with(shop::pillar())).await;
    let (ctx, workspace) = (kernel.app.system("test"), kernel.found_workspace().await);
    let rows = kernel.app.db().tenant(&ctx, &workspace, async |tx: &mut TenantTx| {
        let item: Id<JobNoun> = tx.ctx().new_id();
        let entry = AuditEntry::new(AuditAction::new("shop.item.rename"))
            .target("item", item)
            .detail("name", "Ada's lamp")
            .detail("shelf.name", "the left one")
            .detail("changes", json!({ "before": { "name": "Ada's lamp" }, "after": { "name": null } }))
            .detail("places", json!([{ "ip_address": "203.0.113.77", "rack": 7 }]))
            .detail("reason", "broken");
        audit::audit(tx, entry).await?;
        Ok::<_, Error>(audit::list(tx, &AuditFilter::default(), AuditOrder::NewestFirst, None, 10).await?)
    });
    rows.await.unwrap().remove(0).metadata
}

#[tokio::test]
async fn the_audit_log_keeps_no_value_of_a_private_column() {
    let hidden = json!({
        "name": "[private]", "shelf.name": "[private]", "reason": "broken",
        "changes": { "before": { "name": "[private]" }, "after": { "name": null } },
        "places": [{ "ip_address": "[private]", "rack": 7 }],
    });
    assert_eq!(kept(config()).await, hidden);
}

#[tokio::test]
async fn without_the_columns_it_would_keep_them() {
    let mut deaf = config();
    deaf.telemetry.redaction = Redaction::deaf();
    let kept = kept(deaf).await.to_string();
    assert!(kept.contains("Ada's lamp") && kept.contains("203.0.113.77"), "{kept}");
}
