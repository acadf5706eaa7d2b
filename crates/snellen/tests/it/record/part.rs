//! Parts of a run, put together.

use super::{assert_says, config, contents, differing, load, scenes};
use snellen::Error;
use snellen::record::{Part, Progress, RecordConfig, SceneSource, Source, TokenPolicy, merge, record};
use snellen::scene::{Canvas, SceneKind, Series, World};
use std::fs;
use std::path::{Path, PathBuf};

fn part(source: &dyn Source, config: &RecordConfig, (index, of): (usize, usize), home: &Path) -> PathBuf {
    let out = home.join(format!("part-{index}-of-{of}"));
    let config = RecordConfig { part: Some(Part::new(index, of).unwrap()), ..config.clone() };
    let run = record(&load("gelu"), source, &config, &out, &()).unwrap();
    let part = run.part.unwrap();
    assert_eq!((part.index, part.of, part.rows), (index, of, source.len()));
    out
}

#[test]
fn parts_are_even_and_complete() {
    for (count, of) in [(1, 1), (7, 3), (100, 7), (8, 8), (1000, 999)] {
        let parts: Vec<_> = (1..=of).map(|i| Part::new(i, of).unwrap().rows(count).unwrap()).collect();
        assert_eq!((parts[0].start, parts[of - 1].end), (0, count));
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        let sizes: Vec<usize> = parts.iter().map(ExactSizeIterator::len).collect();
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{count} in {of}");
    }
    for index in 1..=3 {
        assert_says(Part::new(index, 3).unwrap().rows(2), &[&format!("part {index}/3"), "2 images"]);
    }
    for text in ["0/3", "4/3", "1", "1/", "/2", "a/b", "1/0", "1/2/3", "-1/2"] {
        assert_says(text.parse::<Part>(), &["part of a run"]);
    }
    assert_eq!("2/5".parse::<Part>().unwrap().to_string(), "2/5");
}

#[test]
fn parts_in_any_order_make_the_run() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 23);
    let config = super::everything(4);
    let whole = home.path().join("whole");
    let run = record(&load("gelu"), &source, &config, &whole, &()).unwrap();
    for of in [1, 2, 5, 23] {
        let mut parts: Vec<_> = (1..=of).map(|index| part(&source, &config, (index, of), home.path())).collect();
        parts.reverse();
        parts.rotate_left(of / 3);
        let out = home.path().join(format!("merged-{of}"));
        assert_eq!(merge(&parts, &out, &()).unwrap(), run);
        assert_eq!(differing(&whole, &out), [""; 0], "{of} parts");
    }
}

