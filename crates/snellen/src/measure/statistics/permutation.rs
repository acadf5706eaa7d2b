//! The exact permutation distribution of the Mann-Whitney statistic of one stratum.
//!
//! When m of n images hold a concept, and every choice of m images is equally likely, U = R - m (m + 1) / 2 with R the sum of
//! their ranks. Without ties the number of choices with U = u is the coefficient of q^u in the Gaussian binomial
//! [n choose m]_q = prod_{i = 1..m} (1 - q^(n - m + i)) / (1 - q^i) (Mann & Whitney 1947, Ann. Math. Stat. 18:50-60). With ties,
//! groups of equal values are gone through once, counting the choices by number and rank sum (Mehta, Patel & Tsiatis 1984,
//! Biometrics 40:819-825, without the network), on doubled midranks, which are whole.

/// Per subset size k: P(2 U_k = i) for i in 0..=2 k (n - k).
pub(in crate::measure) type Subsets = Vec<Vec<f64>>;

/// P(U = u) for u in 0..=m (n - m), of `m` among `n` distinct values.
pub(in crate::measure) fn untied(n: usize, m: usize) -> Vec<f64> {
    let top = m * (n - m);
    // Symmetric: only the lower half is computed, where every coefficient is a sum of nearly equal signs.
    let half = top / 2 + 1;
    let mut count = vec![0.0; half];
    count[0] = 1.0;
    for i in 1..=m {
        for u in (n - m + i..half).rev() {
            count[u] -= count[u - (n - m + i)];
        }
        for u in i..half {
            count[u] += count[u - i];
        }
    }
    let all = choose(n, m);
    (0..=top).map(|u| count[u.min(top - u)] / all).collect()
}

/// Additions that [`tied`] makes for subsets of up to `largest` images, at most.
pub(in crate::measure) fn tied_work(groups: &[u32], largest: usize) -> usize {
    let n: usize = groups.iter().map(|&t| t as usize).sum();
    let steps: usize = groups.iter().map(|&t| largest.min(t as usize)).sum();
    steps.saturating_mul(largest).saturating_mul(2 * largest * n + 1)
}

/// Replaces `subsets` by the distributions for k in 0..=`largest` of the values whose groups of ties are `groups`, smallest
/// value first. `largest` is at most their number.
pub(in crate::measure) fn tied(groups: &[u32], largest: usize, subsets: &mut Subsets) {
    let n: usize = groups.iter().map(|&t| t as usize).sum();
    subsets.resize(largest + 1, Vec::new());
    for (k, count) in subsets.iter_mut().enumerate() {
        count.clear();
        count.resize(2 * k * n + 1, 0.0);
    }
    subsets[0][0] = 1.0;
    let [mut before, mut last] = [0; 2];
    for &t in groups {
        let t = t as usize;
        let rank = 2 * before + t + 1;
        for k in (1..=largest.min(before + t)).rev() {
            let (fewer, these) = subsets.split_at_mut(k);
            for j in 1..=k.min(t) {
                let ways = choose(t, j);
                let reached = (k - j) * last;
                let from = &fewer[k - j][..=reached];
                let to = &mut these[0][j * rank..=j * rank + reached];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += ways * from);
            }
        }
        before += t;
        last = rank;
    }
    for (k, count) in subsets.iter_mut().enumerate() {
        let all = choose(n, k);
        count.drain(..k * (k + 1));
        count.truncate(2 * k * (n - k) + 1);
        count.iter_mut().for_each(|ways| *ways /= all);
    }
}

/// The distribution of the sum of two independent whole numbers.
pub(in crate::measure) fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; a.len() + b.len() - 1];
    for (i, &weight) in a.iter().enumerate().filter(|&(_, &weight)| weight != 0.0) {
        sum[i..].iter_mut().zip(b).for_each(|(sum, b)| *sum += weight * b);
    }
    sum
}

fn choose(n: usize, k: usize) -> f64 {
    // Whole after every step, so exact as long as doubles are.
    (0..k).fold(1.0, |ways, i| ways * (n - i) as f64 / (i + 1) as f64)
}
