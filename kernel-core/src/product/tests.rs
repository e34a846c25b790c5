use super::*;

const FEATURES: &[Feature] = &[Feature::__declare("shop.export"), Feature::__declare("shop.domains")];
const LIMITS: &[Limit] = &[Limit::__declare("shop.items")];

const WHOLE: &str = r##"
default_plan = "free"

[brand]
name = "Corner Shop"
primary_color = "#5b5bd6"
logo = "art/logo.svg"

[features]
shop.export = true
shop.domains = false

[[plans]]
key = "free"
name = "Free"
price_cents = 0
currency = "EUR"
limits = { shop.items = 5 }

[[plans]]
key = "team"
name = "Team"
price_cents = 19_00
currency = "EUR"
features = ["shop.export", "shop.domains"]
"##;

fn faults(text: &str) -> Vec<String> {
    match Product::parse("test.toml", text) {
        Err(ProductError::Faults { faults, .. }) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_configuration_is_read() {
    let product = Product::parse("test.toml", WHOLE).unwrap();
    assert_eq!(product.brand().name, "Corner Shop");
    assert_eq!(product.brand().primary_color.to_string(), "#5b5bd6");
    assert_eq!(product.brand().logo.as_ref().unwrap().content_type, "image/svg+xml");
    let (free, team) = (product.plan("free").unwrap(), product.plan("team").unwrap());
    assert_eq!((team.price_cents, team.currency.as_str()), (1900, "EUR"));
    assert_eq!((free.limit(LIMITS[0]), team.limit(LIMITS[0])), (Some(5), None));
    assert_eq!(product.default_plan(), Some(free));
    assert!(product.plan("gone").is_none());
    let [export, domains] = [FEATURES[0], FEATURES[1]];
    assert!(product.includes(Some(team), export));
    assert!(!product.includes(Some(free), export), "the plan does not name it");
    assert_eq!(product.unlocking(export).collect::<Vec<_>>(), [team]);
    assert_eq!(product.unlocking(domains).count(), 0);
    assert!(!product.includes(Some(team), domains), "it is switched off, whatever the plan says");
    assert!(!product.includes(None, export), "without a plan, a product that sells some gives none");
}

#[test]
fn without_plans_everybody_has_what_is_on() {
    let text = "[brand]\nname = \"Shop\"\nprimary_color = \"#000000\"\n[features]\nshop.export = true\n";
    let product = Product::parse("test.toml", text).unwrap();
    assert!(product.includes(None, FEATURES[0]) && !product.includes(None, FEATURES[1]));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_line_and_key() {
    let text = r##"color = 1
default_plan = "gold"
[brand]
name = ""
primary_colour = "#5b5bd6"
logo = "../logo.svg"
[features]
shop.export = "yes"
shop.domains = true
[[plans]]
key = "Free"
name = "Free"
price_cents = -1
currency = "euro"
features = ["shop.exprt"]
limits = { shop.items = 1.5 }
[[plans]]
"##;
    let wanted = [
        "line 1, color: color is no key here; there are brand, features, plans, default_plan",
        "line 3, brand.primary_color: it is missing",
        "line 4, brand.name: a name has 1 to 60 characters, no space at its ends",
        "line 5, brand.primary_colour: primary_colour is no key here; there are name, primary_color, logo",
        "line 6, brand.logo: the logo lies beside this file or in a folder there; name it from here",
        "line 8, features.shop.export: it is text, and must be true or false",
        "line 11, plans[0].key: a key is 1 to 40 of a-z, 0-9 and _",
        "line 13, plans[0].price_cents: it must be from 0 to 9223372036854775807",
        "line 14, plans[0].currency: a currency is three capitals: EUR",
        "line 15, plans[0].features[0]: shop.exprt is not in [features]; put it there, on or off",
        "line 16, plans[0].limits.shop.items: it is a number with a point, and must be a whole number",
        "line 17, plans[1].key: it is missing",
        "line 17, plans[1].name: it is missing",
        "line 17, plans[1].price_cents: it is missing",
        "line 17, plans[1].currency: it is missing",
    ];
    assert_eq!(faults(text), wanted);
    let error = Product::parse("test.toml", text).unwrap_err().to_string();
    assert!(error.starts_with("test.toml cannot be used:\n- line 1, color: "), "{error}");
}

#[test]
fn the_default_plan_is_one_of_the_plans() {
    let without = WHOLE.replace("default_plan = \"free\"", "");
    assert_eq!(faults(&without), ["line 1, default_plan: it is missing"]);
    let other = WHOLE.replace("default_plan = \"free\"", "default_plan = \"gold\"");
    assert_eq!(faults(&other), ["line 2, default_plan: no plan has the key gold"]);
    let twice = WHOLE.replace("key = \"team\"", "key = \"free\"");
    assert_eq!(faults(&twice), ["line 20, plans[1]: another plan has the key free"]);
}

#[test]
fn each_place_that_is_no_toml_is_told() {
    let found = faults("[brand]\nname = \nprimary_color = \"#000000\"\nlogo = 'a\n");
    assert!(
        found.len() >= 2 && found[0].starts_with("line 2: ") && found[1].starts_with("line 4: "),
        "{found:?}"
    );
}

#[test]
fn hostile_texts_are_refused_and_never_panic() {
    for text in [
        "",
        "\0",
        "a.b.c.d = {",
        "[[brand]]",
        "brand = 1",
        "plans = 1",
        "features = []",
        "[features]\n\"\" = 1",
    ] {
        assert!(Product::parse("test.toml", text).is_err(), "{text:?}");
    }
    assert!(Product::parse("test.toml", &format!("a = {}", "[".repeat(100_000))).is_err());
}

#[test]
fn what_no_pillar_declares_is_a_problem() {
    let product = Product::parse("test.toml", WHOLE).unwrap();
    let shop = Pillar::new("shop").features(FEATURES).limits(LIMITS);
    assert_eq!(product.problems(&[shop]), Vec::<String>::new());
    let less = Pillar::new("shop").features(&FEATURES[..1]);
    let wanted = [
        "test.toml: line 11, features.shop.domains: no pillar declares the feature shop.domains",
        "test.toml: line 18, plans[0].limits.shop.items: no pillar declares the limit shop.items",
    ];
    let mut problems = product.problems(&[less]);
    problems.sort();
    assert_eq!(problems, wanted);
}

#[tokio::test]
async fn a_file_is_read_with_its_logo() {
    let folder = std::env::temp_dir().join(format!("kernel-product-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("art")).unwrap();
    let file = folder.join("product.config.toml");
    let load = || Product::load(&file);
    assert!(matches!(load().await, Err(ProductError::File { .. })));
    std::fs::write(&file, WHOLE).unwrap();
    assert!(load().await.unwrap_err().to_string().ends_with("art/logo.svg cannot be read"));
    std::fs::write(folder.join("art/logo.svg"), "<svg/>").unwrap();
    assert_eq!(load().await.unwrap().brand().logo.as_ref().unwrap().content, "<svg/>");
    std::fs::write(folder.join("art/logo.svg"), vec![0; 256 * 1024 + 1]).unwrap();
    assert!(matches!(load().await, Err(ProductError::TooLarge { most: LOGO_MAX, .. })));
    std::fs::write(&file, b"\xff").unwrap();
    assert!(matches!(load().await, Err(ProductError::File { .. })));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_reference_lists_the_keys_that_are_read() {
    let mut reader = read::Reader::new(WHOLE);
    reader.product("test.toml").unwrap();
    let known = reader.known;
    let listed: BTreeSet<_> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(known, listed);
}
