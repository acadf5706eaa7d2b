//! Architectures of timm: a name stands for the arguments of a class, which no file repeats.
//!
//! `vit_base_patch16_224` is a plain transformer, and what stands between patch and size varies it. The arguments that a name gives
//! can be changed by a file (`model_args`). Architectures with other parts (hybrid stems, relative positions, parallel blocks) are
//! refused by name.

use super::{Biases, HeadConfig, Positions, Rotary, TowerConfig, VisionConfig, VisionPooling, section::Section};
use crate::engine::Activation;
use crate::model::layout::{Qkv, TimmNames};
use crate::{Error, Result};

/// The arguments of timm's classes `VisionTransformer` and `Eva`, with the defaults that both have.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are the class's own arguments")]
pub(super) struct Architecture {
    pub(super) image: usize,
    patch: usize,
    width: usize,
    layers: usize,
    heads: usize,
    mlp_ratio: f64,
    qkv_bias: bool,
    layer_scale: bool,
    class_token: bool,
    /// `no_embed_class`: only patches have positions.
    patches_only: bool,
    registers: usize,
    norm_pre: bool,
    /// `global_pool`.
    pub(super) pool: Pool,
    /// `fc_norm`; where it is not said, by the pooling.
    fc_norm: Option<bool>,
    activation: Activation,
    eps: f64,
    eva: Option<Eva>,
}

/// What the class `Eva` has beside.
#[derive(Clone, Copy, Debug)]
struct Eva {
    qkv: Qkv,
    /// SwiGLU, and layer norms inside attention and MLP.
    second: bool,
    rotary: Option<Rotary>,
    head: Option<(usize, f64)>,
}

/// How timm pools tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    Token,
    Average,
    Map,
}

impl Pool {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "token" => Self::Token,
            "avg" => Self::Average,
            "map" => Self::Map,
            _ => return None,
        })
    }
}

/// Width, layers, heads and ratio of hidden units of a size.
type Size = (usize, usize, usize, f64);

fn size(name: &str) -> Option<Size> {
    Some(match name {
        "tiny" => (192, 12, 3, 4.0),
        "xsmall" => (256, 10, 4, 4.0),
        "wee" => (256, 14, 4, 5.0),
        "little" => (320, 14, 5, 5.6),
        "small" => (384, 12, 6, 4.0),
        "medium" => (512, 12, 8, 4.0),
        "mediumd" => (512, 20, 8, 4.0),
        "betwixt" => (640, 12, 10, 4.0),
        "base" => (768, 12, 12, 4.0),
        "large" => (1024, 24, 16, 4.0),
        "so400m" => (1152, 27, 16, 3.7362),
        "huge" => (1280, 32, 16, 4.0),
        "giant" => (1408, 40, 16, 48.0 / 11.0),
        "giantopt" => (1536, 40, 16, 4.0),
        "gigantic" => (1664, 48, 16, 64.0 / 13.0),
        _ => return None,
    })
}

/// SigLIP's towers with the approximate GELU; the others have the exact one.
const TANH: [&str; 7] = [
    "vit_base_patch32_siglip_256",
    "vit_large_patch16_siglip_512",
    "vit_so400m_patch16_siglip_256",
    "vit_so400m_patch16_siglip_384",
    "vit_so400m_patch16_siglip_512",
    "vit_giantopt_patch16_siglip_256",
    "vit_giantopt_patch16_siglip_384",
];

/// Sizes of plain transformers.
const PLAIN: [&str; 7] = ["tiny", "small", "base", "large", "huge", "giant", "gigantic"];

fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|n| (1..=8192).contains(n) && !text.starts_with(['+', '0']))
}

impl Architecture {
    /// What `name` stands for; `place` is where it was read.
    pub(super) fn find(name: &str, place: &str) -> Result<Self> {
        let found = Self::vit(name).or_else(|| Self::deit(name)).or_else(|| Self::of_eva(name));
        found.filter(|found| found.patch <= found.image).ok_or_else(|| {
            let expected = "an architecture of timm that is known (vit_*, also clip, siglip, gap and reg*_gap; deit_*, deit3_*; \
                            eva_giant_patch14_*, eva02_*_clip_*; vit_pe_core_*)";
            Error::mismatch(place, expected, format!("`{}`", super::shown(name)))
        })
    }

