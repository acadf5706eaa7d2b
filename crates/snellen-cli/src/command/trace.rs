//! `snellen trace`

use crate::subject::{Loaded, Subject};
use crate::terminal::{self, Bars};
use clap::{Args, ValueEnum};
use snellen::intervene::Tokens;
use snellen::intervene::trace::{
    Direction, PartKind, TowerMap, TraceConfig, UnitMap, picture, trace, trace_units, write_trace, write_units,
};
use snellen::measure::Confidence;
use snellen::model::Tower;
use snellen::output::{StagedDir, write_file};
use snellen::{Error, Result};
use std::path::PathBuf;

/// Which towers are traced.
#[derive(Clone, Copy, ValueEnum)]
pub enum Which {
    /// That of images
    Vision,
    /// That of texts
    Text,
    /// One after the other
    Both,
}

/// Arguments of `trace`.
#[derive(Args)]
pub struct Trace {
    #[command(flatten)]
    subject: Subject,
    /// Swap twins, one of which is patched with the other's values
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(4..=100_000))]
    twins: u32,
    /// Of so many of them the same patch is made from another scene too, as a null; each costs as much as a patch
    #[arg(long, value_name = "N", default_value_t = 32)]
    nulls: u32,
    /// Which tower
    #[arg(long, value_enum, default_value_t = Which::Vision)]
    tower: Which,
    /// What of each layer is patched: resid_post, attn_out, mlp_out, heads (each head by itself); all where not given
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    parts: Vec<PartKind>,
    /// Which tokens: class, registers, object:K, background, patches, start, end, all (of both towers, of each those that it has); all that
    /// the twins have where not given
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    tokens: Vec<Tokens>,
    /// Instead of the map: screen all hidden units, and the queries and keys of all heads, by gradients; then patch the K strongest of either
    /// exactly, and as many others at random, which bounds what the screen missed. Not with --parts, --tokens, --nulls
    #[arg(long, value_name = "K", num_args = 0..=1, default_missing_value = "32", conflicts_with_all = ["parts", "tokens", "nulls"], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    units: Option<u32>,
    /// denoise (clean values into the corrupt twin: is it enough?), or noise (corrupt values into the clean one: is it needed?)
    #[arg(long, default_value_t = Direction::Denoise, value_name = "WHICH")]
    direction: Direction,
    /// Of the intervals
    #[arg(long, default_value_t = 0.95)]
    confidence: f64,
    /// Of twins, their wording, other scenes and signs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// New folder for trace.parquet, trace.json and trace.svg; of --units for units.parquet and trace.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print trace.json, nothing else
    #[arg(long)]
    json: bool,
}

/// Maps, or what was screened.
enum Traced {
    Maps(Vec<TowerMap>),
    Units(Vec<UnitMap>),
}

/// Runs `snellen trace`.
pub fn run(args: &Trace) -> Result<()> {
    let bars = Bars::new();
    let staged = args.out.as_deref().map(StagedDir::begin).transpose()?;
    let traced = args.subject.with(|of| traced(of, args, &bars))?;
    let json = match &traced {
        Traced::Maps(maps) => serde_json::to_string_pretty(maps),
        Traced::Units(units) => serde_json::to_string_pretty(units),
    };
    let json = json.map_err(|source| Error::malformed("trace.json", source))?;
    let mut written = None;
    if let Some(staged) = staged {
        write_file(&staged.path().join("trace.json"), json.as_bytes())?;
        let shown = match &traced {
            Traced::Maps(maps) => {
                write_trace(&staged.path().join("trace.parquet"), maps)?;
                write_file(&staged.path().join("trace.svg"), picture(maps).as_bytes())?;
                "trace.svg"
            }
            Traced::Units(units) => {
                write_units(&staged.path().join("units.parquet"), units)?;
                "units.parquet"
            }
        };
        written = Some(staged.publish()?.join(shown));
    }
    if args.json {
        return terminal::say(json);
    }
    let towers: Vec<Vec<String>> = match &traced {
        Traced::Maps(maps) => maps.iter().map(TowerMap::lines).collect(),
        Traced::Units(units) => units.iter().map(UnitMap::lines).collect(),
    };
    for (k, lines) in towers.iter().enumerate() {
        if k > 0 {
            terminal::say("")?;
        }
        lines.iter().try_for_each(terminal::say)?;
    }
    written.map_or(Ok(()), |shown| terminal::say(format!("\n{}", shown.display())))
}

fn traced(of: &Loaded, args: &Trace, bars: &Bars) -> Result<Traced> {
    let config = TraceConfig {
        world: of.world(),
        twins: args.twins as usize,
        nulls: args.nulls as usize,
        towers: match args.tower {
            Which::Vision => vec![Tower::Vision],
            Which::Text => vec![Tower::Text],
            Which::Both => vec![Tower::Vision, Tower::Text],
        },
        parts: if args.parts.is_empty() { PartKind::ALL.to_vec() } else { args.parts.clone() },
        groups: args.tokens.clone(),
        direction: args.direction,
        confidence: Confidence::new(args.confidence)?,
        seed: args.seed,
    };
    match args.units {
        Some(top) => trace_units(&of.model, &config, top as usize, bars).map(Traced::Units),
        None => trace(&of.model, &config, bars).map(Traced::Maps),
    }
}