#[test]
fn shards_of_parts_become_shards_of_the_run() {
    let home = tempfile::tempdir().unwrap();
    let source = SceneSource(Series::new(SceneKind::Swap, World::toy(), Canvas::plain(28, 28), 550, 1).unwrap());
    let config = config(&["blocks.1.attn.hook_pattern", "image_embeds"], &[TokenPolicy::All], 16);
    let whole = home.path().join("whole");
    record(&load("gelu"), &source, &config, &whole, &()).unwrap();
    let parts: Vec<_> = [2, 1].map(|index| part(&source, &config, (index, 2), home.path())).to_vec();
    merge(&parts, &home.path().join("merged"), &()).unwrap();
    assert_eq!(differing(&whole, &home.path().join("merged")), [""; 0]);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 9);
    let config = config(&["image_embeds", "blocks.0.hook_mlp_out"], &[TokenPolicy::Mean], 4);
    let parts: Vec<_> = (1..=3).map(|index| part(&source, &config, (index, 3), home.path())).collect();
    let other = home.path().join("other");
    fs::create_dir(&other).unwrap();
    let out = home.path().join("runs/merged");
    let refuse = |parts: &[&PathBuf], says: &[&str]| {
        let parts: Vec<PathBuf> = parts.iter().copied().cloned().collect();
        assert_says(merge(&parts, &out, &()), says);
        assert!(!out.exists() && fs::read_dir(home.path().join("runs")).map_or(0, Iterator::count) == 0);
    };
    let [a, b, c] = [&parts[0], &parts[1], &parts[2]];
    refuse(&[], &["parts", "none"]);
    refuse(&[a, c], &["all 3", "no part 2/3"]);
    refuse(&[b, a], &["all 3", "no part 3/3"]);
    refuse(&[c, b], &["all 3", "no part 1/3"]);
    refuse(&[a, b, c, b], &["part-2-of-3", "every part once", "2/3 again"]);
    refuse(&[&other], &["other", "run.json"]);
    let half = part(&source, &config, (2, 2), home.path());
    refuse(&[a, &half, c], &["a part of 3", "2/2"]);
    let whole = home.path().join("whole");
    record(&load("gelu"), &source, &config, &whole, &()).unwrap();
    refuse(&[&whole], &["whole/run.json: `part`", "a whole run"]);
    let seeded = part(&source, &RecordConfig { seed: 9, ..config.clone() }, (2, 3), &other);
    refuse(&[a, &seeded, c], &["part-2-of-3/run.json: `seed`", "expected 3", "got 9"]);
    let sites = RecordConfig { sites: vec!["image_embeds".to_owned()], ..config.clone() };
    fs::remove_dir_all(&seeded).unwrap();
    let fewer = part(&source, &sites, (2, 3), &other);
    refuse(&[a, &fewer, c], &["part-2-of-3/run.json: `sites.0.site`"]);
    // Files of a part that were exchanged or damaged.
    let b_files = contents(b);
    let damage = |file: &str, bytes: &[u8], says: &[&str]| {
        fs::write(b.join(file), bytes).unwrap();
        refuse(&[a, b, c], says);
        fs::write(b.join(file), &b_files[file]).unwrap();
    };
    damage(
        "images.parquet",
        &fs::read(c.join("images.parquet")).unwrap(),
        &["part-2-of-3/images.parquet", "as run.json says"],
    );
    damage("images.parquet", b"PAR1", &["part-2-of-3/images.parquet"]);
    let said = String::from_utf8(b_files["run.json"].clone()).unwrap();
    damage(
        "run.json",
        said.replace("\"first_row\": 3", "\"first_row\": 4").as_bytes(),
        &["`part`", "rows 3 to 6 of 9"],
    );
    damage("run.json", said.replace("\"index\": 2", "\"index\": 0").as_bytes(), &["part-2-of-3/run.json: `part`"]);
    damage("run.json", said.replace("\"rows\": 9", "\"rows\": 8").as_bytes(), &["part-2-of-3/run.json: `part`"]);
    let shard = "activations.zarr/image_embeds/pooled/c/0/0";
    damage(shard, &b_files[shard][1..], &["part-2-of-3/activations.zarr/image_embeds/pooled/c/0/0"]);
    let metadata = "activations.zarr/image_embeds/pooled/zarr.json";
    let longer = String::from_utf8(b_files[metadata].clone()).unwrap().replacen("    3,", "    4,", 1);
    damage(metadata, longer.as_bytes(), &["part-2-of-3/activations.zarr"]);
    let labels = fs::read(a.join("labels.csv")).unwrap();
    fs::write(a.join("labels.csv"), &labels[..labels.len() - 2]).unwrap();
    refuse(&[a, b, c], &["part-1-of-3/labels.csv", "hash"]);
    fs::write(a.join("labels.csv"), labels).unwrap();
    merge(&parts, &out, &()).unwrap();
    assert_eq!(differing(&whole, &out), [""; 0]);
    assert!(matches!(merge(&parts, &out, &()), Err(Error::Exists { .. })));
}

#[test]
fn a_cancelled_merge_leaves_nothing() {
    struct Stop;
    impl Progress for Stop {
        fn advance(&self, _: usize, _: usize) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 4);
    let config = config(&["image_embeds"], &[TokenPolicy::Mean], 4);
    let parts: Vec<_> = (1..=2).map(|index| part(&source, &config, (index, 2), home.path())).collect();
    let result = merge(&parts, &home.path().join("runs/merged"), &Stop);
    assert!(matches!(result, Err(Error::Interrupted { .. })));
    assert!(!home.path().join("runs").exists());
}
