//! How checkpoints name their weights.
//!
//! The towers ask for weights under one set of names, those of CLIP in `transformers` (`vision_model.encoder.layers.0.mlp.fc1.weight`),
//! with a few more for what CLIP lacks. A [`Layout`] says where in a file such a weight stands: under which name, and which part
//! of that tensor it is.

/// A way of naming weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// CLIP and SigLIP as `transformers` has them.
    Transformers {
        /// Whether the tower stands inside a larger model, whose other weights are none of its business.
        inside: bool,
    },
    /// ViT and DeiT as `transformers` has them.
    Vit,
    /// DINOv2 as `transformers` has it.
    Dinov2,
    /// DINOv3 as `transformers` has it.
    Dinov3,
    /// CLIP as OpenCLIP and OpenAI's own code have it.
    OpenClip,
    /// OpenCLIP's text tower beside a vision tower of timm.
    OpenClipTimm(TimmNames),
    /// A vision tower of timm by itself.
    Timm(TimmNames),
}

/// What differs among the names of timm's towers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimmNames {
    /// Whether the class is `Eva`.
    pub eva: bool,
    /// How queries, keys and values lie.
    pub qkv: Qkv,
    /// Whether the last layer norm stands behind the pooling, where it has another name.
    pub norm_after_pooling: bool,
}

/// How the maps of queries, keys and values lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qkv {
    /// In one tensor, and their biases in another.
    Packed,
    /// The weights in one tensor; the biases apart, and none of keys.
    WithoutKeyBias,
    /// Each by itself, without a bias of keys.
    Separate,
}

/// Where a weight stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) struct Place {
    /// The tensor's name in the file.
    pub(in crate::model) name: String,
    /// What of it.
    pub(in crate::model) part: Part,
}

/// Which part of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Part {
    /// All of it. Axes of length 1 before the others may come or go.
    Whole,
    /// One of as many equal blocks of rows.
    Rows {
        /// Which.
        block: usize,
        /// Of how many.
        of: usize,
    },
    /// All of it, rows and columns exchanged.
    Transposed,
}

