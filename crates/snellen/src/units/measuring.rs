//! Sites, measured one after another: what of each is kept, and what is handed on.

use super::blocks::Array;
use super::cards::Cards;
use super::given::Given;
use super::second::{Second, SecondEncoder};
use super::tables::{Sink, SiteTables, Sums};
use crate::Result;
use crate::measure::Design;
use crate::measure::co_encoding::co_encoding;
use crate::measure::encodes::{Criterion, Encodings};
use crate::measure::factorial::{Rule, decompose_in_blocks};
use crate::measure::pairs_table::SitePairs;
use crate::measure::superposition::{ConceptGeometry, SiteGeometry, Superposition};
use crate::measure::terms::{FEWEST, Terms};
use crate::measure::units_table::UnitRow;
use crate::record::Progress;
use crate::report::{PairCard, SiteUnits, Units};
use crate::scene::Concept;
use crate::scene::labels::LabelTable;
use std::collections::BTreeMap;

/// Pairs that the report shows.
const PAIRS: usize = 8;

/// What is measured of every site, and what of those that were is kept: sums and cards.
pub(super) struct Measuring<'a> {
    criterion: &'a Criterion,
    design: Design,
    /// `None` of too few images to tell classes apart.
    terms: Option<Terms>,
    units: Units,
    cards: Cards,
    concepts: Vec<(String, Vec<ConceptGeometry>)>,
    factors: Vec<String>,
    /// `None` of too few images.
    superposition: Option<Superposition>,
    second: Option<SecondEncoder>,
    ms_by_chance: Option<f64>,
}

/// A site to be measured.
pub(super) struct SiteName {
    /// The site, in its basis where it has one.
    pub(super) site: String,
    /// The token policy; empty where there is none.
    pub(super) tokens: String,
    /// What tables call it.
    pub(super) path: String,
    /// Whether its units may be shown on cards.
    pub(super) shown: bool,
}

impl SiteName {
    /// Of what is known by a name alone.
    pub(super) fn given(name: &str) -> Self {
        Self { site: name.to_owned(), tokens: String::new(), path: name.to_owned(), shown: true }
    }
}

impl<'a> Measuring<'a> {
    pub(super) fn begin(labels: &LabelTable, second: Option<Second<'_>>, criterion: &'a Criterion) -> Result<Self> {
        let design = Design::from_labels(labels)?;
        let units = Units {
            concepts: design.concepts().iter().map(ToString::to_string).collect(),
            q: criterion.q,
            min_effect: criterion.min_effect,
            images: design.images(),
            sites: Vec::new(),
            strongest: Vec::new(),
            clearest: Vec::new(),
            interference: Vec::new(),
            controls: Vec::new(),
            pixels: None,
        };
        let cards = Cards::new(&design, criterion.seed);
        let terms = (labels.rows.len() >= FEWEST).then(|| Terms::of(labels)).transpose()?;
        Ok(Self {
            criterion,
            design,
            terms,
            units,
            cards,
            concepts: Vec::new(),
            factors: labels.factors.iter().map(|factor| factor.name.clone()).collect(),
            superposition: Superposition::of(labels, criterion)?,
            second: second.map(|second| SecondEncoder::open(second, labels.rows.len())).transpose()?,
            ms_by_chance: None,
        })
    }

    /// The concepts that units are held against.
    pub(super) fn concepts(&self) -> &[Concept] {
        self.design.concepts()
    }

    /// Measures all tensors of a file.
    pub(super) fn given(&mut self, given: &mut Given, sink: &mut dyn Sink, progress: &dyn Progress) -> Result<()> {
        let names = given.names.clone();
        for (done, name) in names.iter().enumerate() {
            progress.advance(done, names.len());
            let array = Array::of(given.matrix(name)?);
            self.site(SiteName::given(name), &array, sink, progress)?;
        }
        progress.advance(names.len(), names.len());
        Ok(())
    }

