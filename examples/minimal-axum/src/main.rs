//! Sign-up, workspaces, and one route that only members of a workspace reach: `GET /api/v1/w/{workspace}/hello`.
use http::Method;
use kernel_auth::Auth;
use kernel_core::http::{Json, Route};
use kernel_core::{Error, Pillar, TenantTx, testkit::Development};
use kernel_tenancy::{Tenancy, permission::WORKSPACE_READ};

async fn hello(tenancy: Tenancy, tx: &mut TenantTx, (): ()) -> Result<Json<String>, Error> {
    Ok(Json(format!("Hello, {}", tenancy.show(tx).await?.name)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let route = Route::tenant(Method::GET, "/hello", "minimal.hello.show", WORKSPACE_READ, Tenancy, hello);
    let own = || Pillar::new("minimal").routes([route.clone()]);
    let dev =
        Development::start("minimal", |app| app.with(Auth::default()).with(Tenancy).with(own())).await?;
    let routes = kernel_axum::mount(axum::Router::new(), dev.app.clone());
    kernel_axum::serve(&dev.app, std::net::TcpListener::bind(address)?, routes, std::future::pending())
        .await?;
    Ok(())
}
