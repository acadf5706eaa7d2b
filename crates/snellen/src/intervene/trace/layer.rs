//! The patches of one layer of one twin: many edits as rows of one forward that goes on from the next layer.
//!
//! Up to the end of its layer a patch changes its own tokens only, so no more than these are computed there; what other tokens have on
//! exit is what they had. The residual streams that result go on together.

use super::pairs::Around;
use super::prefix::Prefix;
use super::{Part, TOKENS};
use crate::Result;
use crate::engine::{Tape, Tensor};
use crate::model::{Inside, Tower, Towers};

/// One patch of a row.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) part: Part,
    /// The tokens that are patched.
    pub(super) at: Vec<usize>,
    /// The row that the values come from, and its tokens, as many.
    pub(super) from: (usize, Vec<usize>),
}

/// A layer, and the row that is patched in it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) towers: &'a Towers<f32>,
    pub(super) tower: Tower,
    pub(super) prefix: &'a Prefix,
    pub(super) layer: usize,
    pub(super) heads: usize,
    pub(super) row: usize,
}

impl Place<'_> {
    /// What a token of a row has where `part` is patched.
    fn values(&self, part: Part, row: usize, token: usize) -> &[f32] {
        let (prefix, layer) = (self.prefix, self.layer);
        match part {
            Part::ResidPost => prefix.stream(layer + 1, row, token),
            Part::AttnOut => prefix.attn_out(layer, row, token),
            Part::MlpOut => prefix.mlp_out(layer, row, token),
            Part::Head(head) => {
                let d = prefix.width / self.heads;
                &prefix.z(layer, row, token)[head * d..][..d]
            }
        }
    }

    /// How many values the patch changes.
    pub(super) fn changes(&self, job: &Job) -> usize {
        let (row, tokens) = &job.from;
        let changed = |(at, from): (&usize, &usize)| {
            let (old, new) = (self.values(job.part, self.row, *at), self.values(job.part, *row, *from));
            old.iter().zip(new).filter(|(old, new)| old.to_bits() != new.to_bits()).count()
        };
        job.at.iter().zip(tokens).map(changed).sum()
    }

    /// Embeddings `[job, unit]` of the row with each patch by itself; `around` gives what so many copies of the row know of themselves.
    pub(super) fn patched(
        &self,
        tape: &mut Tape<f32>,
        jobs: &[Job],
        around: &dyn Fn(usize) -> Around,
    ) -> Result<Vec<Vec<f32>>> {
        let mut embeds = Vec::with_capacity(jobs.len());
        for jobs in jobs.chunks((TOKENS / self.prefix.tokens).max(1)) {
            let streams = self.streams(tape, jobs)?;
            let found = around(jobs.len()).resume(self.towers, tape, (self.layer + 1, streams), &mut ())?;
            embeds.extend(found.data().chunks(found.width()).map(<[f32]>::to_vec));
        }
        Ok(embeds)
    }

    /// The residual streams on exit from the layer, `[job, token, unit]`.
    fn streams(&self, tape: &mut Tape<f32>, jobs: &[Job]) -> Result<Tensor<f32>> {
        let (prefix, layer, width) = (self.prefix, self.layer, self.prefix.width);
        let long = prefix.tokens * width;
        let base = prefix.row(layer + 1, self.row);
        let mut streams: Vec<f32> = jobs.iter().flat_map(|_| base).copied().collect();
        // Where a token goes that is computed to the end of the layer, and what it begins with.
        let (mut behind_z, mut z, mut pre) = (Vec::new(), Vec::new(), Vec::new());
        let (mut behind_mid, mut mid) = (Vec::new(), Vec::new());
        for (k, job) in jobs.iter().enumerate() {
            let (row, tokens) = &job.from;
            for (at, from) in job.at.iter().zip(tokens) {
                let place = k * long + at * width;
                let entry = prefix.stream(layer, self.row, *at);
                match job.part {
                    Part::ResidPost => {
                        streams[place..][..width].copy_from_slice(prefix.stream(layer + 1, *row, *from));
                    }
                    Part::MlpOut => {
                        let own = entry.iter().zip(prefix.attn_out(layer, self.row, *at)).map(|(x, y)| x + y);
                        let sum = own.zip(prefix.mlp_out(layer, *row, *from)).map(|(x, y)| x + y);
                        streams[place..][..width].iter_mut().zip(sum).for_each(|(to, x)| *to = x);
                    }
                    Part::AttnOut => {
                        behind_mid.push(place);
                        mid.extend(entry.iter().zip(prefix.attn_out(layer, *row, *from)).map(|(x, y)| x + y));
                    }
                    Part::Head(head) => {
                        behind_z.push(place);
                        pre.extend_from_slice(entry);
                        let start = z.len() + head * width / self.heads;
                        z.extend_from_slice(prefix.z(layer, self.row, *at));
                        let new = self.values(job.part, *row, *from);
                        z[start..start + new.len()].copy_from_slice(new);
                    }
                }
            }
        }
        let row = |values: Vec<f32>| Tensor::new([1, values.len() / width, width], values);
        let mut finish = |places: Vec<usize>, inside: Inside<f32>| -> Result<()> {
            let done = self.towers.finish_block(tape, (self.tower, layer), inside, &mut ())?;
            let tokens = places.iter().zip(done.data().chunks(width));
            tokens.for_each(|(place, token)| streams[*place..][..width].copy_from_slice(token));
            Ok(())
        };
        if !behind_mid.is_empty() {
            finish(behind_mid, Inside::Mid(row(mid)))?;
        }
        if !behind_z.is_empty() {
            let z = Tensor::new([1, behind_z.len(), self.heads, width / self.heads], z);
            finish(behind_z, Inside::Z { z, pre: row(pre) })?;
        }
        Ok(Tensor::new([jobs.len(), prefix.tokens, width], streams))
    }
}
