//! What must hold of the texts that this pillar reads and writes; `cargo xtask fuzz` looks for one that breaks it.

use kernel_core::audit::AuditNoun;
use kernel_core::{Id, RequestId};
use uuid::Uuid;

use crate::audit_log::{AuditEvent, Doer, ExportFormat};
use crate::slug::{RESERVED, Slug};

/// Names of workspaces: what is taken is one label of a host name, in one spelling, and not reserved.
///
/// # Panics
/// When that does not hold for this input.
pub fn slug(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(slug) = text.parse::<Slug>() else { return };
    assert_eq!((slug.as_str(), slug.to_string()), (&*text, text.to_string()));
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    assert!(plain && (3..=40).contains(&text.len()) && !text.starts_with("xn--"));
    assert!(!text.starts_with('-') && !text.ends_with('-') && !RESERVED.contains(&&*text));
}

/// Exports of the audit log: whatever a browser calls itself, a line has its cells and no cell is a formula.
///
/// # Panics
/// When that does not hold for this input.
pub fn export(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let event = AuditEvent {
        id: Id::<AuditNoun>::from_uuid(Uuid::from_u128(1)),
        at: chrono::DateTime::UNIX_EPOCH,
        actor: Doer { kind: "user".to_owned(), id: None, name: None },
        acting_as: None,
        action: text.to_string(),
        target: None,
        details: [(text.to_string(), text.to_string().into())].into_iter().collect(),
        ip_address: None,
        user_agent: Some(text.to_string()),
        request_id: RequestId::from_uuid(Uuid::from_u128(2)),
    };
    let lines = |format: ExportFormat| format.lines(std::slice::from_ref(&event)).expect("memory takes it");
    for format in [ExportFormat::Json, ExportFormat::Splunk] {
        let lines = lines(format);
        assert_eq!(
            lines.iter().position(|byte| *byte == b'\n'),
            Some(lines.len() - 1),
            "an event is one line"
        );
        let value: serde_json::Value = serde_json::from_slice(&lines).expect("an event is JSON");
        let event = value.get("event").unwrap_or(&value);
        assert_eq!(event["user_agent"], *text);
    }
    let file = [ExportFormat::Csv.header(), lines(ExportFormat::Csv)].concat();
    let mut table = csv::Reader::from_reader(&file[..]);
    let agent = table.headers().expect("a header").iter().position(|name| name == "user_agent");
    let rows: Vec<_> = table.records().collect::<Result<_, _>>().expect("every line has all cells");
    let [row] = rows.as_slice() else { panic!("an event is one line, not {}", rows.len()) };
    let cell = &row[agent.expect("a column")];
    assert!(cell == text || cell.strip_prefix('\'') == Some(&text), "{cell:?}");
    for cell in row {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "a formula: {cell:?}");
    }
}