    fn plain((width, layers, heads, mlp_ratio): Size, patch: usize, image: usize) -> Self {
        Self {
            image,
            patch,
            width,
            layers,
            heads,
            mlp_ratio,
            qkv_bias: true,
            layer_scale: false,
            class_token: true,
            patches_only: false,
            registers: 0,
            norm_pre: false,
            pool: Pool::Token,
            fc_norm: None,
            activation: Activation::Gelu,
            eps: 1e-6,
            eva: None,
        }
    }

    /// `vit_SIZE_patchPATCH_[KIND_]IMAGE`.
    fn vit(name: &str) -> Option<Self> {
        let (of_size, rest) = name.strip_prefix("vit_")?.split_once("_patch")?;
        let (patch, rest) = rest.split_once('_')?;
        if rest == "dinov2" || rest == "reg4_dinov2" {
            let sizes = ["small", "base", "large"];
            let plain = Self::plain(size(of_size).filter(|_| sizes.contains(&of_size))?, number(patch)?, 518);
            let registers = if rest == "dinov2" { 0 } else { 4 };
            return Some(Self { layer_scale: true, registers, patches_only: registers > 0, ..plain });
        }
        let (kind, image) = rest.rsplit_once('_').map_or(("", rest), |(kind, image)| (kind, image));
        let plain = Self::plain(size(of_size)?, number(patch)?, number(image)?);
        let tanh = TANH.contains(&name.replace("_gap_", "_").as_str());
        let siglip = Self {
            class_token: false,
            activation: if tanh { Activation::GeluTanh } else { Activation::Gelu },
            ..plain.clone()
        };
        let clip = Self { norm_pre: true, eps: 1e-5, ..plain.clone() };
        match kind {
            "" if PLAIN.contains(&of_size) => Some(plain),
            "clip" => Some(clip),
            "clip_quickgelu" => Some(Self { activation: Activation::QuickGelu, ..clip }),
            "plus_clip" if of_size == "base" => Some(Self { width: 896, heads: 14, ..clip }),
            "siglip" => Some(Self { pool: Pool::Map, ..siglip }),
            "siglip_gap" => Some(Self { pool: Pool::Average, fc_norm: Some(false), ..siglip }),
            "gap" => {
                let gap = Self { class_token: false, pool: Pool::Average, fc_norm: Some(false), ..plain };
                match of_size {
                    "medium" | "betwixt" => Some(Self { qkv_bias: false, layer_scale: true, ..gap }),
                    "base" => Some(Self { heads: 16, ..gap }),
                    "huge" | "giant" => Some(gap),
                    _ => None,
                }
            }
            "reg1_gap" | "reg4_gap" => {
                let registers = if kind == "reg1_gap" { 1 } else { 4 };
                let sizes = ["wee", "little", "medium", "mediumd", "betwixt", "base"];
                sizes.contains(&of_size).then_some(Self {
                    class_token: false,
                    patches_only: true,
                    registers,
                    pool: Pool::Average,
                    layer_scale: of_size != "base",
                    ..plain
                })
            }
            _ => None,
        }
    }

    /// `deit_SIZE_patch16_IMAGE` and `deit3_SIZE_patchPATCH_IMAGE`.
    fn deit(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('_')?;
        let (of_size, rest) = rest.split_once("_patch")?;
        let (patch, image) = rest.split_once('_')?;
        let plain = Self::plain(size(of_size)?, number(patch)?, number(image)?);
        match kind {
            "deit" if ["tiny", "small", "base"].contains(&of_size) => Some(plain),
            "deit3" if ["small", "medium", "base", "large", "huge"].contains(&of_size) => {
                Some(Self { patches_only: true, layer_scale: true, ..plain })
            }
            _ => None,
        }
    }

