//! The body: taken when it is known who sends it, and refused wherever it breaks off.

use bytes::Bytes;

use super::{Gate, Notes};
use crate::ctx::Ctx;
use crate::error::{Error, ErrorKind};
use crate::http::file::{BodyFile, Payload};
use crate::http::matcher::Matched;
use crate::http::route::{Access, Route};

impl Gate<'_> {
    /// Finds out who sends, and takes the body, unless that breaks off.
    pub(super) async fn take(
        &self,
        to: &Matched,
        route: &Route,
        mut payload: Payload,
        notes: &mut Notes,
    ) -> Result<(Ctx, Bytes, Option<BodyFile>), Error> {
        let broken = payload.broken();
        let why = tokio::select! {
            biased;
            why = broken => why,
            taken = self.take_whole(to, route, payload, notes) => return taken,
        };
        // How far the request had come is chance; it is counted and told as one that could not be read.
        *notes = Notes { standing: notes.address, ..Notes::default() };
        if notes.standing.is_none() {
            self.limit_unread(notes)?;
        }
        Err(why)
    }

    async fn take_whole(
        &self,
        to: &Matched,
        route: &Route,
        payload: Payload,
        notes: &mut Notes,
    ) -> Result<(Ctx, Bytes, Option<BodyFile>), Error> {
        let whole = payload.whole();
        if whole.is_some_and(|body| body.len() > to.body_limit()) {
            self.limit_address(route.rate, self.shown(), notes).await?;
            return Err(Error::new(ErrorKind::TooLarge, "too_large").arg("limit", to.body_limit()));
        }
        let name = match route.access {
            Access::Member(_) => Some(self.named(to.workspace.as_deref())),
            _ => None,
        };
        let (ctx, proof) = self.admit(route.rate, name, notes).await?;
        self.guard(&ctx, proof, whole)?;
        self.allow(&ctx, route).await?;
        match payload {
            Payload::Whole(body) if !to.reads_file() => Ok((ctx, body, None)),
            // Kept only now that its sender may call the route, and all of it before a transaction opens.
            payload if to.reads_file() => Ok((ctx, Bytes::new(), Some(self.app.spool.keep(payload).await?))),
            _ => Err(Error::internal("only the body of a route that reads a file may still be coming")),
        }
    }
}
