//! What a forward costs, counted from shapes.
//!
//! Every product counts, attention's included, two operations for each of its multiplications and additions. Norms, activations,
//! the softmax and sums of streams do not: they are some per mille. A causal mask saves nothing here.

use crate::model::{ModelConfig, TextConfig, TowerConfig, VisionConfig, VisionPooling};

/// Operations of `[rows, inner] @ [inner, columns]`.
fn product(rows: usize, inner: usize, columns: usize) -> u64 {
    2 * rows as u64 * inner as u64 * columns as u64
}

impl TowerConfig {
    /// Attention of `queries` to `keys` tokens with its four maps, and the MLP of each query.
    fn block(&self, queries: usize, keys: usize) -> u64 {
        let (d, maps) = (self.width, if self.gated { 3 } else { 2 });
        let projections = 2 * product(queries, d, d) + 2 * product(keys, d, d);
        // Over all heads, scores and mixed values take the products of one head of full width.
        let attention = 2 * product(queries, d, keys);
        projections + attention + maps * product(queries, d, self.mlp)
    }

    fn blocks(&self, tokens: usize) -> u64 {
        self.layers as u64 * self.block(tokens, tokens)
    }
}

impl VisionConfig {
    /// Operations of the forward of one image.
    pub fn flops(&self) -> u64 {
        let d = self.tower.width;
        let head =
            if self.pooling == Some(VisionPooling::Attention) { self.head_tower().block(1, self.tokens()) } else { 0 };
        let projection = self.projection.map_or(0, |to| product(1, d, to));
        self.patch_flops() + self.tower.blocks(self.tokens()) + head + projection
    }

    /// Of these, what a forward leaves out of the last block where one token is read behind it and nobody sees the others.
    pub fn unread_flops(&self) -> u64 {
        let reads_one = self.pooling == Some(VisionPooling::Class) && self.rotary.is_none() && self.tower.layers > 0;
        let tokens = self.tokens();
        if reads_one { self.tower.block(tokens, tokens) - self.tower.block(1, tokens) } else { 0 }
    }

    /// Of these, the patch embedding's.
    pub fn patch_flops(&self) -> u64 {
        product(self.patches(), 3 * self.patch * self.patch, self.tower.width)
    }
}

impl TextConfig {
    /// Operations of the forward of one text of `tokens` ids.
    pub fn flops(&self, tokens: usize) -> u64 {
        let projection = if self.projected { product(1, self.tower.width, self.projection) } else { 0 };
        self.tower.blocks(tokens) + projection
    }
}

impl ModelConfig {
    /// Operations of one update on `pairs` images and as many texts of `tokens` ids: forward, contrastive loss and backward.
    ///
    /// A product's backward is two of its size, one for each operand. The patch embedding's is one, since pixels need no gradient.
    /// The update of the weights is not counted. Without a text tower only the images count.
    pub fn training_flops(&self, pairs: usize, tokens: usize) -> u64 {
        let text = self.text.as_ref().map_or(0, |text| text.flops(tokens));
        let width = self.vision.embedding().unwrap_or_default();
        let forward = pairs as u64 * (self.vision.flops() + text) + product(pairs, width, pairs);
        3 * forward - pairs as u64 * self.vision.patch_flops()
    }
}
