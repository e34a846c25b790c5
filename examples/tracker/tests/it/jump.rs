use serde_json::json;

use crate::browser::{Browser, location};
use crate::{create_issue, create_project, signed_up, start, with_workspace};

#[tokio::test]
async fn a_few_letters_lead_to_projects_issues_pages_and_actions_of_ones_own() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    create_issue(&mut ada, "acme", &project, json!({ "title": "The roof leaks" })).await;
    create_issue(&mut ada, "acme", &project, json!({ "title": "Paint the door" })).await;
    let mut eve = Browser(with_workspace(&kernel, "Eve", "evil").await);
    let mut ada = Browser(ada);

    let all = Browser::whole(&ada.get("/w/acme/jump").await, 200);
    for offered in ["The roof leaks", "Paint the door", "Project APP", "Members", "New project", "New issue"]
    {
        assert!(all.contains(offered), "{offered}");
    }
    let results = |page: String| {
        page.split_once("id=\"jump-results\"").unwrap().1.split_once("</main>").unwrap().0.to_owned()
    };
    let found = results(Browser::whole(&ada.get("/w/acme/jump?q=ROOF").await, 200));
    assert!(
        found.contains("The roof leaks") && !found.contains("Paint the door") && !found.contains("Members")
    );
    let found = results(Browser::whole(&ada.get("/w/acme/jump?q=app-2").await, 200));
    assert!(found.contains("Paint the door") && !found.contains("The roof leaks"));
    let found = results(Browser::whole(&ada.get("/w/acme/jump?q=new+iss").await, 200));
    assert!(found.contains("New issue") && found.contains("Project APP") && !found.contains("Members"));
    let found = results(Browser::whole(&ada.get("/w/acme/jump?q=label").await, 200));
    assert!(found.contains("/w/acme/labels") && !found.contains("The roof leaks"));
    let none = Browser::whole(&ada.get("/w/acme/jump?q=%25%25").await, 200);
    assert!(none.contains("Nothing found"));

    Browser::whole(&eve.get("/w/acme/jump?q=roof").await, 404);
    assert!(Browser::whole(&eve.get("/w/evil/jump?q=roof").await, 200).contains("Nothing found"));
    let mut nobody = Browser(signed_up(&kernel, "Cy").await);
    Browser::whole(&nobody.get("/w/acme/jump").await, 404);
    assert!(location(&Browser::new(&kernel.app).get("/w/acme/jump").await).starts_with("/log-in"));
}
