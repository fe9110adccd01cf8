//! A group's rows as a table of a page.

use super::unit::Unit;
use serde_json::Value;

/// The columns are the report's.
pub(crate) fn markdown(rows: &[&Value]) -> String {
    let mut text = "| what | ours | peer | ratio | bar | met? | spread |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        text += &format!("| {} |\n", cells(row).map(|cell| escaped(&cell)).join(" | "));
    }
    text
}

fn cells(row: &Value) -> [String; 7] {
    let none = || "-".to_owned();
    let text = |field: &str| row[field].as_str();
    let number = |field: &str| row[field].as_f64();
    if let Some(reason) = text("error") {
        return [reason.to_owned(), none(), none(), none(), none(), "FAILED".to_owned(), none()];
    }
    let unit = text("unit").and_then(Unit::from_name);
    let show = |value: f64| unit.map_or_else(|| value.to_string(), |unit| unit.show(value));
    let peer = text("peer").map(|peer| match number("theirs") {
        Some(value) => format!("{peer} {}", show(value)),
        None => peer.to_owned(),
    });
    let limit = |value: f64| match text("judged_by") {
        Some("ratio") => format!("{value:.2}"),
        _ => show(value),
    };
    let bar = match (row["bar"]["at_most"].as_f64(), row["bar"]["at_least"].as_f64()) {
        (Some(most), _) => format!("≤ {}", limit(most)),
        (_, Some(least)) => format!("≥ {}", limit(least)),
        _ => none(),
    };
    let met = row["met"].as_bool().map_or("-", |is_met| if is_met { "yes" } else { "**NO**" });
    let spreads = row["spreads"].as_array().into_iter().flatten().filter_map(Value::as_f64);
    let spreads: Vec<String> = spreads.map(|share| format!("±{:.0} %", share * 100.0)).collect();
    [
        text("what").unwrap_or_default().to_owned(),
        number("ours").map_or_else(none, show),
        peer.unwrap_or_else(none),
        number("ratio").map_or_else(none, |ratio| format!("{ratio:.2}")),
        bar,
        met.to_owned(),
        if spreads.is_empty() { none() } else { spreads.join(", ") },
    ]
}

fn escaped(cell: &str) -> String {
    cell.replace('<', "&lt;").replace('|', "\\|")
}
