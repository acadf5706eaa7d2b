//! `snellen measure --acts` and `snellen calibrate`: activations of others, and planted ones.

use crate::program::Home;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{ListAccessor, Row, RowAccessor};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde_json::Value;
use std::fmt::Write;
use std::fs;

/// 120 images of one or two objects with a texture and a material, and activations of three units: noise, `texture=felt`, one number.
fn home() -> Home {
    let home = Home::new();
    let mut labels = "filename,texture_0,material_0,texture_1,material_1,count\n".to_owned();
    let mut acts: Vec<f32> = Vec::new();
    for i in 0..120_u32 {
        let draw = |k: u32| ["felt", "smooth", "rough"][((i * 7919 + k * 104_729) % 1009 % 3) as usize];
        let made = |k: u32| ["tin", "glass"][((i * 6151 + k * 3571) % 1013 % 2) as usize];
        let two = i % 2 == 1;
        let second = if two { format!("{},{}", draw(1), made(1)) } else { ",".to_owned() };
        writeln!(labels, "{i}.png,{},{},{second},{}", draw(0), made(0), 1 + u32::from(two)).unwrap();
        let noise = (i.wrapping_mul(2_654_435_761).rotate_left(9) % 1009) as f32 / 1009.0;
        let felt = draw(0) == "felt" || (two && draw(1) == "felt");
        acts.extend([noise, if felt { 2.0 + noise } else { noise }, 0.5]);
    }
    fs::write(home.path("labels.csv"), labels).unwrap();
    write(&home, &[("layer 1", &acts, 3), ("layer 0", &acts, 3)]);
    home
}

fn write(home: &Home, tensors: &[(&str, &[f32], usize)]) {
    let data: Vec<(String, Vec<u8>, usize)> = tensors
        .iter()
        .map(|(name, values, units)| {
            ((*name).to_owned(), values.iter().flat_map(|x| x.to_le_bytes()).collect(), *units)
        })
        .collect();
    let views = data.iter().map(|(name, bytes, units)| {
        (name, TensorView::new(Dtype::F32, vec![bytes.len() / 4 / units, *units], bytes).unwrap())
    });
    fs::write(home.path("acts.safetensors"), serialize(views, None).unwrap()).unwrap();
}

const ACTS: &str = "measure --acts acts.safetensors --labels labels.csv --out out";

#[test]
fn activations_of_others_are_measured() {
    let home = home();
    let said = home.succeed(ACTS);
    assert!(said.contains("layer 0") && said.contains("monosemantic"), "{said}");
    let reader = SerializedFileReader::new(fs::File::open(home.path("out/units.parquet")).unwrap()).unwrap();
    let rows: Vec<Row> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6);
    let names: Vec<&str> = reader.metadata().file_metadata().schema().get_fields().iter().map(|f| f.name()).collect();
    let expected = "site unit class concepts cv_r2 eta2_main eta2_interaction eta2_count top_entropy ms";
    assert_eq!(names.join(" "), expected);
    let text = |row: usize, column: usize| rows[row].get_string(column).unwrap().as_str();
    assert_eq!((text(0, 0), text(3, 0), rows[4].get_uint(1).unwrap()), ("layer 0", "layer 1", 1));
    assert_eq!((text(1, 2), text(2, 2)), ("monosemantic", "constant"));
    assert_eq!(rows[1].get_list(3).unwrap().get_string(0).unwrap(), "texture=felt");
    assert!(rows[1].get_double(4).unwrap() > 0.8 && rows[2].get_double(4).is_err());
    assert!(home.path("out/unit_concepts.parquet").is_file());
    home.refuse(ACTS, &["out", "does not exist yet"]);
    let json: Value =
        serde_json::from_str(&home.succeed(&format!("{} --json", ACTS.replace("--out out", "--out again")))).unwrap();
    assert_eq!(json["sites"][0]["classes"]["monosemantic"], 1);
    assert_eq!(json["concepts"].as_array().unwrap().len(), 5);
}