impl Layout {
    /// The name that ends with this is where the vision tower begins.
    pub(in crate::model) fn landmark(self, text: bool) -> &'static str {
        match (self, text) {
            (Self::Transformers { .. }, false) => "embeddings.patch_embedding.weight",
            (Self::Transformers { .. }, true) => "embeddings.token_embedding.weight",
            (Self::Vit | Self::Dinov2, _) => "embeddings.patch_embeddings.projection.weight",
            (Self::Dinov3, _) => "embeddings.patch_embeddings.weight",
            (Self::OpenClip, false) => "conv1.weight",
            (Self::OpenClipTimm(_) | Self::Timm(_), false) => "patch_embed.proj.weight",
            (Self::OpenClip | Self::OpenClipTimm(_) | Self::Timm(_), _) => "token_embedding.weight",
        }
    }

    /// Tensors that hold nothing that the forward reads.
    pub(in crate::model) fn ignores(self, name: &str) -> bool {
        name.ends_with(".position_ids")
            || match self {
                Self::Transformers { .. } | Self::Timm(_) => false,
                Self::Vit | Self::Dinov2 | Self::Dinov3 => name.ends_with("embeddings.mask_token"),
                Self::OpenClip | Self::OpenClipTimm(_) => {
                    matches!(name, "input_resolution" | "context_length" | "vocab_size") || name.ends_with("attn_mask")
                }
            }
    }

    /// What stands before the names of both towers, given what stands before those of the vision tower: what the whole is wrapped in.
    /// `None` where the tower has no name inside the whole.
    pub(in crate::model) fn outer(self, vision: &str) -> Option<&str> {
        let tower = match self {
            Self::OpenClip => "visual.",
            Self::OpenClipTimm(_) => "visual.trunk.",
            _ => "vision_model.",
        };
        vision.strip_suffix(tower)
    }

    /// Where the weight that the towers call `name` stands; `vision` and `text` are the prefixes of the towers in the file.
    pub(in crate::model) fn place(self, name: &str, vision: &str, text: &str) -> Place {
        let whole = |name: String| Place { name, part: Part::Whole };
        if let Some(rest) = name.strip_prefix("vision_model.") {
            return match self {
                Self::Transformers { .. } => transformers(rest).under(vision),
                Self::Vit => vit(rest).under(vision),
                Self::Dinov2 => dinov2(rest).under(vision),
                Self::Dinov3 => dinov3(rest).under(vision),
                Self::OpenClip => open_clip(rest).under(vision),
                Self::OpenClipTimm(names) | Self::Timm(names) => timm(rest, names).under(vision),
            };
        }
        if let Some(rest) = name.strip_prefix("text_model.") {
            return match self {
                Self::OpenClip | Self::OpenClipTimm(_) => open_clip_text(rest).under(text),
                _ => transformers(rest).under(text),
            };
        }
        match (self, name) {
            (Self::OpenClip, "visual_projection.weight") => {
                Place { name: format!("{vision}proj"), part: Part::Transposed }
            }
            // timm's classifier is what projects.
            (Self::OpenClipTimm(_), "visual_projection.weight") => whole(format!("{vision}head.weight")),
            (Self::OpenClipTimm(_), "visual_projection.bias") => whole(format!("{vision}head.bias")),
            (Self::OpenClip | Self::OpenClipTimm(_), "text_projection.weight") => {
                Place { name: format!("{text}text_projection"), part: Part::Transposed }
            }
            // With a bias it is a linear map as any other.
            (Self::OpenClip | Self::OpenClipTimm(_), "text_head.weight") => {
                whole(format!("{text}text_projection.weight"))
            }
            (Self::OpenClip | Self::OpenClipTimm(_), "text_head.bias") => whole(format!("{text}text_projection.bias")),
            (_, "text_head.weight") => whole(format!("{text}head.weight")),
            (_, "text_head.bias") => whole(format!("{text}head.bias")),
            _ => whole(format!("{}{name}", self.outer(vision).unwrap_or_default())),
        }
    }
}

impl Layout {
    /// Where the weight stands that the vision tower calls `name`, in files with the names that `transformers` 5 has in memory:
    /// `state_dict()` gives these, `save_pretrained` the older ones. `None` where there are no others.
    pub(in crate::model) fn in_memory(self, name: &str, vision: &str) -> Option<Place> {
        let rest = name.strip_prefix("vision_model.")?;
        let (mut place, renamed): (Place, &[(&str, &str)]) = match self {
            Self::Vit => (vit(rest), &OF_VIT),
            Self::Dinov2 => (dinov2(rest), &OF_DINOV2),
            Self::Dinov3 => (dinov3(rest), &[]),
            _ => return None,
        };
        for (old, new) in renamed {
            place.name = place.name.replace(old, new);
        }
        if self == Self::Dinov3 && place.name.starts_with("layer.") {
            place.name.insert_str(0, "model.");
        }
        if let Part::Rows { block, .. } = place.part {
            let (ours, theirs) = ("mlp.weights_in.", ["mlp.gate_proj.", "mlp.up_proj."][block]);
            place = Place { name: place.name.replace(ours, theirs), part: Part::Whole };
        }
        Some(place.under(vision))
    }
}

/// Names of files, and in memory.
const OF_VIT: [(&str, &str); 7] = [
    ("encoder.layer.", "layers."),
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
];

/// The same of DINOv2.
const OF_DINOV2: [(&str, &str); 5] = [
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("mlp.weights_out.", "mlp.down_proj."),
];

impl Place {
    fn under(mut self, prefix: &str) -> Self {
        self.name.insert_str(0, prefix);
        self
    }
}

