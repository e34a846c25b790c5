use kernel_core::http::Resolution;
use kernel_core::testkit::TestKernel;
use kernel_core::{Role, TenantTx, UserId, WorkspaceId};
use kernel_tenancy::Tenancy;

use crate::people::{User, kernel};

async fn join(kernel: &TestKernel, workspace: &str, user: UserId, role: Role) {
    let id: WorkspaceId = workspace.parse().unwrap();
    let (ctx, workspace) = (kernel.app.system("test"), kernel.workspace(id));
    let joined = kernel
        .app
        .db()
        .tenant(&ctx, &workspace, async |tx: &mut TenantTx| Tenancy.join(tx, user, role).await);
    joined.await.unwrap();
}

async fn change(by: &mut User, whose: UserId, role: &str) -> (u16, String) {
    let body = format!(r#"{{"role": "{role}"}}"#);
    let answer = by.send("PATCH", &format!("/api/v1/w/acme/members/{whose}"), &[], &body).await;
    (answer.status, answer.code())
}

#[tokio::test]
async fn nobody_grants_or_takes_above_their_own_role() {
    let kernel = kernel(Resolution::Path).await;
    let mut owner = User::new(&kernel);
    let id = owner.found("acme").await;
    let [mut admin, mut member, mut viewer] = [User::new(&kernel), User::new(&kernel), User::new(&kernel)];
    for (user, role) in [(&admin, Role::Admin), (&member, Role::Member), (&viewer, Role::Viewer)] {
        join(&kernel, &id, user.id, role).await;
    }
    assert_eq!(change(&mut member, viewer.id, "member").await.0, 403);
    let (admin_id, viewer_id) = (admin.id, viewer.id);
    assert_eq!(change(&mut viewer, viewer_id, "owner").await.0, 403);
    assert_eq!(change(&mut admin, admin_id, "owner").await, (403, "tenancy.role_above_own".to_owned()));
    assert_eq!(change(&mut admin, owner.id, "viewer").await, (403, "tenancy.role_above_own".to_owned()));
    assert_eq!(change(&mut admin, viewer.id, "admin").await.0, 204);
    assert_eq!(change(&mut owner, admin.id, "owner").await.0, 204);
}

#[tokio::test]
async fn a_workspace_keeps_an_owner_even_when_two_leave_at_once() {
    let kernel = kernel(Resolution::Path).await;
    let mut owner = User::new(&kernel);
    let id = owner.found("acme").await;
    let owner_id = owner.id;
    assert_eq!(change(&mut owner, owner_id, "member").await, (409, "tenancy.last_owner".to_owned()));

    let mut second = User::new(&kernel);
    join(&kernel, &id, second.id, Role::Owner).await;
    let (first_id, second_id) = (owner.id, second.id);
    let (one, other) =
        tokio::join!(change(&mut owner, second_id, "member"), change(&mut second, first_id, "member"));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert!(statuses[0] == 204 && statuses[1] >= 400, "{one:?} {other:?}");
    let mut admin = kernel.admin().await;
    let owners: i64 =
        sqlx::query_scalar("SELECT count(*) FROM kernel_tenancy.membership WHERE role = 'owner'")
            .fetch_one(&mut admin)
            .await
            .unwrap();
    assert_eq!(owners, 1);
}

#[tokio::test]
async fn members_are_listed_page_by_page_and_addresses_shown_to_admins_only() {
    let kernel = kernel(Resolution::Path).await;
    let mut owner = User::new(&kernel);
    let id = owner.found("acme").await;
    let mut viewer = User::new(&kernel);
    for n in 0..4 {
        kernel.clock.advance(chrono::TimeDelta::seconds(1));
        let user = if n == 2 { viewer.id } else { User::new(&kernel).id };
        join(&kernel, &id, user, Role::Viewer).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/api/v1/w/acme/members?limit=2".to_owned());
    loop {
        let page = viewer.get(&path).await.json();
        for member in page["items"].as_array().unwrap() {
            assert!(member["email"].is_null() && member["name"].is_string());
            seen.push(member["user_id"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/w/acme/members?limit=2&cursor={cursor}");
    }
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[0], owner.id.to_string());
    assert!(owner.get("/api/v1/w/acme/members").await.json()["items"][0]["email"].is_string());
}

#[tokio::test]
async fn a_stranger_is_no_member_whose_role_could_change() {
    let kernel = kernel(Resolution::Path).await;
    let mut owner = User::new(&kernel);
    owner.found("acme").await;
    let mut other = User::new(&kernel);
    other.found("other").await;
    assert_eq!(change(&mut owner, other.id, "viewer").await.0, 404);
    let malformed = owner.send("PATCH", "/api/v1/w/acme/members/usr_1", &[], r#"{"role": "viewer"}"#).await;
    assert_eq!(malformed.status, 404);
}
