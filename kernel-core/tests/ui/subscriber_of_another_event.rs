//! A subscriber's body takes the event that it subscribes to.
//!
//! error[E0631]: type mismatch in function arguments

use kernel_core::event::Delivered;
use kernel_core::{Error, Event, Subscriber, TenantTx};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Sold {
    pub item: uuid::Uuid,
}

#[derive(Serialize, Deserialize)]
pub struct Returned {
    pub item: uuid::Uuid,
}

impl Event for Sold {
    const NAME: &'static str = "shop.item.sold";

    fn aggregate(&self) -> uuid::Uuid {
        self.item
    }
}

impl Event for Returned {
    const NAME: &'static str = "shop.item.returned";

    fn aggregate(&self) -> uuid::Uuid {
        self.item
    }
}

async fn react(_: (), _: &mut TenantTx, _: Delivered<Sold /* not: Returned */>) -> Result<(), Error> {
    Ok(())
}

pub fn subscribe() -> Subscriber {
    Subscriber::new::<Sold, _, _>("shop.count", (), react)
}