    fn of_eva(name: &str) -> Option<Self> {
        if let Some(rest) = name.strip_prefix("vit_pe_core_") {
            return Self::perception(rest);
        }
        let first = Eva { qkv: Qkv::WithoutKeyBias, second: false, rotary: None, head: None };
        let giant = |image| Self {
            mlp_ratio: 6144.0 / 1408.0,
            eva: Some(first),
            pool: Pool::Average,
            ..Self::plain((1408, 40, 16, 0.0), 14, image)
        };
        if let Some(image) = name.strip_prefix("eva_giant_patch14_") {
            return match image.strip_prefix("clip_") {
                Some(image) => Some(Self { pool: Pool::Token, ..giant(number(image)?) }),
                None => Some(giant(number(image)?)),
            };
        }
        let rest = name.strip_prefix("eva02_")?;
        let (of_size, rest) = rest.split_once("_patch")?;
        let (patch, image) = rest.split_once("_clip_")?;
        let (image, patch) = (number(image)?, number(patch)?);
        let (width, layers, heads, _) = match of_size {
            "base" | "large" => size(of_size)?,
            _ => return None,
        };
        let rotary = Rotary::Indexed { first: 0.0, reference: 16, columns_first: false };
        let eva = Eva { qkv: Qkv::Separate, second: true, rotary: Some(rotary), head: None };
        let plain = Self::plain((width, layers, heads, 4.0 * 2.0 / 3.0), patch, image);
        Some(Self { activation: Activation::Silu, eva: Some(eva), ..plain })
    }

    /// PE-Core (arXiv 2504.13181).
    fn perception(rest: &str) -> Option<Self> {
        let (of_size, rest) = rest.split_once("_patch")?;
        let (patch, image) = rest.split_once('_')?;
        let (size, reference) = match of_size {
            "tiny" | "small" | "large" => (size(of_size)?, 24),
            "base" => (size(of_size)?, 14),
            "gigantic" => ((1536, 50, 16, 8960.0 / 1536.0), 32),
            _ => return None,
        };
        let class = of_size != "gigantic";
        let rotary = Rotary::Indexed { first: if class { 1.0 } else { 0.0 }, reference, columns_first: true };
        let eva = Eva { qkv: Qkv::Packed, second: false, rotary: Some(rotary), head: Some((8, 4.0)) };
        Some(Self {
            class_token: class,
            norm_pre: true,
            pool: Pool::Map,
            eps: 1e-5,
            eva: Some(eva),
            ..Self::plain(size, number(patch)?, number(image)?)
        })
    }

    /// Changes the arguments that `model_args` names.
    pub(super) fn change(&mut self, section: &Section) -> Result<()> {
        let known = [
            &["img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias", "init_values"][..],
            &["class_token", "no_embed_class", "reg_tokens", "pre_norm", "global_pool", "fc_norm", "act_layer"],
        ]
        .concat();
        let inert = [
            &["num_classes", "drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate"][..],
            &["drop_path_rate", "weight_init", "fix_init", "dynamic_img_size", "dynamic_img_pad"],
        ]
        .concat();
        let neutral = [("in_chans", 3.into()), ("qk_norm", false.into()), ("final_norm", true.into())];
        section.only(&known, &inert, &neutral)?;
        if self.eva.is_some() {
            section.only(&["img_size", "embed_dim", "depth", "num_heads", "global_pool"], &inert, &neutral)?;
        }
        let has = |key: &str| section.find(key).is_some();
        for (key, value) in [
            ("img_size", &mut self.image),
            ("patch_size", &mut self.patch),
            ("embed_dim", &mut self.width),
            ("depth", &mut self.layers),
            ("num_heads", &mut self.heads),
        ] {
            if has(key) {
                *value = section.side(key)?;
            }
        }
        if has("mlp_ratio") {
            self.mlp_ratio = section.number("mlp_ratio", 0.01..=1000.0)?;
        }
        for (key, value) in [
            ("qkv_bias", &mut self.qkv_bias),
            ("class_token", &mut self.class_token),
            ("no_embed_class", &mut self.patches_only),
            ("pre_norm", &mut self.norm_pre),
        ] {
            if has(key) {
                *value = section.flag(key)?;
            }
        }
        self.layer_scale |= has("init_values");
        if has("reg_tokens") {
            self.registers = section.at_least("reg_tokens", 0)?;
        }
        if has("fc_norm") {
            self.fc_norm = Some(section.flag("fc_norm")?);
        }
        if has("act_layer") {
            self.activation = match section.text("act_layer")? {
                "gelu" => Activation::Gelu,
                "gelu_tanh" => Activation::GeluTanh,
                "quick_gelu" => Activation::QuickGelu,
                other => {
                    let got = format!("`{}`", super::shown(other));
                    return Err(Error::mismatch(section.key("act_layer"), "`gelu`, `gelu_tanh` or `quick_gelu`", got));
                }
            };
        }
        if has("global_pool") {
            self.pool = pool(section, "global_pool")?;
        }
        Ok(())
    }