fn columns(home: &Home, table: &str) -> (Vec<String>, Vec<Row>) {
    let reader = SerializedFileReader::new(fs::File::open(home.path(table)).unwrap()).unwrap();
    let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
    let names = fields.iter().map(|field| field.name().to_owned()).collect();
    (names, reader.get_row_iter(None).unwrap().map(Result::unwrap).collect())
}

#[test]
fn concepts_pairs_and_sites_have_tables_of_their_own() {
    let home = home();
    let embeddings: Vec<f32> = (0..120 * 3).map(|at| 1.0 + (at * at % 7) as f32).collect();
    write(&home, &[("second", &embeddings, 3)]);
    fs::rename(home.path("acts.safetensors"), home.path("second.safetensors")).unwrap();
    // numpy.savez(x=[120, 2]) without numpy: two arrays, not compressed.
    let felt = |i: u32| f32::from(u8::from((i * 7919 % 1009).is_multiple_of(3)));
    let acts: Vec<f32> = (0..120).flat_map(|i| [felt(i) + (i % 11) as f32 / 10.0, (i * i % 13) as f32]).collect();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (120, 2), }\n";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    npy.extend(header.as_bytes());
    npy.extend(acts.iter().flat_map(|x| x.to_le_bytes()));
    fs::write(home.path("mlp.npy"), npy).unwrap();
    home.succeed("measure --acts mlp.npy --labels labels.csv --embeddings second.safetensors --out out");
    let (names, rows) = columns(&home, "out/sites.parquet");
    let expected = "site units unexplained count monosemantic factor polysemantic conjunction mixed constant non_finite images \
                    participation_ratio k95 decodable_concepts decodable_by_chance count_r2 count_r2_lo count_r2_hi \
                    linear_r2 linear_r2_lo linear_r2_hi linear_r2_white linear_r2_white_lo linear_r2_white_hi \
                    conjunction_gain conjunction_gain_lo conjunction_gain_hi conjunction_factors ms_by_chance encoding";
    let own: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.contains("_untrained")).collect();
    assert_eq!(own.join(" "), expected);
    let beside = names.iter().position(|name| name == "encoding_untrained").unwrap();
    assert!(rows[0].get_double(beside).is_err(), "nothing beside it without --control");
    assert_eq!((rows.len(), rows[0].get_string(0).unwrap().as_str(), rows[0].get_uint(11).unwrap()), (1, "mlp", 120));
    let ratio = rows[0].get_double(12).unwrap();
    assert!(ratio > 1.0 && ratio < 2.5, "two units: {ratio}");
    let (names, rows) = columns(&home, "out/pairs.parquet");
    let expected = "site concept_a concept_b shared_units expected log_odds p q overlap overlap_lo overlap_hi overlap_null \
                    overlap_rotated overlap_rotated_lo overlap_rotated_hi cos_cv cos_cv_lo cos_cv_hi interference_ab \
                    interference_ab_lo interference_ab_hi interference_ba interference_ba_lo interference_ba_hi";
    assert_eq!((names.join(" ").as_str(), rows.len()), (expected, 10));
    assert_eq!(rows[0].get_string(1).unwrap(), "texture=felt");
    let (names, rows) = columns(&home, "out/concepts.parquet");
    let expected = "site concept units probe_auroc probe_auroc_lo probe_auroc_hi probe_p probe_q decodable d_prime \
                    d_prime_lo d_prime_hi interference interference_null dimensionality units_untrained \
                    units_untrained_lo units_untrained_hi";
    assert_eq!((names.join(" ").as_str(), rows.len()), (expected, 5));
    let (_, rows) = columns(&home, "out/units.parquet");
    assert!(rows.iter().all(|row| row.get_double(9).unwrap().abs() <= 1.0), "{rows:?}");
    // The same without it, and other images.
    home.succeed("measure --acts mlp.npy --labels labels.csv --out plain");
    assert!(columns(&home, "plain/units.parquet").1[0].get_double(9).is_err());
    // Beside copies: as many, and no more than a few others might have. Not beside itself.
    for folder in ["a", "b", "c"] {
        fs::create_dir(home.path(folder)).unwrap();
        fs::copy(home.path("mlp.npy"), home.path(folder).join("mlp.npy")).unwrap();
    }
    let beside = "measure --acts mlp.npy --labels labels.csv --out beside --control a/mlp.npy --control b/mlp.npy";
    home.refuse(&format!("{beside} --control mlp.npy"), &["control mlp.npy", "no control of itself"]);
    home.refuse(&format!("{beside} --control a/../a/mlp.npy"), &["counts once"]);
    home.succeed(&format!("{beside} --control c/mlp.npy"));
    let (names, rows) = columns(&home, "beside/sites.parquet");
    let at = |name: &str| names.iter().position(|own| own == name).unwrap();
    let own = f64::from(rows[0].get_uint(at("encoding")).unwrap());
    let [mean, lo, hi] =
        ["", "_lo", "_hi"].map(|end| rows[0].get_double(at(&format!("encoding_untrained{end}"))).unwrap());
    assert!((mean - own).abs() < 1e-12 && lo <= own && own <= hi && hi <= 2.0, "{own} {mean} {lo} {hi}");
    home.refuse(
        "measure --acts mlp.npy --labels labels.csv --out other --control second.safetensors",
        &["second.safetensors", "mlp"],
    );
    write(&home, &[("second", &embeddings[3..], 3)]);
    let wrong = "measure --acts mlp.npy --labels labels.csv --embeddings acts.safetensors --out wrong";
    home.refuse(wrong, &["acts.safetensors", "\"second\"", "[120, width]", "[119, 3]"]);
    assert!(!home.path("wrong").exists());
}

