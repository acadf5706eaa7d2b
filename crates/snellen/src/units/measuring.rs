//! Sites, measured one after another: what of each is kept, and what is handed on.

use super::blocks::Array;
use super::cards::Cards;
use super::given::Given;
use super::pass::{Against, Seen};
use super::second::{Second, SecondEncoder};
use super::tables::{Sink, SiteTables, Sums};
use crate::Result;
use crate::measure::Design;
use crate::measure::co_encoding::co_encoding;
use crate::measure::encodes::{Criterion, Encodings};
use crate::measure::pairs_table::SitePairs;
use crate::measure::superposition::{ConceptGeometry, SiteGeometry, Superposition};
use crate::measure::terms::{FEWEST, Terms};
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
        let against = Against {
            criterion: self.criterion,
            design,
            terms: self.terms.as_ref(),
            superposition: self.superposition.as_ref(),
            second: self.second.as_ref(),
            tables: sink.keeps(),
        };
        let Seen { encodings: Encodings { cells, summary }, units, geometry, ms_by_chance } =
            against.pass(values, progress)?;
        self.ms_by_chance = ms_by_chance;
        let mut classes = BTreeMap::new();
        units.iter().for_each(|unit| *classes.entry(unit.decomposed.class).or_insert(0) += 1);
        if shown && sink.keeps() {
            self.cards.site([&site, &tokens], values, (design, &self.factors), &cells, &units)?;
        }
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

#[cfg(test)]
mod tests {
    use super::super::blocks::Stored;
    use super::super::tables::{Held, Tables};
    use super::*;
    use crate::measure::{Confidence, Matrix};
    use crate::random;
    use crate::scene::labels_csv::parse_labels;
    use std::cell::Cell;

    const IMAGES: usize = 120;
    const UNITS: usize = 23;

    /// Counts the values that are read.
    struct Counted<'a>(&'a Matrix, &'a Cell<usize>);

    impl Stored for Counted<'_> {
        fn all(&self) -> Result<Vec<f32>> {
            self.units(&(0..UNITS).collect::<Vec<_>>())
        }

        fn units(&self, units: &[usize]) -> Result<Vec<f32>> {
            self.1.set(self.1.get() + units.len());
            Ok((0..IMAGES).flat_map(|image| units.iter().map(move |&unit| self.0.row(image)[unit])).collect())
        }
    }

    #[test]
    fn an_array_is_read_once_and_the_units_to_show_once_more() -> Result<()> {
        let values = [["red", "blue", "green"], ["disc", "square", "star"]];
        let shown = |i: usize, factor: usize| [i % 3, i / 3 % 3][factor];
        let line = |i: usize| format!("{i}.png,{},{}\n", values[0][shown(i, 0)], values[1][shown(i, 1)]);
        let table = format!("filename,color_0,shape_0\n{}", (0..IMAGES).map(line).collect::<String>());
        let labels = parse_labels("labels", table.as_bytes())?;
        let mut rng = random::stream(1, "noise", 0);
        let value = |unit: usize, i: usize| match unit {
            0..6 => f64::from(u8::from(shown(i, unit / 3) == unit % 3)),
            6 => f64::from(u8::from(shown(i, 0) == 0 && shown(i, 1) == 0)),
            _ => 0.0,
        };
        let planted = (0..IMAGES * UNITS).map(|at| 2.0 * value(at % UNITS, at / UNITS));
        let matrix = planted.map(|value| (value + 0.3 * random::normal(&mut rng)) as f32).collect();
        let matrix = Matrix::new(IMAGES, UNITS, matrix)?;
        let by = Criterion { q: 0.05, min_effect: 0.3, confidence: Confidence::new(0.95)?, seed: 1 };
        let read = Cell::new(0);
        let measured = |block: usize| -> Result<_> {
            let (mut measuring, mut held) = (Measuring::begin(&labels, None, &by)?, Held::default());
            read.set(0);
            let array = Array::stored(Counted(&matrix, &read), [IMAGES, UNITS], IMAGES * block)?;
            measuring.site(SiteName::given("site"), &array, &mut held, &())?;
            let concepts = measuring.concepts().to_vec();
            Ok((held.with(measuring.sums(), concepts), read.get()))
        };
        let (whole, once) = measured(UNITS)?;
        assert_eq!(once, UNITS);
        // Where nothing is kept, sums are the same.
        let (mut sums, array) = (Measuring::begin(&labels, None, &by)?, Array::of(matrix.clone()));
        sums.site(SiteName::given("site"), &array, &mut (), &())?;
        let sums = sums.sums().units;
        assert!(sums.sites[0].together.is_some() && sums.strongest.is_empty() && sums.interference.is_empty());
        assert_eq!(sums.sites, whole.units.sites);
        let cards = whole.units.strongest.len() + whole.units.clearest.len();
        assert!(whole.units.strongest.len() == 6 && whole.units.clearest.len() > 1, "{:?}", whole.units);
        for block in [1, 5, 22] {
            let (cut, more) = measured(block)?;
            assert_eq!(more, UNITS + cards);
            assert_eq!((&cut.cells, &cut.units.strongest), (&whole.cells, &whole.units.strongest));
            // Shares are the same up to the order of sums, and all that is said of them is.
            let said = |of: &Tables| {
                let rows = of.rows[0].1.iter();
                let rows: Vec<_> =
                    rows.map(|r| (r.unit, r.decomposed.class, r.concepts.clone(), r.top_entropy)).collect();
                let cards = of.units.clearest.iter();
                (rows, cards.map(|card| (card.class, card.unit, card.top_images.clone())).collect::<Vec<_>>())
            };
            assert_eq!(said(&cut), said(&whole));
        }
        Ok(())
    }
}
