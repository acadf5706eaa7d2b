//! Which sites and policies a run takes.

use super::{assert_says, load};
use snellen::model::Tower;
use snellen::record::{Selected, TokenPolicy, select};

fn chosen(patterns: &[&str], policies: &[TokenPolicy]) -> snellen::Result<Vec<Selected>> {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    select(&load("gelu").config, Tower::Vision, &patterns, policies)
}

fn names(patterns: &[&str], policies: &[TokenPolicy]) -> Vec<String> {
    let arrays = chosen(patterns, policies).unwrap();
    let of = |s: &Selected| s.policies.iter().map(|p| format!("{}/{p}", s.site)).collect::<Vec<_>>();
    arrays.iter().flat_map(of).collect()
}

#[test]
fn patterns_match_within_names() {
    let layers = |point: &str| [0, 1, 2].map(|l| format!("blocks.{l}.{point}/cls"));
    assert_eq!(names(&["blocks.*.mlp.hook_post"], &[TokenPolicy::Cls]), layers("mlp.hook_post"));
    assert_eq!(names(&["blocks.{0,1,2}.hook_mlp_out"], &[TokenPolicy::Cls]), layers("hook_mlp_out"));
    assert_eq!(names(&["*hook_mlp_out"], &[TokenPolicy::Cls]), layers("hook_mlp_out"));
    // In the order of the forward, each once.
    let got = names(&["image_embeds", "blocks.1.hook_resid_p*", "blocks.1.hook_resid_pre"], &[TokenPolicy::Mean]);
    assert_eq!(got, ["blocks.1.hook_resid_pre/mean", "blocks.1.hook_resid_post/mean", "image_embeds/pooled"]);
    assert_eq!(names(&["ln_final.*"], &[TokenPolicy::All, TokenPolicy::Cls, TokenPolicy::All]).len(), 2);
}

#[test]
fn a_wildcard_leaves_out_what_does_not_apply_and_a_name_does_not() {
    let got = names(&["blocks.0.attn.*", "hook_*"], &[TokenPolicy::Cls]);
    let expected = ["hook_pos_embed/cls", "hook_ln_pre/cls", "blocks.0.attn.hook_q/cls", "blocks.0.attn.hook_k/cls"];
    assert_eq!(got[..4], expected);
    assert!(!got.iter().any(|name| name.contains("pattern") || name.contains("scores")), "{got:?}");
    assert_says(chosen(&["hook_embed"], &[TokenPolicy::Mean, TokenPolicy::Cls]), &["`hook_embed`", "`cls`", "`mean`"]);
    assert_says(chosen(&["blocks.0.attn.hook_pattern"], &[TokenPolicy::Mean]), &["hook_pattern", "`all`", "`mean`"]);
    assert_says(chosen(&["*.hook_pattern"], &[TokenPolicy::Mean]), &["`*.hook_pattern`", "`all`", "`mean`"]);
    assert_says(chosen(&["hook_ln_pre"], &[TokenPolicy::Pooled]), &["`hook_ln_pre`", "`pooled`"]);
}

#[test]
fn what_matches_nothing_is_refused_with_near_names() {
    let cls = &[TokenPolicy::Cls];
    assert_says(chosen(&["blocks.1.mlp.hook_pst"], cls), &["`blocks.1.mlp.hook_pst`", "`blocks.1.mlp.hook_post`"]);
    assert_says(chosen(&["blocks.7.hook_mlp_out"], cls), &["`blocks.7.hook_mlp_out`", "`blocks.1.hook_mlp_out`"]);
    assert_says(chosen(&["image_embeds", "foo.*"], cls), &["`foo.*`", "no match"]);
    assert_says(chosen(&["blocks.[0"], cls), &["`blocks.[0`"]);
    assert_says(chosen(&["text.blocks.0.hook_mlp_out"], cls), &["`text.blocks.0.hook_mlp_out`", "vision tower"]);
    assert_says(chosen(&["text.*"], cls), &["`text.*`", "vision tower"]);
    assert_says(chosen(&[], cls), &["sites", "none"]);
    assert_says(chosen(&["image_embeds"], &[]), &["token policies", "none"]);
}

#[test]
fn policies_are_written_and_read_by_name() {
    for policy in TokenPolicy::ALL {
        assert_eq!(policy.to_string().parse::<TokenPolicy>().unwrap(), policy);
    }
    assert_eq!(TokenPolicy::MeanAll.to_string(), "mean_all");
    assert_says("median".parse::<TokenPolicy>(), &["`median`", "mean_all", "background"]);
}