/// Query, key and value packed under one name: `q_proj.weight` -> block 0 of `<packed>weight`.
fn packed(name: &str, packed: &str) -> Option<Place> {
    for (block, letter) in ["q_proj.", "k_proj.", "v_proj."].into_iter().enumerate() {
        if let Some((before, after)) = name.split_once(letter) {
            return Some(Place { name: format!("{before}{packed}{after}"), part: Part::Rows { block, of: 3 } });
        }
    }
    None
}

fn transformers(rest: &str) -> Place {
    // The head is PyTorch's own attention module.
    match rest.strip_prefix("head.").and_then(|_| packed(rest, "in_proj_")) {
        Some(place) => place,
        None => Place { name: rest.to_owned(), part: Part::Whole },
    }
}

fn vit(rest: &str) -> Place {
    let name = match rest {
        "embeddings.class_embedding" => "embeddings.cls_token".to_owned(),
        "embeddings.position_embedding.weight" => "embeddings.position_embeddings".to_owned(),
        _ => rest
            .replace("embeddings.patch_embedding.", "embeddings.patch_embeddings.projection.")
            .replace("encoder.layers.", "encoder.layer.")
            .replace("layer_norm1", "layernorm_before")
            .replace("layer_norm2", "layernorm_after")
            .replace("post_layernorm", "layernorm")
            .replace("self_attn.q_proj", "attention.attention.query")
            .replace("self_attn.k_proj", "attention.attention.key")
            .replace("self_attn.v_proj", "attention.attention.value")
            .replace("self_attn.out_proj", "attention.output.dense")
            .replace("mlp.fc1", "intermediate.dense")
            .replace("mlp.fc2", "output.dense"),
    };
    Place { name, part: Part::Whole }
}

fn dinov3(rest: &str) -> Place {
    let name = match rest {
        "embeddings.class_embedding" => "embeddings.cls_token".to_owned(),
        _ => rest
            .replace("embeddings.patch_embedding.", "embeddings.patch_embeddings.")
            .replace("encoder.layers.", "layer.")
            .replace("post_layernorm", "norm")
            .replace("layer_norm", "norm")
            .replace("self_attn.out_proj", "attention.o_proj")
            .replace("self_attn.", "attention.")
            .replace("mlp.fc1.", "mlp.up_proj.")
            .replace("mlp.fc2.", "mlp.down_proj.")
            .replace("mlp.gate.", "mlp.gate_proj.")
            .replace("mlp.up.", "mlp.up_proj.")
            .replace("mlp.down.", "mlp.down_proj."),
    };
    let scale = name.ends_with(".layer_scale1") || name.ends_with(".layer_scale2");
    Place { name: if scale { format!("{name}.lambda1") } else { name }, part: Part::Whole }
}

fn dinov2(rest: &str) -> Place {
    let name = match rest {
        "embeddings.class_embedding" => "embeddings.cls_token".to_owned(),
        "embeddings.position_embedding.weight" => "embeddings.position_embeddings".to_owned(),
        _ => rest
            .replace("embeddings.patch_embedding.", "embeddings.patch_embeddings.projection.")
            .replace("encoder.layers.", "encoder.layer.")
            .replace("layer_norm", "norm")
            .replace("post_layernorm", "layernorm")
            .replace("self_attn.q_proj", "attention.attention.query")
            .replace("self_attn.k_proj", "attention.attention.key")
            .replace("self_attn.v_proj", "attention.attention.value")
            .replace("self_attn.out_proj", "attention.output.dense"),
    };
    let name = match name.strip_suffix(".layer_scale1").or_else(|| name.strip_suffix(".layer_scale2")) {
        Some(_) => format!("{name}.lambda1"),
        None => name,
    };
    // Gate and linear map lie in one tensor; the map back has another name than an ordinary MLP's.
    for (ours, theirs, part) in [
        ("mlp.gate.", "mlp.weights_in.", Part::Rows { block: 0, of: 2 }),
        ("mlp.up.", "mlp.weights_in.", Part::Rows { block: 1, of: 2 }),
        ("mlp.down.", "mlp.weights_out.", Part::Whole),
    ] {
        if name.contains(ours) {
            return Place { name: name.replace(ours, theirs), part };
        }
    }
    Place { name, part: Part::Whole }
}

