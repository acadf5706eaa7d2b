//! Interventions: activations are changed, and what that does to what a model answers is measured.
//!
//! An [`Edit`] is data: a site, a token group, units and an [`Action`]. [`Edit::prepare`] makes numbers of it for one model, and
//! [`Prepared::on`] the hook of one forward, which says how many values it changed. A [`TokenMap`] says which tokens of an image or a
//! caption show which object of its scene.
//!
//! Effects are measured on [`Twins`]: [`Twins::rest`] runs the forward up to a site once, [`Trial::effects`] goes on from there with set
//! after set of units, each beside random sets that are like it.

mod action;
mod cause_table;
mod change;
mod cost;
mod disentangle;
mod edit;
mod effect;
mod intervention;
mod known;
mod margins;
mod probes;
mod rest;
mod similar;
mod token_map;
mod tokens;
mod trial;
mod twins;
mod units;

pub mod trace;

pub use action::Action;
pub use cause_table::write_cause;
pub use change::{Change, Changed, Donors, Editing, Prepared};
pub use cost::{Cost, CostAnswer, CostConfig, answer, superposition_cost};
pub use disentangle::{Activations, Disentangled};
pub use edit::Edit;
pub use effect::{Effect, Null, Restored};
pub use intervention::{CleanMargin, Intervention, Shown, intervene};
pub use known::MeasuredUnits;
pub use margins::{Target, Term};
pub use rest::{ModelRest, Rest};
pub use similar::{Profile, Similar};
pub use token_map::TokenMap;
pub use tokens::Tokens;
pub use trial::{Against, Asked, Effects, Set, Trial};
pub use twins::Twins;
pub use units::{KnownUnits, Units};
