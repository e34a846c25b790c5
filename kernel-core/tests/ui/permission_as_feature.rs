//! A permission is no feature of a plan.
//!
//! error[E0308]: expected `Feature`, found `Permission`

use kernel_core::http::Route;

pub mod permission {
    kernel_core::permissions! {
        /// Export things.
        pub EXPORT = "shop.export" for Member;
    }
}

pub mod feature {
    kernel_core::features! {
        /// Export things.
        pub EXPORT = "shop.export";
    }
}

pub fn gate(route: Route) -> Route {
    route.feature(feature /* not: permission */ ::EXPORT)
}
