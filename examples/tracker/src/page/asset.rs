//! Stylesheet, script and icon, under names that change with their content.

use bytes::Bytes;
use http::Method;
use http::header::{CACHE_CONTROL, HeaderValue};
use kernel_core::Error;
use kernel_core::http::{Access, Call, Path, Reply, Route, WithHeader};
use kernel_core::product::{Brand, Logo, Palette};
use kernel_core::secret::sha256;

use crate::tracker::Tracker;

/// One file that pages refer to.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    /// The name with a part of the content's hash: `app.1f0a….css`.
    file: String,
    content_type: &'static str,
    content: Bytes,
}

/// Every file that pages refer to.
#[derive(Debug)]
pub(crate) struct Assets(Vec<Asset>);

impl Assets {
    pub(crate) fn new(brand: &Brand) -> Self {
        let mut assets = vec![
            asset("app.css", "text/css; charset=utf-8", include_str!("../../static/app.css")),
            asset("tokens.css", "text/css; charset=utf-8", include_str!("../../static/tokens.css")),
            asset("app.js", "text/javascript; charset=utf-8", include_str!("../../static/app.js")),
            asset("palette.js", "text/javascript; charset=utf-8", include_str!("../../static/palette.js")),
            asset("suggest.js", "text/javascript; charset=utf-8", include_str!("../../static/suggest.js")),
            asset("theme.js", "text/javascript; charset=utf-8", include_str!("../../static/theme.js")),
            asset("issues.csv", "text/csv; charset=utf-8", include_str!("../../static/issues.csv")),
            asset("brand.css", "text/css; charset=utf-8", accents(&brand.palette())),
            asset("favicon.svg", "image/svg+xml", favicon(&brand.palette())),
        ];
        assets.extend(
            brand.logo.as_ref().map(|logo| asset(logo_name(logo), logo.content_type, logo.content.clone())),
        );
        Self(assets)
    }

    /// The path of a file; `None` when there is no such file.
    pub(crate) fn path(&self, name: &str) -> Option<String> {
        self.0.iter().find(|asset| asset.name == name).map(|asset| format!("/static/{}", asset.file))
    }
}

/// The icon in the owner's colours.
fn favicon(palette: &Palette) -> String {
    let drawn = include_str!("../../static/favicon.svg");
    drawn.replace("#fff", &palette.light.on.to_string()).replace("#4f46e5", &palette.light.accent.to_string())
}

/// The name of the owner's logo among the files.
pub(super) fn logo_name(logo: &Logo) -> &'static str {
    if logo.content_type == "image/png" { "logo.png" } else { "logo.svg" }
}

/// The accents that `app.css` uses, out of the owner's colour.
fn accents(palette: &Palette) -> String {
    let (light, dark) = (palette.light, palette.dark);
    let accents = [
        ("accent", light.accent, dark.accent),
        ("accent-hover", light.hover, dark.hover),
        ("accent-soft", light.soft, dark.soft),
        ("accent-text", light.text, dark.text),
        ("on-accent", light.on, dark.on),
    ];
    let lines = accents.map(|(name, light, dark)| format!("  --{name}: light-dark({light}, {dark});\n"));
    format!(":root {{\n{}}}\n", lines.concat())
}

fn asset(name: &'static str, content_type: &'static str, content: impl Into<Bytes>) -> Asset {
    let content = content.into();
    let first = sha256(&content).first_chunk().copied().unwrap_or_default();
    let hash = format!("{:016x}", u64::from_be_bytes(first));
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    Asset { name, file: format!("{stem}.{hash}.{ending}"), content_type, content }
}

pub(super) fn route(tracker: &Tracker) -> Route {
    let (path, operation) = ("/static/{file}", "tracker.page.asset");
    Route::free(Method::GET, path, operation, Access::Public, tracker.clone(), file).page()
}

/// The content of a name never changes, so whoever has it need never ask again.
async fn file(tracker: Tracker, _: Call, Path(file): Path<String>) -> Result<WithHeader<Reply>, Error> {
    let assets = &tracker.pages.assets().0;
    let asset = assets.iter().find(|asset| asset.file == file).ok_or_else(Error::not_found)?;
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    Ok(WithHeader(CACHE_CONTROL, forever, Reply::bytes(asset.content_type, asset.content.clone())))
}
