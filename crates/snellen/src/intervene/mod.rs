//! Interventions: activations are changed, and what that does to what a model answers is measured.
//!
//! An [`Edit`] is data: a site, a token group, units and an [`Action`]. [`Edit::prepare`] makes numbers of it for one model, and
//! [`Prepared::on`] the hook of one forward, which says how many values it changed. A [`TokenMap`] says which tokens of an image or a
//! caption show which object of its scene.

mod action;
mod change;
mod edit;
mod token_map;
mod tokens;
mod units;

pub use action::Action;
pub use change::{Change, Changed, Donors, Editing, Prepared};
pub use edit::Edit;
pub use token_map::TokenMap;
pub use tokens::Tokens;
pub use units::{KnownUnits, Units};
