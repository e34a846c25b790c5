//! Staff work needs a reason that has been checked.
//!
//! error[E0308]: expected `&Reason`, found `&String`

use kernel_core::{Ctx, Db, DbError, OperatorTx, Reason};

pub async fn look(db: &Db, ctx: &Ctx, reason: &Reason, text: &String) -> Result<usize, DbError> {
    let length = text.len();
    db.operator(ctx, reason /* not: text */, async |_: &mut OperatorTx| Ok(length)).await
}
