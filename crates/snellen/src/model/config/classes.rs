//! What the configuration classes of `transformers` know: keys, and the defaults of what a file leaves out.

use serde_json::{Map, Value, json};

/// Keys that `transformers` writes into files of any class, and that have no effect on the forward: not worth a word.
pub(super) const INERT: &[&str] = &[
    // Since 5.0; what earlier releases pruned is in the shapes of the weights.
    "pruned_heads",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_commit_hash",
    "_experts_implementation",
    "_experts_implementation_internal",
    "_name_or_path",
    "add_cross_attention",
    "apply_layernorm",
    "architectures",
    "attention_dropout",
    "attn_implementation",
    "attention_probs_dropout_prob",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "drop_path_rate",
    "dropout",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "is_composition",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "layerscale_value",
    "length_penalty",
    "logit_scale_init_value",
    "max_length",
    "min_length",
    "model_type",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "out_features",
    "out_indices",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "projection_dim",
    "remove_invalid_values",
    "repetition_penalty",
    "reshape_hidden_states",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "stage_names",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_last_hidden_states",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
    "use_mask_token",
];

/// Keys of a vision section that speak of the larger model around it.
pub(super) const OF_LARGER: &[&str] =
    &["max_image_size", "num_image_tokens", "projector_hidden_act", "size", "use_base_siglip", "vocab_size"];

pub(super) const TOWER: [&str; 6] =
    ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps"];

/// Keys that `transformers` turns into other maths, for every class, and the one value of each that it does not.
pub(super) fn neutral() -> Vec<(&'static str, Value)> {
    vec![("compression_config", Value::Null), ("per_layer_config", json!({})), ("quantization_config", Value::Null)]
}

/// The same of a vision tower.
pub(super) fn neutral_vision() -> Vec<(&'static str, Value)> {
    [neutral(), vec![("num_channels", json!(3))]].concat()
}

/// The defaults of the class that a section is of.
pub(super) fn defaults(model_type: &str) -> Option<Value> {
    let tower = |width: u64, mlp: u64, layers: u64, heads: u64, activation: &str, eps: f64| {
        json!({"hidden_size": width, "intermediate_size": mlp, "num_hidden_layers": layers,
               "num_attention_heads": heads, "hidden_act": activation, "layer_norm_eps": eps})
    };
    let (base, more) = match model_type {
        "clip_text_model" | "metaclip_2_text_model" => (
            tower(512, 2048, 12, 8, "quick_gelu", 1e-5),
            json!({"vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407}),
        ),
        "clip_vision_model" | "metaclip_2_vision_model" => {
            (tower(768, 3072, 12, 12, "quick_gelu", 1e-5), json!({"image_size": 224, "patch_size": 32}))
        }
        "siglip_text_model" | "siglip2_text_model" => (
            tower(768, 3072, 12, 12, "gelu_pytorch_tanh", 1e-6),
            json!({"vocab_size": 32000, "max_position_embeddings": 64}),
        ),
        "siglip_vision_model" => (
            tower(768, 3072, 12, 12, "gelu_pytorch_tanh", 1e-6),
            json!({"image_size": 224, "patch_size": 16, "vision_use_head": true}),
        ),
        "siglip2_vision_model" => (
            tower(768, 3072, 12, 12, "gelu_pytorch_tanh", 1e-6),
            json!({"num_patches": 256, "patch_size": 16, "vision_use_head": true}),
        ),
        "idefics3_vision" | "smolvlm_vision" => {
            (tower(1152, 3072, 12, 16, "gelu_pytorch_tanh", 1e-6), json!({"image_size": 224, "patch_size": 32}))
        }
        "dinov2" | "dinov2_with_registers" => (
            json!({"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_act": "gelu",
                   "layer_norm_eps": 1e-6, "mlp_ratio": 4, "image_size": 224, "qkv_bias": true, "use_swiglu_ffn": false}),
            if model_type == "dinov2" {
                json!({"patch_size": 14})
            } else {
                json!({"patch_size": 16, "num_register_tokens": 4})
            },
        ),
        "vit" | "deit" => {
            (tower(768, 3072, 12, 12, "gelu", 1e-12), json!({"image_size": 224, "patch_size": 16, "qkv_bias": true}))
        }
        "dinov3_vit" => (
            tower(384, 1536, 12, 6, "gelu", 1e-5),
            json!({"image_size": 224, "patch_size": 16, "rope_theta": 100.0, "query_bias": true, "key_bias": false,
                   "value_bias": true, "proj_bias": true, "mlp_bias": true, "use_gated_mlp": false,
                   "num_register_tokens": 0}),
        ),
        _ => return None,
    };
    let both = [base, more].into_iter().filter_map(|value| value.as_object().cloned());
    Some(Value::Object(both.flatten().collect::<Map<_, _>>()))
}
