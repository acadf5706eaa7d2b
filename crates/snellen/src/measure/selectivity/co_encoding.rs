//! Whether two concepts are encoded by the same units more often than units would be shared by chance.
//!
//! Of M units of a site, K_f encode f and K_g encode g, K_fg both. If units were dealt out at random, K_fg would be
//! hypergeometric with mean K_f K_g / M. The log odds ratio is ln((K_fg + 1/2) (M - K_f - K_g + K_fg + 1/2) / ((K_f - K_fg + 1/2)
//! (K_g - K_fg + 1/2))), the halves those of Haldane (1956), who keep it finite. p is exact and two-sided: the probability of all
//! tables that are no likelier than the one that came (Fisher 1935). Only this is particular to a pair: K_f and K_g are not.

use crate::Result;
use crate::measure::encodes::UnitConcept;
use crate::measure::fdr::benjamini_hochberg;
use statrs::function::factorial::ln_factorial;

/// Tables whose probabilities differ by less than this share are equally likely.
const EQUAL: f64 = 1e-7;

/// Two concepts of a site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoEncoding {
    /// The first concept, by index.
    pub a: usize,
    /// The second.
    pub b: usize,
    /// Units that encode both.
    pub shared: usize,
    /// How many would by chance.
    pub expected: f64,
    /// Above 0 where more are shared than by chance.
    pub log_odds: f64,
    /// Exact, two-sided; `None` where chance has no choice.
    pub p: Option<f64>,
    /// Adjusted over the pairs of the site.
    pub q: Option<f64>,
}

/// Every pair of `concepts` concepts; `cells` are `[unit, concept]`.
///
/// # Errors
/// Never, unless a p-value is none.
pub fn co_encoding(cells: &[UnitConcept], concepts: usize) -> Result<Vec<CoEncoding>> {
    let units = cells.len() / concepts.max(1);
    let encodes = |unit: usize, concept: usize| cells[unit * concepts + concept].encodes;
    let of = |c: usize| (0..units).filter(|unit| encodes(*unit, c)).count();
    let totals: Vec<usize> = (0..concepts).map(of).collect();
    let pairs = (0..concepts).flat_map(|a| (a + 1..concepts).map(move |b| [a, b]));
    let mut found: Vec<CoEncoding> = pairs
        .map(|[a, b]| {
            let shared = (0..units).filter(|unit| encodes(*unit, a) && encodes(*unit, b)).count();
            pair([a, b], shared, [totals[a], totals[b]], units)
        })
        .collect();
    let q = benjamini_hochberg(&found.iter().map(|pair| pair.p).collect::<Vec<_>>())?;
    found.iter_mut().zip(q).for_each(|(pair, q)| pair.q = q);
    Ok(found)
}

/// `shared` units of `units` encode both concepts, `each` of them alone.
pub fn pair([a, b]: [usize; 2], shared: usize, each: [usize; 2], units: usize) -> CoEncoding {
    let half = |count: usize| count as f64 + 0.5;
    let neither = units + shared - each[0] - each[1];
    let odds = half(shared) * half(neither) / (half(each[0] - shared) * half(each[1] - shared));
    CoEncoding {
        a,
        b,
        shared,
        expected: each[0] as f64 * each[1] as f64 / (units as f64).max(1.0),
        log_odds: odds.ln(),
        p: exact(shared, each, units),
        q: None,
    }
}

fn exact(shared: usize, [first, second]: [usize; 2], units: usize) -> Option<f64> {
    let (least, most) = ((first + second).saturating_sub(units), first.min(second));
    if least == most {
        return None;
    }
    let choose = |n: usize, k: usize| ln_factorial(n as u64) - ln_factorial(k as u64) - ln_factorial((n - k) as u64);
    let log = |k: usize| choose(first, k) + choose(units - first, second - k) - choose(units, second);
    let observed = log(shared) + EQUAL;
    let p: f64 = (least..=most).map(log).filter(|log| *log <= observed).map(f64::exp).sum();
    Some(p.min(1.0))
}