    /// The tower, and how its weights are named; `place` is where its name was read.
    pub(super) fn tower(&self, place: &str) -> Result<(VisionConfig, TimmNames)> {
        let refuse = |expected: &str, got: &dyn std::fmt::Display| Err(Error::mismatch(place, expected, got));
        if self.width == 0 || !self.width.is_multiple_of(self.heads) {
            return refuse(&format!("heads that divide the width ({})", self.width), &self.heads);
        }
        if self.patch > self.image {
            return refuse(&format!("patches of at most {} pixels", self.image), &self.patch);
        }
        if self.pool == Pool::Token && !self.class_token {
            return refuse("a class token, where it is what is pooled", &"none");
        }
        if self.pool == Pool::Map && self.eva.is_none() && (self.class_token || self.registers > 0) {
            return refuse("patches alone, where a query attends to them", &"tokens before the patches");
        }
        if self.registers > 0 && !self.patches_only {
            return refuse("registers without positions (`no_embed_class`)", &"registers with positions");
        }
        let mlp = (self.width as f64 * self.mlp_ratio) as usize;
        if mlp == 0 {
            return refuse("an MLP of at least one hidden unit", &"none");
        }
        let eva = self.eva;
        let rotary = eva.and_then(|eva| eva.rotary);
        if rotary.is_some() && !(self.width / self.heads).is_multiple_of(4) {
            return refuse("heads whose width is a multiple of 4", &(self.width / self.heads));
        }
        let second = eva.is_some_and(|eva| eva.second);
        let qkv = eva.map_or(Qkv::Packed, |eva| eva.qkv);
        let biases = Biases { key: self.qkv_bias && qkv == Qkv::Packed, ..Biases::with_qkv(self.qkv_bias) };
        let norm_after_pooling = self.fc_norm.unwrap_or(self.pool == Pool::Average);
        let head = eva.and_then(|eva| eva.head);
        let vision = VisionConfig {
            tower: TowerConfig {
                width: self.width,
                layers: self.layers,
                heads: self.heads,
                mlp,
                activation: self.activation,
                eps: self.eps,
                biases,
                gated: second,
                layer_scale: self.layer_scale,
                attention_norm: second,
                mlp_norm: second,
            },
            image: self.image,
            patch: self.patch,
            patch_bias: !self.norm_pre,
            class_token: self.class_token,
            class_position: !self.patches_only,
            distillation: false,
            registers: self.registers,
            norm_pre: self.norm_pre,
            positions: Positions::Learned,
            rotary,
            pooling: Some(match self.pool {
                Pool::Token => VisionPooling::Class,
                Pool::Average => VisionPooling::Mean,
                Pool::Map => VisionPooling::Attention,
            }),
            head: head.map(|(heads, ratio)| HeadConfig { heads, mlp: (self.width as f64 * ratio) as usize }),
            norm_after_pooling,
            projection: None,
            projection_bias: false,
        };
        if head.is_some_and(|(heads, _)| !self.width.is_multiple_of(heads)) {
            return refuse("a width that is a multiple of the head's 8 heads", &self.width);
        }
        Ok((vision, TimmNames { eva: eva.is_some(), qkv, norm_after_pooling }))
    }
}

/// A way of pooling.
pub(super) fn pool(section: &Section, key: &str) -> Result<Pool> {
    let text = section.text(key)?;
    let wrong = || Error::mismatch(section.key(key), "`token`, `avg` or `map`", format!("`{}`", super::shown(text)));
    Pool::parse(text).ok_or_else(wrong)
}
