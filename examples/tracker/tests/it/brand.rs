//! The owner's configuration, as people and the API get to see it.

use std::sync::Arc;

use kernel_core::Product;
use kernel_core::testkit::{Client, TestKernel, config};
use tracker::{Settings, Tracker};

use crate::with_workspace;

async fn start(product: &str) -> TestKernel {
    let product = Arc::new(Product::parse("test.toml", product).unwrap());
    let settings = Settings { product, ..Settings::default() };
    let tracker = Tracker::new(&settings);
    let mut config = config();
    tracker.configure(&mut config);
    TestKernel::with(config, |builder| tracker.register(builder)).await
}

const FREE: &str = r##"
default_plan = "free"
[brand]
name = "Corner <Shop>"
primary_color = "#ffd54a"
[features]
tenancy.audit_log_export = true
[[plans]]
key = "free"
name = "Free"
price_cents = 0
currency = "EUR"
"##;

/// The content of a file that a page refers to, by a part of its name.
async fn file(client: &mut Client, page: &str, name: &str) -> String {
    // Templates write the slash of a computed address as an entity.
    let page = page.replace("&#x2f;", "/");
    let path = page.split('"').find(|part| part.starts_with("/static/") && part.contains(name));
    let answer = client.get(path.unwrap_or_else(|| panic!("{name} is not in {page}"))).await;
    assert_eq!(answer.status, 200);
    answer.text()
}

#[tokio::test]
async fn name_and_colour_reach_every_page() {
    let kernel = start(FREE).await;
    let mut client = Client::new(&kernel.app);
    let page = client.get("/log-in").await.text();
    assert!(page.contains("Corner &lt;Shop&gt;</title>"), "{page}");
    let css = file(&mut client, &page, "brand.").await;
    // On a light yellow, only black can be read.
    assert!(css.contains("--accent: light-dark(#ffd54a, #ffd54a);"), "{css}");
    assert!(css.contains("--on-accent: light-dark(#000000, #000000);"), "{css}");
    assert!(file(&mut client, &page, "favicon.").await.contains("fill=\"#ffd54a\""));
    assert_eq!(client.get("/api/v1/openapi.json").await.json()["info"]["title"], "Corner <Shop>");
}

#[tokio::test]
async fn a_feature_hangs_on_the_plan_and_on_its_switch() {
    let export = async |product: &str| {
        let kernel = start(product).await;
        let mut ada = with_workspace(&kernel, "Ada", "acme").await;
        ada.post("/api/v1/w/acme/audit-log/export", &serde_json::json!({ "format": "csv" })).await.status
    };
    assert_eq!(export(FREE).await, 402, "the plan does not include it");
    let included = format!("{FREE}features = [\"tenancy.audit_log_export\"]\n");
    assert_eq!(export(&included).await, 200);
    let off = included.replace("audit_log_export = true", "audit_log_export = false");
    assert_eq!(export(&off).await, 402, "the owner has switched it off");
}

#[tokio::test]
async fn a_logo_of_the_owner_takes_the_place_of_the_drawn_one() {
    let folder = std::env::temp_dir().join(format!("tracker-brand-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file_name = folder.join("product.config.toml");
    std::fs::write(folder.join("shop.svg"), "<svg id='shop'/>").unwrap();
    std::fs::write(&file_name, FREE.replace("[features]", "logo = \"shop.svg\"\n[features]")).unwrap();
    let product = Arc::new(Product::load(&file_name).await.unwrap());
    std::fs::remove_dir_all(&folder).unwrap();

    let tracker = Tracker::new(&Settings { product, ..Settings::default() });
    let mut config = config();
    tracker.configure(&mut config);
    let kernel = TestKernel::with(config, |builder| tracker.register(builder)).await;
    let mut client = Client::new(&kernel.app);
    let page = client.get("/log-in").await.text();
    assert!(page.contains("<img class=\"brand-logo\""), "{page}");
    assert_eq!(file(&mut client, &page, "logo.").await, "<svg id='shop'/>");
}

#[tokio::test]
async fn a_feature_that_nobody_declares_stops_the_start() {
    let product = FREE.replace("audit_log_export", "audit_log_exprot");
    let product = Arc::new(Product::parse("test.toml", &product).unwrap());
    let tracker = Tracker::new(&Settings { product, ..Settings::default() });
    let mut config = config();
    tracker.configure(&mut config);
    let refused = TestKernel::try_with(config, |builder| tracker.register(builder)).await.unwrap_err();
    let reason = "test.toml: line 7, features.tenancy.audit_log_exprot: no pillar declares the feature \
                  tenancy.audit_log_exprot";
    assert!(refused.to_string().contains(reason), "{refused}");
}
