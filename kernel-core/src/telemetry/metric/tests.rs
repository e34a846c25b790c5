//! Series are those that were declared, whatever is counted.

use super::*;

#[test]
fn what_was_not_declared_counts_as_other() {
    let metrics = Metrics::new();
    let labels = Labels::of("method", ["GET", "POST"]).and("outcome", ["kept", "refused"]);
    let counters = metrics.counter("shop_rows_total", "Rows.", labels);
    counters.of(["POST", "kept"]).add(2);
    for name in 0..10_000 {
        counters.of([&format!("M{name}"), "kept"]).add(1);
    }
    let [rows] = metrics.snapshot().try_into().unwrap();
    assert_eq!(rows.points.len(), 5);
    assert_eq!(rows.points[4].labels, [("method", "other".to_owned()), ("outcome", "other".to_owned())]);
    assert_eq!(rows.points[4].value, Value::Number(10_000.0));
    assert_eq!(rows.points[2].value, Value::Number(2.0));
}

#[test]
fn values_fall_into_the_bucket_whose_bound_holds_them() {
    let metrics = Metrics::new();
    let times = metrics.histogram("shop_seconds", "Times.", Labels::none(), &[0.125, 1.0]).of([]);
    for value in [0.0625, 0.125, 0.25, 1.0, 1.5] {
        times.record(value);
    }
    assert_eq!(times.count(), 5);
    let text = metrics.text();
    assert!(text.contains("shop_seconds_bucket{le=\"0.125\"} 2\n"), "{text}");
    assert!(text.contains("shop_seconds_bucket{le=\"1\"} 4\n"), "{text}");
    assert!(
        text.contains("shop_seconds_bucket{le=\"+Inf\"} 5\nshop_seconds_sum 2.9375\nshop_seconds_count 5\n")
    );
}

#[test]
fn the_same_metric_twice_is_one_and_a_different_one_is_refused() {
    let metrics = Metrics::new();
    let carts = || metrics.gauge("shop_carts", "Carts.", Labels::none()).of([]);
    carts().set(2.0);
    carts().add(1.0);
    assert_eq!((carts().value(), metrics.problems()), (3.0, Vec::<String>::new()));
    let other = metrics.gauge("shop_carts", "Carts.", Labels::of("size", ["big"]));
    other.of(["big"]).set(7.0);
    assert_eq!(metrics.problems().len(), 1);
    assert_eq!(metrics.snapshot().len(), 1);
}

#[test]
fn labels_that_name_somebody_and_odd_names_are_refused() {
    for label in UNBOUNDED.iter().copied().chain(["le", "Big", ""]) {
        let metrics = Metrics::new();
        let _ = metrics.counter("shop_total", "Of the shop.", Labels::of(label, ["a"]));
        assert_eq!(metrics.problems().len(), 1, "{label}");
    }
    for name in ["shop", "Shop_total", "", "shop-x_total", "0_total"] {
        let metrics = Metrics::new();
        let _ = metrics.counter(name, "Of the shop.", Labels::none());
        assert_eq!(metrics.problems().len(), 1, "{name}");
    }
    let metrics = Metrics::new();
    let many = Labels::of("kind", (0..SERIES_MAX).map(|kind| kind.to_string()));
    let _ = metrics.counter("shop_total", "Of the shop.", many);
    let _ = metrics.histogram("shop_seconds", "Times.", Labels::none(), &[1.0, 0.5]);
    assert_eq!(metrics.problems().len(), 2);
}

#[test]
fn text_is_escaped() {
    let metrics = Metrics::new();
    let labels = Labels::of("kind", ["a\"b\\c\nd"]);
    metrics.gauge("shop_carts", "One\nline with a \\.", labels).of(["a\"b\\c\nd"]).set(0.5);
    let text = metrics.text();
    assert!(
        text.starts_with("# HELP shop_carts One\\nline with a \\\\.\n# TYPE shop_carts gauge\n"),
        "{text}"
    );
    assert!(text.contains("shop_carts{kind=\"a\\\"b\\\\c\\nd\"} 0.5\n"), "{text}");
}

#[test]
fn metrics_are_bounded_too() {
    let metrics = Metrics::new();
    for number in 0..2000 {
        let name = format!("shop_{number}_total").leak();
        metrics.counter(name, "One too many.", Labels::none()).of([]).add(1);
    }
    assert_eq!(metrics.snapshot().len(), FAMILIES_MAX);
    assert_eq!(metrics.problems().len(), FAMILIES_MAX);
}