    /// What is worth a line about the second encoder's file.
    pub(super) fn notes(&self) -> Vec<String> {
        self.second.iter().flat_map(|second| second.notes.clone()).collect()
    }

    /// Measures one site.
    pub(super) fn site(
        &mut self,
        SiteName { site, tokens, path, shown }: SiteName,
        values: &Array<'_>,
        sink: &mut dyn Sink,
        progress: &dyn Progress,
    ) -> Result<()> {
        let design = &self.design;
        let Encodings { cells, summary } = values.encodes(design, self.criterion, progress)?;
        let rule = Rule::standard(self.criterion.q);
        let decomposed = self.terms.as_ref().map(|terms| decompose_in_blocks(values.blocks(progress), terms, &rule));
        let decomposed = decomposed.transpose()?.unwrap_or_default();
        let mut classes = BTreeMap::new();
        decomposed.iter().for_each(|unit| *classes.entry(unit.class).or_insert(0) += 1);
        let mut units = Vec::new();
        for block in values.blocks(progress).filter(|_| !decomposed.is_empty()) {
            let (block, first) = (block?, units.len());
            let of_block = first..first + block.units();
            let concepts = design.concepts().len();
            let cells = &cells[first * concepts..of_block.end * concepts];
            let mut rows = UnitRow::of(&block, first, design, cells, &decomposed[of_block]);
            if let Some(second) = &self.second {
                let scores = second.scores(&block)?;
                rows.iter_mut().zip(scores.units).for_each(|(row, ms)| row.ms = ms);
                self.ms_by_chance = scores.by_chance;
            }
            units.extend(rows);
        }
        if shown {
            self.cards.site([&site, &tokens], values, (design, &self.factors), &cells, &units)?;
        }
        let together = self.superposition.as_ref();
        let geometry = together.map(|of| of.measure(summary.units, values.blocks(progress))).transpose()?;
        let shared = co_encoding(&cells, design.concepts().len())?;
        self.units.sites.push(SiteUnits {
            site,
            tokens,
            units: summary.units,
            flagged: summary.flagged.len(),
            encoding: summary.encoding,
            null: summary.null,
            classes,
            together: geometry.as_ref().map(|of| of.together.clone()),
            controls: Vec::new(),
        });
        let found = geometry.as_ref().map(|of| interfering(&path, of, &self.units.concepts));
        // Of the last site.
        self.units.interference = found.unwrap_or_default();
        let concepts = geometry.as_ref().map(|of| of.concepts.clone()).unwrap_or_default();
        self.concepts.push((path.clone(), concepts));
        let pairs = SitePairs { site: path.clone(), shared, geometry };
        sink.site(SiteTables { site: path, cells, units, pairs })
    }

    /// What is kept of all sites.
    pub(super) fn sums(self) -> Sums {
        let Self { mut units, cards, concepts, ms_by_chance, .. } = self;
        (units.strongest, units.clearest) = cards.finish();
        Sums { units, concepts, ms_by_chance }
    }
}

/// The pairs of concepts of a site of which one moves the probe of the other most.
fn interfering(site: &str, of: &SiteGeometry, concepts: &[String]) -> Vec<PairCard> {
    let both = of.pairs.iter().flat_map(|pair| {
        let directed = [(pair.a, pair.b, pair.interference_ab), (pair.b, pair.a, pair.interference_ba)];
        directed.map(|(moved, by, interference)| interference.map(|interference| (pair, moved, by, interference)))
    });
    let mut cards: Vec<PairCard> = both
        .flatten()
        .map(|(pair, moved, by, interference)| PairCard {
            site: site.to_owned(),
            of: concepts[moved].clone(),
            by: concepts[by].clone(),
            interference,
            cos_cv: pair.cos_cv,
        })
        .collect();
    // By what is sure of them.
    let sure = |card: &PairCard| card.interference.lo.max(-card.interference.hi);
    cards.sort_by(|a, b| sure(b).total_cmp(&sure(a)));
    cards.truncate(PAIRS);
    cards.retain(|card| sure(card) > 0.0);
    cards
}
