//! Medians, percentiles and the interleaving of rounds.

use super::Figures;

/// The median; the mean of the middle two for an even count. NaN for no sample.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let sorted = sorted(samples);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The `percent`-th percentile, nearest rank. NaN for no sample.
pub(crate) fn percentile(samples: &[f64], percent: f64) -> f64 {
    let sorted = sorted(samples);
    if sorted.is_empty() {
        return f64::NAN;
    }
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Half of what lies between the quartiles, over the median: half of the samples lie within so much of the middle.
pub(crate) fn spread(samples: &[f64]) -> f64 {
    (percentile(samples, 75.0) - percentile(samples, 25.0)) / 2.0 / median(samples)
}

/// The smallest share over the largest: 1 is perfectly fair, 0 means that somebody got nothing.
pub(crate) fn min_max_share(counts: &[u64]) -> f64 {
    let min = counts.iter().copied().min().unwrap_or(0);
    let max = counts.iter().copied().max().unwrap_or(0);
    if max == 0 { 0.0 } else { min as f64 / max as f64 }
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// One side's samples: `series[figure][round]`.
pub(crate) type Series = Vec<Vec<f64>>;

/// Runs the sides in turn, `rounds` times (ours, peer, ours, peer, …), so that a slow minute of the machine hits both.
/// Every side yields the same count of figures in each round. The first failure ends it.
pub(crate) fn interleave(
    rounds: usize,
    sides: &mut [&mut dyn FnMut() -> Figures],
) -> Result<Vec<Series>, String> {
    let mut all: Vec<Series> = vec![Vec::new(); sides.len()];
    for _ in 0..rounds {
        for (side, series) in sides.iter_mut().zip(&mut all) {
            let figures = side()?;
            series.resize(figures.len(), Vec::new());
            for (figure, samples) in figures.into_iter().zip(series.iter_mut()) {
                samples.push(figure);
            }
        }
    }
    Ok(all)
}
