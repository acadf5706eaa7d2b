//! How two lists of numbers go together: Pearson's r, Spearman's rho, the least-squares line, and what r would be by chance.
//!
//! r = sum (x - mx)(y - my) / sqrt(sum (x - mx)^2 sum (y - my)^2); rho is r of the midranks (Spearman 1904). Under
//! independent normal pairs, r sqrt((n - 2) / (1 - r^2)) has Student's t distribution with n - 2 degrees of freedom (Fisher
//! 1915), so P(|R| >= |r|) is the regularised incomplete beta function at 1 - r^2 with parameters (n - 2) / 2 and 1 / 2.

use statrs::function::beta::checked_beta_reg;
use std::cmp::Ordering;

/// y = slope x + intercept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Change of y per unit of x.
    pub slope: f64,
    /// y at x = 0.
    pub intercept: f64,
}

/// Sums of squares and products about the means.
struct Moments {
    means: [f64; 2],
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Moments {
    fn of(x: &[f64], y: &[f64]) -> Self {
        assert_eq!(x.len(), y.len(), "one y for every x");
        let n = x.len() as f64;
        let means = [x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n];
        let mut moments = Self { means, xx: 0.0, xy: 0.0, yy: 0.0 };
        for (x, y) in x.iter().zip(y) {
            let (x, y) = (x - means[0], y - means[1]);
            moments.xx += x * x;
            moments.xy += x * y;
            moments.yy += y * y;
        }
        moments
    }
}

/// Pearson's r, -1 to 1; `None` where one of the two does not vary.
///
/// # Panics
/// If the lengths differ.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let Moments { xx, xy, yy, .. } = Moments::of(x, y);
    // Not the root of the product, which may overflow.
    let r = xy / (xx.sqrt() * yy.sqrt());
    (varies(x) && varies(y) && r.is_finite()).then(|| r.clamp(-1.0, 1.0))
}

/// Spearman's rho, -1 to 1; `None` where one of the two does not vary.
///
/// # Panics
/// If the lengths differ.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    pearson(&midranks(x), &midranks(y))
}

/// The line with the least squared distance in y; `None` where x does not vary.
///
/// # Panics
/// If the lengths differ.
pub fn line(x: &[f64], y: &[f64]) -> Option<Line> {
    let Moments { means, xx, xy, .. } = Moments::of(x, y);
    let slope = xy / xx;
    (varies(x) && slope.is_finite()).then(|| Line { slope, intercept: means[1] - slope * means[0] })
}

/// Two-sided p of Pearson's `r` of `n` independent pairs; `None` for fewer than three.
pub fn pearson_p(r: f64, n: usize) -> Option<f64> {
    let freedom = n.checked_sub(2).filter(|freedom| *freedom > 0)? as f64;
    checked_beta_reg(freedom / 2.0, 0.5, (1.0 - r * r).max(0.0)).ok()
}

/// The rank of every value, 1 to n; equal values share the mean of theirs.
pub fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for group in order.chunk_by(|&a, &b| values[a].partial_cmp(&values[b]) == Some(Ordering::Equal)) {
        let rank = before as f64 + (group.len() + 1) as f64 / 2.0;
        group.iter().for_each(|&i| ranks[i] = rank);
        before += group.len();
    }
    ranks
}

fn varies(values: &[f64]) -> bool {
    values.iter().any(|value| value.partial_cmp(&values[0]) != Some(Ordering::Equal))
}
