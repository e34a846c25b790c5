//! The configuration: would people who depend on this process be safe with it?

use std::collections::BTreeSet;

use super::facts::Facts;
use super::{Examination, Verdict};
use crate::http::Resolution;
use crate::message::{Language, Messages};
use crate::pillar::Pillar;

pub(super) const ALL: &[Examination] = &[
    Examination { name: "config.http", judge: http },
    Examination { name: "config.public_origin", judge: public_origin },
    Examination { name: "config.https", judge: https },
    Examination { name: "config.proxies", judge: proxies },
    Examination { name: "config.cors", judge: cors },
    Examination { name: "config.permissions", judge: permissions },
    Examination { name: "config.features", judge: features },
    Examination { name: "config.languages", judge: languages },
    Examination { name: "config.clock", judge: clock },
];

impl Facts<'_> {
    pub(super) fn is_served(&self) -> bool {
        self.config.http.environment.is_served()
    }
}

fn http(facts: &Facts<'_>) -> Verdict {
    Verdict::of(&facts.config.http.problems(), "change the HttpConfig; `build` refuses this one")
}

fn public_origin(facts: &Facts<'_>) -> Verdict {
    let by_subdomain = matches!(facts.config.http.resolution, Resolution::Subdomain { .. });
    if facts.config.http.public_origin.is_some() || by_subdomain || !facts.is_served() {
        return Verdict::Sound;
    }
    Verdict::fault(
        "no public origin is configured, so links and the check of a write's origin go by what a client calls the host",
        "set HttpConfig::public_origin to https://… as people type it",
    )
}

fn https(facts: &Facts<'_>) -> Verdict {
    match &facts.config.http.public_origin {
        Some(origin) if facts.is_served() && !origin.starts_with("https://") => Verdict::fault(
            format!(
                "{origin} is not https: browsers do not keep the session's cookie, and everybody can read it"
            ),
            "put a certificate before the product, and write https:// in the public origin",
        ),
        _ => Verdict::Sound,
    }
}

fn proxies(facts: &Facts<'_>) -> Verdict {
    let all = facts.config.http.trusted_proxies.iter().filter(|network| network.prefix_len() == 0);
    let all: Vec<_> =
        all.map(|network| format!("{network} trusts everybody to say which address they have")).collect();
    Verdict::of(&all, "list the addresses of your own proxies only")
}

fn cors(facts: &Facts<'_>) -> Verdict {
    let plain = facts.config.http.cors.origins.iter().filter(|origin| origin.starts_with("http://"));
    let plain: Vec<_> =
        plain.map(|origin| format!("scripts of {origin}, which anybody on the way can change")).collect();
    if !facts.is_served() || !facts.config.http.cors.credentials {
        return Verdict::Sound;
    }
    Verdict::of(&plain, "list https:// origins only")
}

fn permissions(facts: &Facts<'_>) -> Verdict {
    let used: BTreeSet<_> = routes(facts.pillars, |route| route.permission().map(crate::Permission::name));
    let declared = facts.pillars.iter().flat_map(|pillar| &pillar.permissions);
    let unused: Vec<_> = declared
        .map(|permission| permission.name())
        .filter(|name| !used.contains(name))
        .map(|name| format!("no route asks for the permission {name}"))
        .collect();
    advise(&unused, "ask for it where it belongs, or drop it; one that is checked by hand is fine")
}

fn features(facts: &Facts<'_>) -> Verdict {
    let used: BTreeSet<_> = routes(facts.pillars, |route| route.required_feature().map(crate::Feature::name));
    let declared = facts.pillars.iter().flat_map(|pillar| &pillar.features);
    let unused: Vec<_> = declared
        .map(|feature| feature.name())
        .filter(|name| !used.contains(name))
        .map(|name| format!("no route asks for the feature {name}"))
        .collect();
    advise(&unused, "ask for it where it belongs, or drop it")
}

fn languages(facts: &Facts<'_>) -> Verdict {
    let (messages, refused) = Messages::gathered(&facts.pillars.iter().collect::<Vec<_>>());
    if !refused.is_empty() {
        return Verdict::fault("a message catalogue cannot be used", "`build` says which one, and why");
    }
    let wanted = |language: &Language| facts.config.languages.iter().any(|tag| tag == language.tag());
    let lacking = messages.languages().filter(wanted).filter_map(|language| {
        let keys = messages.untranslated(language);
        let first = keys.first()?;
        Some(format!("{} text(s) are shown in English for want of {language}, such as {first}", keys.len()))
    });
    advise(
        &lacking.collect::<Vec<_>>(),
        "translate them in the locales/<language>.json beside the English file",
    )
}

fn routes(
    pillars: &[Pillar],
    name: fn(&crate::http::Route) -> Option<&'static str>,
) -> BTreeSet<&'static str> {
    pillars.iter().flat_map(|pillar| &pillar.routes).filter_map(name).collect()
}

fn advise(problems: &[String], mend: &str) -> Verdict {
    if problems.is_empty() { Verdict::Sound } else { Verdict::advice(problems.join("; "), mend) }
}

fn clock(facts: &Facts<'_>) -> Verdict {
    match facts.config.clock.manual_now() {
        Some(_) => Verdict::fault("the clock stands still: nothing ever expires", "use Clock::system()"),
        None => Verdict::Sound,
    }
}
