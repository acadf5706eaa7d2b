//! Whom a command asks, and in which world: a model, the bundled one where none is named, and what scenes are made of.

use crate::bundled;
use crate::models::{self, Load};
use clap::Args;
use snellen::Result;
use snellen::exam::{Training, default_world};
use snellen::lab::Origin;
use snellen::model::Model;
use snellen::scene::World;

/// Arguments of commands that show scenes to a model.
#[derive(Args)]
pub struct Subject {
    #[arg(long, value_name = "MODEL", help = format!("{}; a small bundled CLIP where not given", models::HELP))]
    model: Option<String>,
    #[command(flatten)]
    load: Load,
    /// What scenes are made of: name of a world (`snellen scenes worlds`), or a TOML file of one; what a model of the lab was trained on, hard
    /// for any other, where not given
    #[arg(long, value_name = "FILE|NAME")]
    world: Option<String>,
}

/// Who was loaded.
pub struct Loaded {
    pub model: Model,
    /// What it is called in reports.
    pub name: String,
    /// How it was trained, where the lab made it.
    pub training: Option<Training>,
    /// The world that was named.
    named: Option<World>,
}

impl Loaded {
    /// What scenes are made of.
    pub fn world(&self) -> World {
        self.named.clone().unwrap_or_else(|| default_world(self.training.as_ref()))
    }
}

impl Subject {
    /// The world that was named, if any.
    pub fn world(&self) -> Result<Option<World>> {
        self.world.as_deref().map(World::named_or_read).transpose()
    }

    /// Loads the model and runs `f` with it. The world is looked at first.
    pub fn with<T>(&self, f: impl FnOnce(&Loaded) -> Result<T>) -> Result<T> {
        let named = self.world()?;
        let loaded = |model: Model, name: String| -> Result<Loaded> {
            let training = Origin::training_of(&model.folder)?;
            Ok(Loaded { model, name, training, named })
        };
        match &self.model {
            Some(name) => {
                let model = self.load.open(name)?;
                let name = model.name.clone();
                f(&loaded(model, name)?)
            }
            None => bundled::with_model(|folder| {
                f(&loaded(Model::load_with(folder, &self.load.config()?)?, bundled::NAME.to_owned())?)
            }),
        }
    }
}