fn open_clip(rest: &str) -> Place {
    let name = match rest {
        "embeddings.class_embedding" => "class_embedding".to_owned(),
        "embeddings.position_embedding.weight" => "positional_embedding".to_owned(),
        "embeddings.patch_embedding.weight" => "conv1.weight".to_owned(),
        _ => rest.replace("pre_layrnorm.", "ln_pre.").replace("post_layernorm.", "ln_post."),
    };
    open_clip_block(&name)
}

fn open_clip_text(rest: &str) -> Place {
    let name = match rest {
        "embeddings.token_embedding.weight" => "token_embedding.weight".to_owned(),
        "embeddings.position_embedding_res.weight" => "positional_embedding_res".to_owned(),
        "embeddings.position_embedding.weight" => "positional_embedding".to_owned(),
        _ => rest.replace("final_layer_norm.", "ln_final."),
    };
    open_clip_block(&name)
}

fn open_clip_block(name: &str) -> Place {
    let name = name
        .replace("encoder.layers.", "transformer.resblocks.")
        .replace("layer_norm", "ln_")
        .replace("self_attn.", "attn.")
        .replace("mlp.fc1.", "mlp.c_fc.")
        .replace("mlp.fc2.", "mlp.c_proj.");
    let name = match name.rsplit_once(".layer_scale") {
        Some((before, number)) => format!("{before}.ls_{number}.gamma"),
        None => name,
    };
    packed(&name, "in_proj_").unwrap_or(Place { name, part: Part::Whole })
}

fn timm(rest: &str, names: TimmNames) -> Place {
    let whole = |name: String| Place { name, part: Part::Whole };
    let name = match rest {
        "embeddings.class_embedding" => "cls_token".to_owned(),
        "embeddings.register_tokens" => "reg_token".to_owned(),
        "embeddings.position_embedding.weight" => "pos_embed".to_owned(),
        "head.probe" => "attn_pool.latent".to_owned(),
        _ => rest
            .replace("embeddings.patch_embedding.", "patch_embed.proj.")
            .replace("encoder.layers.", "blocks.")
            .replace("pre_layrnorm.", "norm_pre.")
            .replace("layer_norm", "norm")
            .replace("post_layernorm.", if names.norm_after_pooling { "fc_norm." } else { "norm." })
            .replace("head.layernorm.", "head.norm.")
            .replace("mlp.gate.", "mlp.fc1_g.")
            .replace("mlp.up.", "mlp.fc1_x.")
            .replace("mlp.down.", "mlp.fc2.")
            .replace("self_attn.", "attn.")
            .replace("out_proj.", "proj."),
    };
    if let Some(head) = name.strip_prefix("head.") {
        return timm_head(head);
    }
    if let Some((before, number)) = name.rsplit_once(".layer_scale") {
        return whole(if names.eva {
            format!("{before}.gamma_{number}")
        } else {
            format!("{before}.ls{number}.gamma")
        });
    }
    match (names.qkv, name.strip_suffix("_proj.bias")) {
        (Qkv::WithoutKeyBias, Some(letter)) => whole(format!("{letter}_bias")),
        (Qkv::Separate, _) => whole(name),
        _ => packed(&name, "qkv.").unwrap_or(Place { name, part: Part::Whole }),
    }
}

/// Of the maps of the attention that pools only key and value lie together.
fn timm_head(name: &str) -> Place {
    let name = name.replace("attention.", "").replace("q_proj.", "q.");
    let (name, part) = match (name.strip_prefix("k_proj."), name.strip_prefix("v_proj.")) {
        (Some(rest), _) => (format!("kv.{rest}"), Part::Rows { block: 0, of: 2 }),
        (_, Some(rest)) => (format!("kv.{rest}"), Part::Rows { block: 1, of: 2 }),
        _ => (name, Part::Whole),
    };
    Place { name: format!("attn_pool.{name}"), part }
}
