//! Edits as data, and what a forward does of them.

use crate::families::{families, load};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use snellen::engine::{Tape, Tensor};
use snellen::intervene::{Action, Change, Donors, Edit, KnownUnits, Prepared, TokenMap, Tokens, Units};
use snellen::measure::factorial::UnitClass;
use snellen::model::{ActivationMut, BlockPoint, Hook, LoadConfig, Model, Pixels, Point, Site, Tower};
use snellen::scene::Concept;

fn units() -> impl Strategy<Value = Units> {
    let concept = |factor: &str| Concept { factor: factor.to_owned(), value: "red".to_owned() };
    prop_oneof![
        Just(Units::All),
        prop::collection::btree_set(0usize..40, 1..20)
            .prop_flat_map(|set| Just(set.into_iter().collect::<Vec<_>>()).prop_shuffle())
            .prop_map(Units::Listed),
        (1usize..100).prop_map(Units::Top),
        prop::sample::select(UnitClass::ALL.to_vec()).prop_map(Units::Class),
        Just(Units::Shared([concept("color"), concept("shape")])),
        Just(Units::File("units/mine.txt".into())),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let scale = || any::<f32>().prop_filter("finite", |x| x.is_finite() && *x != 1.0);
    prop_oneof![
        Just(Action::Zero),
        Just(Action::Mean),
        Just(Action::Patch),
        any::<u64>().prop_map(Action::Resample),
        scale().prop_map(Action::Rescale),
        scale().prop_map(|scale| Action::Add { scale, direction: "d/red.npy".into() }),
        Just(Action::ProjectOut { direction: "C:red.npy".into() }),
    ]
}

proptest! {
    #[test]
    fn an_edit_is_read_as_it_is_displayed(
        layer in 0usize..30,
        head in prop::option::of(0usize..30),
        object in 0usize..9,
        units in units(),
        action in action(),
    ) {
        let site = format!("text.blocks.{layer}.attn.hook_z").parse().unwrap();
        let edit = Edit { site, head, tokens: Tokens::Object(object), units, action };
        assert_eq!(edit.to_string().parse::<Edit>().unwrap(), edit);
        let json = serde_json::to_string(&edit).unwrap();
        assert_eq!(json, format!("\"{edit}\""));
        assert_eq!(serde_json::from_str::<Edit>(&json).unwrap(), edit);
    }
}

#[test]
fn what_is_no_edit_is_refused() {
    let edit: Edit = "blocks.0.mlp.hook_post zero".parse().unwrap();
    assert_eq!(edit.to_string(), "blocks.0.mlp.hook_post tokens=all units=all zero");
    assert_eq!("0,5,7-9".parse::<Units>().unwrap(), Units::Listed(vec![0, 5, 7, 8, 9]));
    let refused = [
        ("", "SITE"),
        ("blocks.0.mlp.hook_post", "SITE"),
        ("blocks.0.mlp.hook_most zero", "site"),
        ("blocks.0.mlp.hook_post zeros", "zeros"),
        ("blocks.0.mlp.hook_post token=all zero", "token=all"),
        ("blocks.0.mlp.hook_post tokens=object zero", "object"),
        ("blocks.0.mlp.hook_post tokens=object:01 zero", "object:01"),
        ("blocks.0.mlp.hook_post tokens=all tokens=all zero", "twice"),
        ("blocks.0.mlp.hook_post units=9-7 zero", "9-7"),
        ("blocks.0.mlp.hook_post units=0-99999999999 zero", "99999999999"),
        ("blocks.0.mlp.hook_post units=top:0 zero", "top:0"),
        ("blocks.0.mlp.hook_post units=class:poly zero", "polysemantic"),
        ("blocks.0.mlp.hook_post units=shared:color=red zero", "shared"),
        ("blocks.0.mlp.hook_post units=shared:color=red,color=red zero", "shared"),
        ("blocks.0.mlp.hook_post units=file: zero", "file:"),
        ("blocks.0.mlp.hook_post head=-1 zero", "head=-1"),
        ("blocks.0.mlp.hook_post rescale:1", "rescale:1"),
        ("blocks.0.mlp.hook_post rescale:nan", "rescale:nan"),
        ("blocks.0.mlp.hook_post add:d.npy", "add:d.npy"),
        ("blocks.0.mlp.hook_post resample:-3", "resample:-3"),
    ];
    for (text, said) in refused {
        let error = text.parse::<Edit>().unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

/// No unit shares anything.
struct Nothing;

impl KnownUnits for Nothing {
    fn sharing(&self, _: &[Concept; 2]) -> snellen::Result<Vec<usize>> {
        Ok(Vec::new())
    }
}

#[test]
fn what_a_model_lacks_is_named() {
    let model = load("clip_bin", &LoadConfig::plain());
    let refused = |text: &str| {
        let edit: Edit = text.parse().unwrap();
        edit.prepare(&model.config, &(), None).unwrap_err().to_string()
    };
    let says = |text: &str, said: &[&str]| {
        let error = refused(text);
        assert!(said.iter().all(|said| error.contains(said)), "{text}: {error}");
    };
    says("blocks.99.mlp.hook_post zero", &["blocks.99.mlp.hook_post", "none of its sites"]);
    says("blocks.0.mlp.hook_pre_linear zero", &["hook_pre_linear"]);
    says("blocks.0.mlp.hook_post units=3,99999 zero", &["indices below", "99999"]);
    says("blocks.0.mlp.hook_post units=3,3 zero", &["3 again"]);
    says("blocks.0.mlp.hook_post head=0 zero", &["head 0", "heads"]);
    says("blocks.0.attn.hook_z head=99 zero", &["head 99", "below"]);
    says("blocks.0.mlp.hook_post units=top:3 zero", &["top:N", "twins"]);
    says("blocks.0.mlp.hook_post units=class:mixed zero", &["class:mixed", "unit measures"]);
    says("blocks.0.mlp.hook_post mean", &["mean", "reference scenes"]);
    says("blocks.0.mlp.hook_post units=file:/nowhere/u.txt zero", &["/nowhere/u.txt"]);
    says("blocks.0.mlp.hook_post add:1:/nowhere/d.npy", &["/nowhere/d.npy"]);
    let edit: Edit = "blocks.0.mlp.hook_post units=shared:color=red,shape=circle zero".parse().unwrap();
    let error = edit.prepare(&model.config, &Nothing, None).unwrap_err().to_string();
    assert!(error.contains("shared:color=red,shape=circle") && error.contains("at least one unit"), "{error}");
}

#[test]
fn units_and_directions_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let model = load("clip_bin", &LoadConfig::plain());
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let prepared = |text: &str| text.parse::<Edit>().unwrap().prepare(&model.config, &(), None);
    let lists = [
        &b"4 2\n7,1,9-11\n\n"[..],
        b"\xef\xbb\xbf# found by hand\r\n4 2 # 3\r\n7\t1\n9-11",
        b"[4, 2, 7, 1, 9, 10, 11]\n",
    ];
    for list in lists {
        let list = file("units.txt", list);
        let edit = prepared(&format!("blocks.0.mlp.hook_post units=file:{list} zero")).unwrap();
        assert_eq!(edit.units, Some(vec![4, 2, 7, 1, 9, 10, 11]));
    }
    let bad = file("bad.txt", b"4\n2 x\n");
    let error = prepared(&format!("blocks.0.mlp.hook_post units=file:{bad} zero")).unwrap_err().to_string();
    assert!(error.contains("bad.txt: line 2") && error.contains("`x`"), "{error}");

    let width = model.config.vision.tower.width;
    let shaped = |values: &[f32], shape: &str| {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        bytes
    };
    let npy = |values: &[f32]| shaped(values, &format!("({},)", values.len()));
    let mut direction = vec![0.0; width];
    (direction[1], direction[2]) = (3.0, 4.0);
    let good = file("d.npy", &npy(&direction));
    for shape in [format!("({width},)"), format!("(1, {width})"), format!("({width}, 1)")] {
        let good = file("shaped.npy", &shaped(&direction, &shape));
        let edit = prepared(&format!("blocks.0.hook_resid_post units=2,1 add:0.5:{good}")).unwrap();
        assert_eq!(edit.change, Change::Add(vec![2.0, 1.5]));
    }
    let edit = prepared(&format!("blocks.0.hook_resid_post project-out:{good}")).unwrap();
    assert!(matches!(&edit.change, Change::ProjectOut(d) if (d[1] - 0.6).abs() < 1e-7 && (d[2] - 0.8).abs() < 1e-7));
    let short = file("short.npy", &npy(&direction[1..]));
    let zero = file("zero.npy", &npy(&vec![0.0; width]));
    direction[0] = f32::NAN;
    let nan = file("nan.npy", &npy(&direction));
    let square = file("square.npy", &shaped(&direction, &format!("({}, 2)", width / 2)));
    for (file, said) in
        [(short, "one for each unit"), (square, "a vector [n]"), (zero, "0 everywhere"), (nan, "number 0")]
    {
        let error = prepared(&format!("blocks.0.hook_resid_post project-out:{file}")).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(&file), "{error}");
    }
    let error = prepared(&format!("blocks.0.hook_resid_post units=5,6 project-out:{good}")).unwrap_err().to_string();
    assert!(error.contains("take part in"), "{error}");
}

/// Keeps the values of a site.
struct Kept(Site, Vec<f32>);

impl Hook for Kept {
    fn wants(&self, site: Site) -> bool {
        site == self.0
    }
    fn at(&mut self, _: Site, x: &mut ActivationMut<'_>) -> snellen::Result<()> {
        self.1 = x.data.to_vec();
        Ok(())
    }
}

fn pixels(model: &Model) -> Pixels<f32> {
    let vision = &model.config.vision;
    let values = |count: usize| (0..count).map(|i| ((i * 7919 % 255) as f32 - 127.0) / 100.0).collect();
    if vision.is_flexible() {
        let shape = [2, vision.patches(), 3 * vision.patch * vision.patch];
        let values = Tensor::new(shape, values(shape.iter().product()));
        return Pixels { values, grids: vec![[vision.grid(); 2]; 2] };
    }
    Tensor::new([2, 3, vision.image, vision.image], values(2 * 3 * vision.image * vision.image)).into()
}

/// Whether value `at` of a row is of unit `unit` at `token`, by the shapes that sites document.
fn is_of(site: Site, shape: &[usize], at: usize, token: usize, unit: usize) -> bool {
    let attends = matches!(site.point, Point::Block(_, p) | Point::Head(p) if p.is_attention());
    let last = shape[shape.len() - 1];
    match shape.len() {
        2 => at == unit,
        3 => at == token * last + unit,
        _ if attends => at % last == unit && at / last % shape[2] == token,
        _ => at == token * shape[2] * last + unit,
    }
}

#[test]
fn at_every_site_of_every_family_just_what_is_named_changes() {
    for name in families() {
        let model = load(&name, &LoadConfig::plain());
        let vision = &model.config.vision;
        let map = TokenMap::of_patches(vision.patches());
        let pixels = pixels(&model);
        let clean = model.towers.embed_images(&mut Tape::off(), &pixels, &mut ()).unwrap();
        for site in Site::all(&model.config, Tower::Vision) {
            let tokens = Tokens::All;
            let change = Change::Add(vec![2.0]);
            let edit = Prepared { site, head: None, tokens, units: Some(vec![1]), change };
            let positions = vec![edit.positions(&model.config, &map).unwrap(); 2];
            let (mut before, mut after) = (Kept(site, Vec::new()), Kept(site, Vec::new()));
            let mut hook = (&mut before, (edit.on(&positions, None), &mut after));
            let edited = model.towers.embed_images(&mut Tape::off(), &pixels, &mut hook).unwrap();
            let changed = hook.1.0.changed();
            let shape = site.shape(&model.config, 2, 0);
            let row = shape[1..].iter().product::<usize>();
            let mut expected = 0;
            for (i, (old, new)) in before.1.iter().zip(&after.1).enumerate() {
                let named = positions[0].iter().any(|token| is_of(site, &shape, i % row, *token, 1));
                expected += u64::from(named);
                assert_eq!(*new, if named { old + 2.0 } else { *old }, "{name}, {site}, value {i}");
            }
            assert_eq!((changed.values, before.1.len()), (expected, 2 * row), "{name}, {site}");
            assert!((changed.largest - 2.0).abs() < 1e-4 && expected > 0, "{name}, {site}: {changed:?}");
            // What is added to all keys is added to all scores of a query, and moves nothing; all else moves what follows.
            let unmoved =
                matches!(site.point, Point::Block(_, BlockPoint::K | BlockPoint::RotK) | Point::Head(BlockPoint::K));
            let last = vision.pooling.is_none() || edited.data() != clean.data();
            assert!(unmoved || last, "{name}, {site}: the edit changes no embedding");
        }
    }
}

#[test]
fn heads_are_edited_by_themselves() {
    let model = load("clip_bin", &LoadConfig::plain());
    let pixels = pixels(&model);
    let map = TokenMap::of_patches(model.config.vision.patches());
    for text in ["blocks.0.attn.hook_z head=1 tokens=class zero", "blocks.0.attn.hook_pattern head=1 tokens=class zero"]
    {
        let edit = text.parse::<Edit>().unwrap().prepare(&model.config, &(), None).unwrap();
        let positions = vec![edit.positions(&model.config, &map).unwrap(); 2];
        let mut after = Kept(edit.site, Vec::new());
        let mut hook = (edit.on(&positions, None), &mut after);
        model.towers.embed_images(&mut Tape::off(), &pixels, &mut hook).unwrap();
        let shape = edit.site.shape(&model.config, 2, 0);
        let attends = text.contains("pattern");
        let (heads, tokens) = if attends { (shape[1], shape[2]) } else { (shape[2], shape[1]) };
        for (i, x) in after.1.iter().enumerate() {
            let (slow, fast) = (i / shape[3] / shape[2] % shape[1], i / shape[3] % shape[2]);
            let (head, token) = if attends { (slow, fast) } else { (fast, slow) };
            assert!(head < heads && token < tokens);
            assert_eq!(*x == 0.0, head == 1 && token == 0, "{text}: {i}");
        }
    }
}

#[test]
fn values_come_from_other_rows_of_the_same_group() {
    let site: Site = "blocks.0.mlp.hook_post".parse().unwrap();
    let edit = Prepared { site, head: None, tokens: Tokens::Patches, units: Some(vec![2, 0]), change: Change::Donated };
    // Two rows of three tokens of three units; donors are numbered.
    let donors: Vec<f32> = (0..18).map(|x| 100.0 + x as f32).collect();
    let (positions, from) = (vec![vec![0, 2], vec![1]], vec![vec![1], vec![2]]);
    let given = Donors { values: &donors, rows: &[1, 0], positions: &from };
    let mut editing = edit.on(&positions, Some(given));
    let mut x: Vec<f32> = (0..18).map(|x| x as f32).collect();
    editing.apply(&[2, 3, 3], &mut x).unwrap();
    // Row 0 takes row 1's token 1 (values 112..115) at tokens 0 and 2; row 1 row 0's token 2 (106..109) at token 1.
    let mut expected: Vec<f32> = (0..18).map(|x| x as f32).collect();
    for token in [0, 2] {
        (expected[3 * token], expected[3 * token + 2]) = (112.0, 114.0);
    }
    (expected[12], expected[14]) = (106.0, 108.0);
    assert_eq!(x, expected);
    assert_eq!(editing.changed().values, 6);
    assert_eq!(editing.changed().largest, 112.0);
    // Once more, nothing changes, which is an error.
    let mut again = edit.on(&positions, Some(given));
    again.apply(&[2, 3, 3], &mut x).unwrap();
    let error = edit.check(again.changed()).unwrap_err().to_string();
    assert!(
        ["blocks.0.mlp.hook_post", "tokens `patches`", "2 units", "none"].iter().all(|s| error.contains(s)),
        "{error}"
    );
    let refused = |donors: Option<Donors<'_>>, shape: &[usize], values: usize| {
        edit.on(&positions, donors).apply(shape, &mut vec![0.0; values]).unwrap_err().to_string()
    };
    assert!(refused(None, &[2, 3, 3], 18).contains("scenes that values are taken from"));
    assert!(refused(Some(given), &[2, 4, 3], 24).contains("donors of as many tokens"));
    assert!(refused(Some(given), &[3, 3, 3], 27).contains("a batch of 2 rows"));
    assert!(
        refused(Some(Donors { positions: &[vec![], vec![1]], ..given }), &[2, 3, 3], 18)
            .contains("tokens of the group")
    );
    assert!(refused(Some(given), &[2, 3, 2], 12).contains("units below 2"));
}

