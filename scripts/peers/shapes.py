"""The shapes that `snellen bench-engine` knows by name, and what their forward costs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A CLIP vision tower; its MLP is four times as wide."""

    width: int
    layers: int
    heads: int
    image: int
    patch: int
    embedding: int

    @property
    def patches(self):
        return (self.image // self.patch) ** 2

    def flops(self):
        """Two operations for each multiplication and addition of all products, attention's included, of one image."""
        d, t = self.width, self.patches + 1
        layer = 4 * 2 * t * d * d + 2 * 2 * t * t * d + 2 * 2 * t * d * 4 * d
        return 2 * self.patches * 3 * self.patch**2 * d + self.layers * layer + 2 * d * self.embedding

    def unread(self):
        """Of these, what only tokens of the last block need that nobody reads."""
        d, t = self.width, self.patches
        return 2 * 2 * t * d * d + 2 * 2 * t * (t + 1) * d + 2 * 2 * t * d * 4 * d


SHAPES = {
    "vit-l-14": Shape(1024, 24, 16, 224, 14, 768),
    "vit-b-32": Shape(768, 12, 12, 224, 32, 512),
    "vit-b-16": Shape(768, 12, 12, 224, 16, 512),
    "lab": Shape(96, 4, 4, 48, 8, 64),
}
