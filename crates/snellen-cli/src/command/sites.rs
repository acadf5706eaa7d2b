//! `snellen sites`

use crate::models::{self, Place};
use crate::terminal::{self, Bars, Downloads};
use clap::Args;
use snellen::model::{ModelConfig, Point, Site, TokenAxis, Tower};
use snellen::{Error, Result};

/// Arguments of `sites`.
#[derive(Args)]
pub struct Sites {
    #[arg(long, value_name = "MODEL", help = models::HELP)]
    model: String,
    #[command(flatten)]
    place: Place,
    /// Print JSON: type, what its files leave to defaults, what of them is left alone, and each site with axes and shape
    #[arg(long)]
    json: bool,
}

/// Runs `snellen sites`.
pub fn run(args: &Sites) -> Result<()> {
    Bars::new();
    let config = ModelConfig::open(&args.model, &args.place.config(), &Downloads)?;
    let length = config.text.as_ref().map_or(0, |text| text.positions);
    let sites = [Site::all(&config, Tower::Vision), Site::all(&config, Tower::Text)].concat();
    let rows = sites.iter().map(|site| (site.to_string(), axes(*site, &config), site.shape(&config, 1, length)));
    if args.json {
        let sites: Vec<_> = rows
            .map(|(site, axes, shape)| {
                let tower = if site.starts_with("text.") { "text" } else { "vision" };
                serde_json::json!({"site": site, "tower": tower, "axes": axes, "shape": shape[1..]})
            })
            .collect();
        let all = serde_json::json!({"model_type": config.model_type, "assumed": config.assumed,
                                    "left_alone": config.left_alone, "sites": sites});
        return terminal::say(serde_json::to_string_pretty(&all).map_err(|e| Error::malformed("json", e))?);
    }
    for (site, axes, shape) in rows {
        let shape: Vec<_> = axes.iter().zip(&shape[1..]).map(|(axis, extent)| format!("{axis} {extent}")).collect();
        terminal::say(format!("{site:<36} {}", shape.join(" x ")))?;
    }
    if !config.assumed.is_empty() {
        terminal::say(format!(
            "\nnot in the files, taken from their format's defaults: {}",
            config.assumed.join(", ")
        ))?;
    }
    let left_alone: Vec<&str> = config.left_alone.all().collect();
    if !left_alone.is_empty() {
        terminal::say(format!("\nin the files, and not read: {}", left_alone.join(", ")))?;
    }
    Ok(())
}

/// The axes of a site for one image or text.
fn axes(site: Site, config: &ModelConfig) -> Vec<&'static str> {
    match (site.point, site.tokens(config)) {
        (_, TokenAxis::Attention) => vec!["head", "query", "key"],
        (Point::Block(_, point) | Point::Head(point), _) if point.is_by_head() => vec!["token", "head", "unit"],
        (Point::Head(_), _) => vec!["token", "unit"],
        (_, TokenAxis::One) => vec!["unit"],
        (Point::Embed, _) if site.tower == Tower::Vision => vec!["patch", "unit"],
        _ => vec!["token", "unit"],
    }
}
