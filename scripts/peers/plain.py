"""CLIP as plain PyTorch modules: the models of the lab and the small CLIP whose training is measured."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, tokens, width = x.shape
        by_head = self.qkv(self.norm1(x)).view(rows, tokens, 3, self.heads, width // self.heads)
        q, k, v = by_head.permute(2, 0, 3, 1, 4)
        z = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(z.transpose(1, 2).reshape(rows, tokens, width))
        hidden = self.up(self.norm2(x))
        return x + self.down(hidden * torch.sigmoid(1.702 * hidden))


class Vision(nn.Module):
    """`[image, 3, row, column]` -> `[image, unit]`."""

    def __init__(self, shape):
        super().__init__()
        d = shape.width
        self.patches = nn.Conv2d(3, d, shape.patch, shape.patch, bias=False)
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.positions = nn.Parameter(0.02 * torch.randn(1, shape.patches + 1, d))
        self.norm_pre, self.norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.blocks = nn.ModuleList(Block(d, shape.heads, False) for _ in range(shape.layers))
        self.projection = nn.Linear(d, shape.embedding, bias=False)

    def forward(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = self.norm_pre(torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.positions)
        for block in self.blocks:
            x = block(x)
        return self.projection(self.norm(x[:, 0]))


class Text(nn.Module):
    """Ids `[text, token]` -> `[text, unit]`, read at the last token."""

    def __init__(self, width, layers, heads, vocabulary, positions, embedding):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(1, positions, width))
        self.blocks = nn.ModuleList(Block(width, heads, True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, embedding, bias=False)

    def forward(self, ids):
        x = self.table(ids) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.projection(self.norm(x)[:, -1])


class Clip(nn.Module):
    """The contrastive loss of images and their texts."""

    def __init__(self, vision, text):
        super().__init__()
        self.vision, self.text = vision, text
        self.scale = nn.Parameter(torch.tensor(2.6593))

    def forward(self, pixels, ids):
        images = functional.normalize(self.vision(pixels))
        texts = functional.normalize(self.text(ids))
        logits = images @ texts.T * self.scale.exp()
        right = torch.arange(len(logits))
        return (functional.cross_entropy(logits, right) + functional.cross_entropy(logits.T, right)) / 2