#[test]
fn activations_that_do_not_fit_are_refused_and_nothing_is_written() {
    let home = home();
    write(&home, &[("a", &[1.0; 119 * 2], 2)]);
    home.refuse(
        ACTS,
        &["acts.safetensors", "tensor \"a\"", "120 rows, one for each row of labels.csv, got 119 ([119, 2])"],
    );
    fs::write(home.path("acts.safetensors"), b"\xff\xff\xff\xff\xff\xff\xff\x7f{}").unwrap();
    home.refuse(ACTS, &["acts.safetensors"]);
    fs::write(home.path("labels.csv"), "filename,a_0\n1,x\n1,x\n").unwrap();
    home.refuse(ACTS, &["labels.csv:3"]);
    assert_eq!(home.run("measure").code, Some(2));
    assert_eq!(home.run("measure --acts a --labels l").code, Some(2));
    assert_eq!(home.run("measure --acts a --labels l --out o --run r").code, Some(2));
    // What is not finite is a class, not an error: others are measured.
    let home = self::home();
    let mut acts = vec![0.0_f32; 240];
    (0..240).for_each(|i| acts[i] = (i * i % 83) as f32);
    acts[7] = f32::NAN;
    write(&home, &[("a", &acts, 2)]);
    let ran = home.run(ACTS);
    assert!(ran.code == Some(0) && ran.stdout.contains("non_finite"), "{ran:?}");
    let says = "tensor \"a\": 1 numbers are not finite, the first (NaN) at row 4, column 2; 1 units are `non_finite`";
    assert!(ran.stderr.contains(says) && ran.stderr.lines().count() == 1, "{ran:?}");
}

