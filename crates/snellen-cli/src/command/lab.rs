//! `snellen lab`

use super::ward::{self, Ward};
use crate::terminal;
use clap::{Args, Subcommand};
use snellen::Result;
use snellen::lab::{Evaluation, Event, Operation, Recipe, TrainConfig, operate, train};
use std::path::PathBuf;

/// What to do in the lab.
#[derive(Subcommand)]
pub enum Lab {
    /// Train a model by a recipe
    Train(Train),
    /// List the recipes that come with the program, or print one of them as TOML
    Recipes {
        /// The recipe to print
        name: Option<String>,
    },
    /// Make a patient: change a model of the lab that binds
    Operate(Operate),
    /// Examine the exam: patients whose disease is known, and what it names
    Ward(Ward),
}

/// Arguments of `lab operate`.
#[derive(Args)]
pub struct Operate {
    /// Model of the lab, which binds
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// What is done: blur, erase-image, bag-of-words, entangle or turn
    #[arg(long, value_name = "NAME", value_parser = str::parse::<Operation>)]
    operation: Operation,
    /// Folder for the patient
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Of the scenes that directions are estimated on
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Arguments of `lab train`.
#[derive(Args)]
pub struct Train {
    /// Name of a recipe (`snellen lab recipes`), or a TOML file
    #[arg(long)]
    recipe: String,
    /// Folder for the model, in the Hugging Face CLIP layout
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Of the weights, the scenes and the combinations held out
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Go on from the last evaluation of an interrupted run in DIR
    #[arg(long)]
    resume: bool,
    /// Print the last evaluation as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `snellen lab`.
pub fn run(lab: Lab) -> Result<()> {
    match lab {
        Lab::Recipes { name: Some(name) } => terminal::say(Recipe::named(&name)?.trim_end()),
        Lab::Recipes { name: None } => Recipe::names().try_for_each(|name| {
            let recipe = Recipe::named_or_read(name)?;
            terminal::say(format!("{name:<12} {}", recipe.purpose))
        }),
        Lab::Operate(args) => {
            operate(&args.from, args.operation, args.seed, &args.out)?;
            terminal::say(args.out.display().to_string())
        }
        Lab::Ward(args) => ward::run(&args),
        Lab::Train(args) => {
            let recipe = Recipe::named_or_read(&args.recipe)?;
            let bar = terminal::Training::new(recipe.training.steps, recipe.training.batch);
            let config = TrainConfig { seed: args.seed, resume: args.resume };
            let mut observe = |event: &Event| match event {
                Event::Step { step, loss } => bar.say(format!("step {step}, loss {loss:.3}")),
                Event::Evaluated(evaluation) => bar.complain(line(evaluation) + "\n"),
            };
            let last = train(&recipe, &config, &args.out, &mut observe, &bar);
            drop(bar);
            let last = last?;
            if args.json {
                let mut json = serde_json::Map::new();
                json.insert("step".to_owned(), last.step.into());
                json.insert("loss".to_owned(), last.loss.into());
                json.extend(last.rates.into_iter().map(|(id, rate)| (id, rate.into())));
                return terminal::say(serde_json::Value::Object(json).to_string());
            }
            terminal::say(format!("{}\n{}", line(&last), args.out.display()))
        }
    }
}

fn line(e: &Evaluation) -> String {
    let rates: Vec<String> = e.rates.iter().map(|(id, rate)| format!("{id} {rate:.2}")).collect();
    format!("step {:>5}  loss {:.3}  {}", e.step, e.loss, rates.join("  "))
}
