//! A group's ratios as an SVG: how many times as good as the peer, on a logarithmic scale.

use std::fmt::Write;

/// One line of a plot.
pub(crate) struct Bar {
    pub(crate) label: String,
    /// By the medians.
    pub(crate) times: f64,
    /// In each round.
    pub(crate) rounds: Vec<f64>,
    /// What the report's bar asks for, if it asks for a ratio.
    pub(crate) promised: Option<f64>,
}

const LABELS: f64 = 440.0;
const WIDTH: f64 = 420.0;
const VALUES: f64 = 70.0;
const HEIGHT: f64 = 20.0;
const TOP: f64 = 58.0;

/// The plot. Same bars, same text: no times, no random ids.
pub(crate) fn svg(title: &str, bars: &[Bar]) -> String {
    let least = bars.iter().map(|bar| bar.times).fold(0.5, f64::min);
    let most = bars.iter().map(|bar| bar.times).fold(2.0, f64::max);
    let (low, high) = (least.log2().floor(), most.log2().ceil());
    let x = |times: f64| LABELS + (times.log2().clamp(low, high) - low) / (high - low) * WIDTH;
    let bottom = TOP + HEIGHT * bars.len() as f64;
    let (width, height) = (LABELS + WIDTH + VALUES, bottom + 12.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"18\" font-size=\"14\" font-weight=\"bold\">{}: how many times as good as the peer</text>\n\
         <text x=\"10\" y=\"35\" fill=\"#555\">bar: medians; dots: rounds; black mark: what is promised</text>\n",
        escaped(title),
    );
    // The scale.
    let step = ((high - low) / 8.0).ceil().max(1.0);
    let mut power = low;
    while power <= high {
        let at = x(power.exp2());
        let color = if power == 0.0 { "#333" } else { "#ddd" };
        let shown = match power < 0.0 {
            true => format!("1/{}", (-power).exp2()),
            false => power.exp2().to_string(),
        };
        line(&mut svg, (at, TOP - 6.0), (at, bottom), color, 1);
        let anchor = "text-anchor=\"middle\" fill=\"#555\"";
        text(&mut svg, (at, TOP - 10.0), anchor, &shown);
        power += step;
    }
    if low % step != 0.0 {
        line(&mut svg, (x(1.0), TOP - 6.0), (x(1.0), bottom), "#333", 1);
    }
    for (index, bar) in bars.iter().enumerate() {
        let y = TOP + HEIGHT * index as f64;
        let (from, to) = (x(bar.times.min(1.0)), x(bar.times.max(1.0)));
        let color = if bar.times >= 1.0 { "#5a9e6f" } else { "#c98a4b" };
        let size = format!("width=\"{:.1}\" height=\"{:.1}\"", to - from, HEIGHT - 8.0);
        let _ =
            writeln!(svg, "<rect x=\"{from:.1}\" y=\"{:.1}\" {size} fill=\"{color}\"/>", y + 4.0);
        for round in bar.rounds.iter().filter(|round| round.is_finite() && **round > 0.0) {
            let at = (x(*round), y + HEIGHT / 2.0);
            let look = "r=\"1.6\" fill=\"#000\" fill-opacity=\"0.35\"";
            let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" {look}/>", at.0, at.1);
        }
        if let Some(promised) = bar.promised {
            line(&mut svg, (x(promised), y + 2.0), (x(promised), y + HEIGHT - 2.0), "#000", 2);
        }
        let anchor = "text-anchor=\"end\"";
        text(&mut svg, (LABELS - 8.0, y + 14.0), anchor, &bar.label);
        let digits = if bar.times >= 10.0 { 0 } else { 2 };
        let value = format!("{:.digits$}×", bar.times);
        text(&mut svg, (LABELS + WIDTH + 8.0, y + 14.0), "", &value);
    }
    svg + "</svg>\n"
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), color: &str, width: u32) {
    let ends = [("x1", from.0), ("y1", from.1), ("x2", to.0), ("y2", to.1)];
    let ends = ends.map(|(name, value)| format!("{name}=\"{value:.1}\"")).join(" ");
    let _ = writeln!(svg, "<line {ends} stroke=\"{color}\" stroke-width=\"{width}\"/>");
}

fn text(svg: &mut String, at: (f64, f64), look: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" {look}>{text}</text>", at.0, at.1);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