#[test]
fn tensors_are_chosen_and_the_others_are_said_to_be_left_alone() {
    let home = home();
    let acts: Vec<u8> = (0..240).flat_map(|i| ((i * i % 83) as f32).to_le_bytes()).collect();
    let labels: Vec<u8> = (0..120_i64).flat_map(|i| (i % 2).to_le_bytes()).collect();
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).unwrap();
    let tensors = [
        ("acts", view(Dtype::F32, &[120, 2], &acts)),
        ("labels", view(Dtype::I64, &[120], &labels)),
        ("onehot", view(Dtype::I64, &[120, 1], &labels)),
    ];
    fs::write(home.path("acts.safetensors"), serialize(tensors, None).unwrap()).unwrap();
    let ran = home.run(&format!("{ACTS} --json"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let left = "snellen: acts.safetensors: left alone: \"labels\" (i64 [120]), \"onehot\" (i64 [120, 1])\n";
    assert_eq!(ran.stderr, left);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((json["sites"].as_array().unwrap().len(), &json["sites"][0]["site"]), (1, &"acts".into()));
    // By name, of any type of number.
    let named = "measure --acts acts.safetensors --labels labels.csv --tensors onehot,acts --out named --json";
    let json: Value = serde_json::from_str(&home.run(named).stdout).unwrap();
    let sites: Vec<&str> =
        json["sites"].as_array().unwrap().iter().map(|site| site["site"].as_str().unwrap()).collect();
    assert_eq!(sites, ["onehot", "acts"]);
    let args = "measure --acts acts.safetensors --labels labels.csv --out x --tensors";
    home.refuse(&format!("{args} labels"), &["\"labels\": expected a matrix [image, unit], got i64 [120]; x[:, None]"]);
    home.refuse(&format!("{args} layer"), &["\"layer\"", "no such name", "\"acts\" (f32 [120, 2])"]);
    // The same for a second encoder's file.
    fs::copy(home.path("acts.safetensors"), home.path("second.safetensors")).unwrap();
    let second =
        "measure --acts acts.safetensors --labels labels.csv --tensors acts --embeddings second.safetensors --out y";
    let ran = home.run(second);
    assert_eq!((ran.code, ran.stderr), (Some(0), format!("{left}{}", left.replace("acts.saf", "second.saf"))));
    let ran = home.run(&format!("{} --embeddings-tensor other", second.replace("--out y", "--out z")));
    assert!(ran.code == Some(3) && ran.stderr.contains("\"other\": expected a tensor of this file"), "{ran:?}");
    assert_eq!(home.run("measure --run r --tensors a").code, Some(2));
}

#[test]
fn files_of_other_formats_are_named_for_what_they_are() {
    let home = home();
    fs::write(home.path("acts.safetensors"), b"PAR1\x15\x04").unwrap();
    home.refuse(ACTS, &["acts.safetensors", "a Parquet file", "pandas.read_parquet('acts.safetensors')"]);
    fs::write(home.path("acts.safetensors"), "u0,u1\n1,2\n").unwrap();
    home.refuse(ACTS, &["a CSV file", "pandas.read_csv"]);
    let study = "study 2508.16652 --embeddings acts.safetensors --labels labels.csv";
    assert!(home.run(study).stderr.contains("labels.csv"), "labels are looked at first");
}

#[test]
fn phantoms_are_calibrated_on() {
    let home = home();
    let args = "calibrate --images 400 --units 120 --ratio 2 --noise normal,correlated";
    let found: Value = serde_json::from_str(&home.succeed(&format!("{args} --json"))).unwrap();
    let phantoms = &found["phantoms"];
    assert_eq!((phantoms.as_array().unwrap().len(), &phantoms[1]["noise"]), (2, &"correlated".into()));
    assert!(phantoms[0]["macro_f1"].as_f64().unwrap() > 0.9);
    assert!(phantoms[0]["biases"].as_array().unwrap().len() > 5 && found["pairs"]["excess"] == 2.0);
    assert!(found["sites"].as_array().unwrap().iter().any(|bias| bias["measure"] == "cos_cv"));
    assert!(home.succeed(args).contains("conjunction"));
    assert!(home.succeed("calibrate --labels labels.csv --units 60 --ratio 4").contains("120 labels.csv"));
    home.refuse("calibrate --ratio nan", &["ratio", "NaN"]);
    home.refuse("calibrate --q 0", &["--q"]);
    home.refuse("calibrate --images 20000 --units 1000000", &["1000000 units on 20000 images"]);
    assert_eq!(home.run("calibrate --phantom").code, Some(2));
}
