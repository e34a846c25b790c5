//! Reading the audit log, and taking it out.

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, HeaderValue};
use kernel_core::audit::{self, AuditFilter, AuditNoun, AuditOrder};
use kernel_core::http::{Body, Call, Items, Paged, Reply};
use kernel_core::{AuditEntry, Ctx, Db, DbError, Error, Id, TenantTx, Tx, Workspace, people};
use serde_json::json;

use crate::action;
use crate::audit_log::{AuditEvent, ExportAudit, ExportFormat, ListAudit, users};
use crate::permission::AUDIT_LOG_PERSONAL;
use crate::tenancy::Tenancy;

/// How many events are held while they are taken out.
const BATCH: i64 = 500;

pub(super) async fn list(
    _: Tenancy,
    tx: &mut TenantTx,
    Paged { page, filter }: Paged<ListAudit>,
) -> Result<Items<AuditEvent>, Error> {
    let rows =
        audit::list(tx, &filter.filter(), AuditOrder::NewestFirst, page.after()?, page.fetch()).await?;
    let page = page.items(rows, |row| row.id);
    let people = people(tx, &users(&page)).await?;
    let shows_personal = tx.ctx().can(AUDIT_LOG_PERSONAL);
    Ok(page.map(|row| AuditEvent::new(row, &people, shows_personal)))
}

/// A stream of pages, so that a log of any length takes the memory of one page.
pub(super) async fn export(_: Tenancy, call: Call, Body(wanted): Body<ExportAudit>) -> Result<Reply, Error> {
    let (ctx, format) = (call.ctx, wanted.format);
    let workspace = ctx.workspace()?.clone();
    let note = AuditEntry::new(action::AUDIT_LOG_EXPORT).detail("wanted", json!(wanted));
    call.db.tenant(&ctx, &workspace, async |tx: &mut TenantTx| kernel_core::audit(tx, note).await).await?;
    let mut filter = wanted.filter();
    // What is written from now on is not waited for, or a busy workspace's export would never end.
    filter.until = Some(filter.until.map_or(ctx.now(), |until| until.min(ctx.now())));
    let export = Export {
        db: call.db,
        shows_personal: ctx.can(AUDIT_LOG_PERSONAL),
        ctx: ctx.reading(),
        workspace,
        filter,
        format,
        next: Next::Header,
    };
    let mut reply = Reply::stream(format.content_type(), stream::try_unfold(export, Export::piece));
    if let Some(headers) = reply.headers_mut() {
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(format.file_name()));
    }
    Ok(reply)
}

/// An export under way: a page at a time, each in a short transaction of its own.
struct Export {
    db: Db,
    ctx: Ctx,
    workspace: Workspace,
    filter: AuditFilter,
    format: ExportFormat,
    shows_personal: bool,
    next: Next,
}

#[derive(Clone, Copy)]
enum Next {
    Header,
    After(Option<Id<AuditNoun>>),
    End,
}

impl Export {
    async fn piece(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        let after = match self.next {
            Next::End => return Ok(None),
            Next::Header => {
                self.next = Next::After(None);
                return Ok(Some((self.format.header().into(), self)));
            }
            Next::After(after) => after,
        };
        let page = async |tx: &mut TenantTx| {
            audit::list(tx, &self.filter, AuditOrder::OldestFirst, after, BATCH).await
        };
        let rows = self.db.tenant::<_, DbError>(&self.ctx, &self.workspace, page).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows == BATCH);
        self.next = match rows.last() {
            Some(last) if is_full => Next::After(Some(last.id)),
            _ => Next::End,
        };
        let events: Vec<_> =
            rows.into_iter().map(|row| AuditEvent::new(row, &[], self.shows_personal)).collect();
        let lines = self.format.lines(&events).map_err(Error::internal)?;
        Ok(Some((lines.into(), self)))
    }
}