#[test]
fn what_attention_does_not_see_stays_hidden() {
    let model = Model::load(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy")).unwrap();
    let texts = ["a red circle", "a blue square"];
    let edit: Edit = "text.blocks.0.attn.hook_attn_scores zero".parse().unwrap();
    let edit = edit.prepare(&model.config, &(), None).unwrap();
    let map = TokenMap::of_text(texts[0], model.tokenizer().unwrap()).unwrap();
    let positions = vec![edit.positions(&model.config, &map).unwrap(); 2];
    let mut after = Kept(edit.site, Vec::new());
    let mut hook = (edit.on(&positions, None), &mut after);
    model.encode_texts(&texts, &mut hook).unwrap();
    let tokens = positions[0].len();
    for (i, x) in after.1.iter().enumerate() {
        let (query, key) = (i / tokens % tokens, i % tokens);
        assert_eq!(*x, if key > query { f32::NEG_INFINITY } else { 0.0 });
    }
}

#[test]
fn changes_are_what_they_say() {
    let site: Site = "image_embeds".parse().unwrap();
    let made = |change: Change| {
        let edit = Prepared { site, head: None, tokens: Tokens::All, units: Some(vec![0, 2]), change };
        let mut x = vec![3.0, 5.0, -4.0];
        let positions = [vec![0]];
        let mut editing = edit.on(&positions, None);
        editing.apply(&[1, 3], &mut x).unwrap();
        (x, editing.changed().values)
    };
    assert_eq!(made(Change::Zero), (vec![0.0, 5.0, 0.0], 2));
    assert_eq!(made(Change::Set(vec![7.0, -4.0])), (vec![7.0, 5.0, -4.0], 1));
    assert_eq!(made(Change::Add(vec![1.0, 1.0])), (vec![4.0, 5.0, -3.0], 2));
    assert_eq!(made(Change::Rescale(-2.0)), (vec![-6.0, 5.0, 8.0], 2));
    let along = Change::project_out(&[3.0, 4.0]).unwrap();
    let (x, _) = made(along);
    // 3 * .6 - 4 * .8 = -1.4 of (.6, .8) is taken away.
    assert!((x[0] - 3.84).abs() < 1e-6 && (x[2] + 2.88).abs() < 1e-6 && x[1] == 5.0, "{x:?}");
    assert_eq!(Change::project_out(&[0.0, 0.0]), None);
}
