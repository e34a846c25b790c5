//! Where a request or job stands in a distributed trace.

use std::fmt::Write;

use uuid::Uuid;

use crate::ctx::RequestId;
use crate::job::JobId;

/// The trace that a request or job belongs to, and its own place there.
///
/// A request's trace has the request's own id unless a trusted proxy continues one of its own, so that whoever has the
/// one has the other. What the request sets off by events and jobs belongs to the same trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    trace_id: Uuid,
    span_id: u64,
}

/// The caller's place in a trace, from the W3C `traceparent` header of a trusted proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub(crate) trace_id: Uuid,
    pub(crate) parent_id: u64,
    pub(crate) sampled: bool,
}

impl Trace {
    /// The trace of a request, if it is traced.
    pub(crate) fn of_request(id: RequestId, upstream: Option<&Upstream>, traced: f64) -> Option<Self> {
        let trace_id = upstream.map_or(id.uuid(), |upstream| upstream.trace_id);
        let sampled = upstream.is_some_and(|upstream| upstream.sampled) || is_sampled(trace_id, traced);
        sampled.then(|| Self { trace_id, span_id: own_span(id) })
    }

    /// The place of an attempt at a job in the trace of the request that enqueued it.
    #[must_use]
    pub fn of_job(trace_id: Uuid, job: JobId, attempt: u32) -> Self {
        Self { trace_id, span_id: (low(job.uuid()) ^ u64::from(attempt)).max(1) }
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> Uuid {
        self.trace_id
    }

    /// The trace, in the spelling of traces: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_hex(&self) -> String {
        self.trace_id.simple().to_string()
    }

    /// The place in it: 16 hexadecimal digits.
    #[must_use]
    pub fn span_hex(&self) -> String {
        hex(self.span_id)
    }

    #[cfg(feature = "sentry")]
    pub(crate) fn span_bytes(&self) -> [u8; 8] {
        self.span_id.to_be_bytes()
    }

    /// The place of the request in every trace that it is in, for those that follow from it.
    #[must_use]
    pub fn request_span_hex(id: RequestId) -> String {
        hex(own_span(id))
    }

    /// The `traceparent` header for a call to another service, so that it continues the trace.
    #[must_use]
    pub fn header(&self) -> String {
        format!("00-{}-{}-01", self.trace_hex(), self.span_hex())
    }
}

impl Upstream {
    /// Reads a header that follows the W3C's recommendation; anything else is no trace.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version, trace_id, parent_id, flags] =
            [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let is_hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
        };
        let known = version == "00" && parts.next().is_none();
        let later = version != "00" && version != "ff" && is_hex(version, 2);
        if !(known || later) || !is_hex(trace_id, 32) || !is_hex(parent_id, 16) || !is_hex(flags, 2) {
            return None;
        }
        let trace_id = Uuid::try_parse(trace_id).ok().filter(|id| !id.is_nil())?;
        let parent_id = u64::from_str_radix(parent_id, 16).ok().filter(|id| *id != 0)?;
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Self { trace_id, parent_id, sampled })
    }
}

/// A request's own span. The lower half of a UUIDv7 is random but for two bits, of which one is always set.
fn own_span(id: RequestId) -> u64 {
    // A proxy may have named the request by anything; zero is no span.
    low(id.uuid()).max(1)
}

fn low(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

pub(crate) fn hex(id: u64) -> String {
    let mut text = String::with_capacity(16);
    // Writing to a text cannot fail.
    let _ = write!(text, "{id:016x}");
    text
}

/// Whether a trace is one of those to be kept: the same for whoever asks, by the random end of its id.
fn is_sampled(trace_id: Uuid, part: f64) -> bool {
    const RANDOM: u32 = 56;
    let random = low(trace_id) & ((1 << RANDOM) - 1);
    #[expect(clippy::cast_precision_loss, reason = "sampling needs no more than 53 bits")]
    let place = random as f64 / (1_u64 << RANDOM) as f64;
    place < part
}

#[cfg(test)]
mod tests {
    use crate::entropy::Entropy;

    use super::*;

    #[test]
    fn only_well_formed_traces_are_joined() {
        let trace = |text| Upstream::parse(text).is_some();
        assert!(trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(trace("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert!(!trace(bad), "{bad}");
        }
    }

    #[test]
    fn a_request_has_the_trace_of_its_id_or_continues_a_proxys() {
        let entropy = Entropy::seeded(1);
        let id = RequestId::from_uuid(entropy.uuid(chrono::DateTime::UNIX_EPOCH));
        let own = Trace::of_request(id, None, 1.0).unwrap();
        assert_eq!(own.trace_id(), id.uuid());
        assert!(id.to_string().ends_with(&own.span_hex()), "the id tells the span");
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";
        let parent = Upstream::parse(&format!("{text}1")).unwrap();
        let continued = Trace::of_request(id, Some(&parent), 0.0).unwrap();
        assert_eq!(continued.header(), format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", own.span_hex()));
        let unsampled = Upstream::parse(&format!("{text}0")).unwrap();
        assert_eq!(Trace::of_request(id, Some(&unsampled), 0.0), None);
    }

    #[test]
    fn the_part_that_is_traced_is_about_as_large_as_wished() {
        let entropy = Entropy::seeded(2);
        let mut ids = (0..10_000).map(|_| entropy.uuid(chrono::DateTime::UNIX_EPOCH));
        let traced = ids.by_ref().filter(|id| is_sampled(*id, 0.1)).count();
        assert!((800..1200).contains(&traced), "{traced}");
        assert!(!is_sampled(entropy.uuid(chrono::DateTime::UNIX_EPOCH), 0.0));
        assert!(is_sampled(entropy.uuid(chrono::DateTime::UNIX_EPOCH), 1.0));
    }
}
