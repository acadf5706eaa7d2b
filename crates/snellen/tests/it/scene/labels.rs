use super::grid_world;
use proptest::prelude::*;
use snellen::scene::generate::toy;
use snellen::scene::labels::{LabelRow, LabelTable};
use snellen::scene::labels_csv::{LabelFile, parse_labels, read_labels, write_labels};
use snellen::scene::{Combinations, Concept, Factor};

fn parse(text: &str) -> LabelTable {
    parse_labels("t.csv", text.as_bytes()).unwrap()
}

fn refusal(bytes: &[u8]) -> String {
    parse_labels("t.csv", bytes).unwrap_err().to_string()
}

fn written(table: &LabelTable) -> String {
    let mut bytes = Vec::new();
    write_labels(table, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn concept(factor: &str, value: &str) -> Concept {
    Concept { factor: factor.into(), value: value.into() }
}

const STUDY: &str = "num_shapes,shape_0,color_0,position_0,filename,shape_1,color_1,position_1\n\
    1,pentagon,red,BL,i/1.png,,,\n2,circle,blue,M,i/2.png,square,red,TL\n0,,,,i/3.png,,,\n";

#[test]
fn reads_the_layout_of_the_study() {
    let table = parse(STUDY);
    let factor = |name: &str, values: &[&str]| Factor {
        name: name.into(),
        values: values.iter().map(|&value| value.into()).collect(),
    };
    let shapes = factor("shape", &["circle", "pentagon", "square"]);
    assert_eq!(table.factors, [shapes, factor("color", &["blue", "red"]), factor("position", &["BL", "M", "TL"])]);
    assert_eq!(table.object_counts(), [1, 2, 0]);
    assert_eq!(table.rows[1].objects, [[Some(0), Some(0), Some(1)], [Some(2), Some(1), Some(2)]]);
    assert_eq!(table.present(&concept("color", "red")).unwrap(), [true, true, false]);
    assert_eq!(table.present(&concept("shape", "circle")).unwrap(), [false, true, false]);
    assert_eq!(table.concepts().len(), 8);
    assert_eq!(table.concepts()[3].to_string(), "color=blue");
}

#[test]
fn unknown_concepts_are_refused() {
    let refused = |f, v| parse(STUDY).present(&concept(f, v)).unwrap_err().to_string();
    assert!(refused("texture", "red").contains("[shape, color, position]"));
    assert!(refused("color", "mauve").contains("[blue, red]"));
}

#[test]
fn partly_labelled_objects_and_other_columns_are_fine() {
    let table = parse("\u{feff}filename,note,shape_0,size_class_0,shape_1,_3,x_\r\na.png,\"x, \"\"y\",,big,,1,\r\n");
    assert_eq!(table.factors[1].name, "size_class");
    assert_eq!(table.factors.len(), 2);
    assert_eq!(table.rows, [LabelRow { filename: "a.png".into(), objects: vec![vec![None, Some(0)]] }]);
}

#[test]
fn a_table_without_objects_keeps_its_factors() {
    let table = parse("filename,shape_0,color_0\na.png,,\n");
    assert_eq!(written(&table), "filename,shape_0,color_0\na.png,,\n");
    assert!(parse("filename\na.png\n").factors.is_empty());
}

#[test]
fn bad_tables_are_refused_with_line_and_column() {
    let long = format!("filename,s_0\na,{}\n", "x".repeat(1025));
    let long_name = format!("filename,s_0\n{}a,x\n", "d/".repeat(2048));
    let cases: [(&[u8], &str); 29] = [
        (b"", "t.csv: expected a header"),
        (b"file,shape_0\na,b\n", "t.csv:1: expected a column `filename`"),
        (
            b"filename,shape_0,shape_0\n",
            "t.csv:1, column 3: expected a column name of its own, got `shape_0` beside `shape_0` in column 2",
        ),
        (b"filename,filename\n", "column 2"),
        (
            b"Filename,shape,file_name\n",
            "t.csv:1, column 3: expected a column name of its own, got `file_name` beside `Filename`",
        ),
        (b"filename,a=b_0\nx,y\n", "t.csv:1, column 2: expected a factor's name without `=`, got `a=b`"),
        (b"filename,a=b\nx,y\nz,y\n", "t.csv:1, column 2: expected a factor's name without `=`"),
        (b"filename|shape_0\nx|y\n", "expected a column `filename`, got the columns [filename|shape_0]"),
        (b"filename,s_0\na, \"x\"\n", "t.csv:2, column 2 (`s_0`): expected no blank before a quotation mark"),
        (b"filename,shape_0,shape_2\n", "t.csv:1: expected a column `shape_1`, got `shape_2` without it"),
        (b"filename,shape_1\n", "expected a column `shape_0`"),
        (b"filename,shape_00\n", "column 2: expected an object number spelt 0, 1, 2, ..., got `shape_00`"),
        (b"filename,shape_99999999999999999999\n", "column 2: expected an object number"),
        (b"filename,s_0\na,x\nb\n", "t.csv:3: expected 2 fields, as in the header, got 1"),
        (b"filename,s_0\na,x,y\n", "t.csv:2: expected 2 fields, as in the header, got 3"),
        (
            b"filename,s_0\r\na,x\r\n\r\n\r\na,y\r\n",
            "t.csv:5, column 1 (`filename`): expected a file name of its own, got `a` again",
        ),
        (b"s_0,filename\nx,\n", "t.csv:2, column 2 (`filename`): expected a path inside"),
        (b"filename,s_0\n/etc/passwd,x\n", "got \"/etc/passwd\""),
        (b"filename,s_0\na/../../b,x\n", "got \"a/../../b\""),
        (b"filename,s_0\n..,x\n", "got \"..\""),
        (b"filename,s_0\nC:\\a.png,x\n", "column 1"),
        (b"filename,s_0\na,x\0y\n", "t.csv:2, column 2 (`s_0`): expected text without control characters"),
        (b"filename,s_0\na\0,x\n", "t.csv:2, column 1"),
        (b"filename,s_0\na,\xff\n", "t.csv:2: expected text in UTF-8"),
        (
            b"filename,s_0\r\ra,bl\xe9\r",
            "t.csv:3: expected text in UTF-8 (a spreadsheet saves it as `CSV UTF-8`), got byte 0xe9",
        ),
        (b"\xff\xfef\0i", "t.csv: expected text in UTF-16"),
        (b"filename,s_0,s_1\na,,x\n", "t.csv:2, column 3 (`s_1`): expected nothing, since object 0 is missing, got x"),
        (long.as_bytes(), "column 2 (`s_0`): expected at most 1024 bytes, got 1025 bytes"),
        (long_name.as_bytes(), "column 1 (`filename`): expected at most 4096 bytes"),
    ];
    for (bytes, part) in cases {
        let message = refusal(bytes);
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
    for open in ["filename,s_0\nb,y\na,\"x\nb,y\n", "filename,note\nb,y\na,\"x\nc,y\n"] {
        assert!(refusal(open.as_bytes()).contains("t.csv:3: expected every quotation mark closed"), "{open:?}");
    }
}

/// As spreadsheets and scripts leave it, each the table of [`PLAIN`].
const PLAIN: &str = "filename,shape_0,color_0\n1.png,circle,red\nsub/2.png,square,red\n3.png,circle,\n";

#[test]
fn what_spreadsheets_make_of_a_table_is_the_same_table() {
    let expected = parse(PLAIN);
    let utf16 = |text: &str, of: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(of).collect::<Vec<u8>>();
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("a byte order mark", format!("\u{feff}{PLAIN}").into_bytes()),
        ("CRLF", PLAIN.replace('\n', "\r\n").into_bytes()),
        ("CR", PLAIN.replace('\n', "\r").into_bytes()),
        ("no last end", PLAIN.trim_end().as_bytes().to_vec()),
        ("blank lines", PLAIN.replace('\n', "\n\n").into_bytes()),
        ("empty rows", format!("{PLAIN},,\n,,\n").into_bytes()),
        ("UTF-16, low byte first", utf16(&format!("\u{feff}{PLAIN}"), u16::to_le_bytes)),
        ("UTF-16, high byte first", utf16(&format!("\u{feff}{PLAIN}"), u16::to_be_bytes)),
        ("semicolons", PLAIN.replace(',', ";").into_bytes()),
        ("tabs", PLAIN.replace(',', "\t").into_bytes()),
        ("a hint", format!("sep=;\r\n{}", PLAIN.replace(',', ";")).into_bytes()),
        ("a quoted hint", format!("\u{feff}\"sep=,\"\n{PLAIN}").into_bytes()),
        ("a hint in UTF-16", utf16(&format!("\u{feff}sep=\t\n{}", PLAIN.replace(',', "\t")), u16::to_le_bytes)),
        ("blanks", PLAIN.replace(',', " , ").into_bytes()),
        ("quotes", PLAIN.replace("circle", "\"circle\"").into_bytes()),
        ("empty columns", PLAIN.replace('\n', ",,\n").into_bytes()),
        ("an empty column in the header", PLAIN.replacen('\n', ",\n", 1).into_bytes()),
        ("empty fields at the end of rows", PLAIN.replace("red\n", "red,,\n").into_bytes()),
        ("an index column", PLAIN.lines().map(|line| format!(",{line}\n")).collect::<Vec<_>>().concat().into_bytes()),
        ("./", PLAIN.replace("1.png", "./1.png").replace("sub/", "./sub//").into_bytes()),
        ("backslashes", PLAIN.replace("sub/", "sub\\").into_bytes()),
        ("Filename", PLAIN.replace("filename", "Filename").into_bytes()),
        ("file_name", PLAIN.replace("filename", "file_name").into_bytes()),
    ];
    for (form, bytes) in forms {
        assert_eq!(parse_labels("t.csv", &bytes).map_err(|error| error.to_string()), Ok(expected.clone()), "{form}");
    }
    // The file name says which separator it is, not what stands in other fields.
    let semicolons = parse("filename;shape_0\na,b.png;x,y\n");
    assert_eq!((semicolons.rows[0].filename.as_str(), semicolons.factors[0].values[0].as_str()), ("a,b.png", "x,y"));
}

#[test]
fn columns_without_numbers_are_factors_where_values_come_again() {
    let rows = ["1.png,circle,red,a red circle,1", "2.png,square,red,a red square,2", "3.png,circle,,something,3"];
    let text = format!("filename,shape,color,caption,id\n{}\n", rows.join("\n"));
    let file = LabelFile::parse("t.csv", text.as_bytes()).unwrap();
    assert_eq!(file.table, parse("filename,shape_0,color_0\n1.png,circle,red\n2.png,square,red\n3.png,circle,\n"));
    assert_eq!(file.ignored, ["caption", "id"]);
    // With a number anywhere, only columns with one.
    let numbered = LabelFile::parse("t.csv", b"filename,shape_0,color\n1.png,x,red\n2.png,x,red\n").unwrap();
    assert_eq!((numbered.table.factors.len(), numbered.ignored), (1, vec!["color".to_owned()]));
    // Texts too long for a name.
    let long = format!("filename,text,shape\n1.png,{0},x\n2.png,{0},x\n", "long ".repeat(300));
    assert_eq!(LabelFile::parse("t.csv", long.as_bytes()).unwrap().ignored, ["text"]);
}

#[test]
fn columns_of_labels_can_be_chosen() {
    let of = |text: &str, chosen: &[&str]| {
        let chosen: Vec<String> = chosen.iter().map(|&name| name.to_owned()).collect();
        LabelFile::parse_columns("t.csv", text.as_bytes(), &chosen)
    };
    // Whatever the rule would make of them: `id` has each value once, `year` is left out.
    let plain = "filename,animal,id,year\na.png,cat,1,2001\nb.png,dog,2,2001\nc.png,cat,3,2002\n";
    let file = of(plain, &["id", "animal"]).unwrap();
    let names = |file: &LabelFile| file.table.factors.iter().map(|factor| factor.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&file), ["animal", "id"]);
    assert_eq!(file.table.factors[1].values, ["1", "2", "3"]);
    assert_eq!(file.ignored, ["year"]);
    assert_eq!(of(plain, &[]).unwrap(), LabelFile::parse("t.csv", plain.as_bytes()).unwrap());
    // Objects stay of which other columns speak, and only what is used counts as a value.
    let numbered = "filename,shape_0,color_0,shape_1,color_1\na.png,circle,,square,red\nb.png,circle,blue,,\n";
    let file = of(numbered, &["color"]).unwrap();
    assert_eq!(names(&file), ["color"]);
    assert_eq!(file.table.rows[0].objects, [[None], [Some(1)]]);
    assert_eq!(file.table.rows[1].objects, [[Some(0)]]);
    for (text, chosen, said) in [
        (plain, vec!["animals"], "columns among [animal, id, year], got `animals`"),
        (plain, vec!["filename"], "got `filename`"),
        (plain, vec!["id", "id"], "`id` again"),
        (numbered, vec!["color_0"], "columns among [shape, color]"),
    ] {
        let error = of(text, &chosen).unwrap_err().to_string();
        assert!(error.contains(said) && error.starts_with("t.csv:1: "), "{error}");
    }
    let long = format!("filename,text\na.png,{}\n", "x".repeat(5000));
    assert!(of(&long, &["text"]).unwrap_err().to_string().contains("column 2 (`text`)"));
}

#[test]
fn rows_can_be_dropped_from_the_file() {
    let file = LabelFile::parse("t.csv", PLAIN.as_bytes()).unwrap();
    let without = |rows: &[usize]| String::from_utf8(file.without(rows)).unwrap();
    assert_eq!(without(&[]), PLAIN);
    assert_eq!(without(&[1]), "filename,shape_0,color_0\n1.png,circle,red\n3.png,circle,\n");
    assert_eq!(without(&[0, 2]), "filename,shape_0,color_0\nsub/2.png,square,red\n");
    let quoted = "filename;note;shape_0\r\na;\"one\r\ntwo\";x\r\n\r\nb;;y";
    let utf16: Vec<u8> = format!("\u{feff}{quoted}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let file = LabelFile::parse("t.csv", &utf16).unwrap();
    assert_eq!(file.without(&[0]), b"filename;note;shape_0\r\n\r\nb;;y");
}

#[test]
fn files_too_large_are_refused_unread() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len((1 << 26) + 1).unwrap();
    assert!(read_labels(file.path()).unwrap_err().to_string().contains("expected at most 67108864 bytes"));
    assert!(read_labels(std::path::Path::new("no/such/labels.csv")).unwrap_err().is_bad_input());
}

#[test]
fn tables_that_could_not_be_read_back_are_not_written() {
    let refused = |change: fn(&mut LabelTable)| {
        let mut table = parse(STUDY);
        change(&mut table);
        let mut out = Vec::new();
        let message = write_labels(&table, &mut out).unwrap_err().to_string();
        assert!(out.is_empty());
        message
    };
    assert!(refused(|t| t.rows[1].filename = "i/1.png".into()).contains("row 1"));
    assert!(refused(|t| t.rows[1].objects[0][2] = Some(3)).contains("row 1, object 0: expected an index below 3"));
    assert!(refused(|t| t.rows[1].objects[0] = vec![None; 3]).contains("row 1, object 0"));
    assert!(refused(|t| t.rows[1].objects[0] = vec![Some(0)]).contains("3 values"));
    assert!(refused(|t| t.factors[0].values[0].clear()).contains("factor `shape`"));
    assert!(refused(|t| t.factors[0].name = "a=b".into()).contains("without `=`"));
    assert!(refused(|t| t.factors[0].values[0] = " red".into()).contains("blanks at its ends"));
    assert!(refused(|t| t.rows[0].filename = "a.png ".into()).contains("blanks at its ends"));
    assert!(refused(|t| t.factors[0].name = "color".into()).contains("factor `color`"));
    assert!(refused(|t| t.factors[0].values[0] = "square".into()).contains("`square` twice"));
}

#[test]
fn labels_of_scenes_keep_the_order_of_the_world() {
    let world = grid_world();
    let scenes = toy(&world, &Combinations::all(&world), 1..=5, 40, 2).unwrap();
    let names: Vec<String> = (0..40).map(|i| format!("{i}.png")).collect();
    let table = LabelTable::from_scenes(&world, &scenes, &names).unwrap();
    assert_eq!(table.factors, world.factors());
    for (i, scene) in scenes.iter().enumerate() {
        for concept in table.concepts() {
            assert_eq!(table.present(&concept).unwrap()[i], scene.concepts(&world).contains(&concept), "{i} {concept}");
        }
    }
    assert_eq!(parse(&written(&table)), table.canonical());
    assert!(LabelTable::from_scenes(&world, &scenes, &names[1..]).is_err());
}

fn tables() -> impl Strategy<Value = LabelTable> {
    let value = "\\PC{1,6}".prop_filter("no blanks at its ends", |value| value.trim() == value);
    let factor = ("[a-z][a-z_,\" ]{0,5}[a-z]", prop::collection::btree_set(value, 1..5))
        .prop_map(|(name, values)| Factor { name, values: values.into_iter().collect() });
    let factors = prop::collection::vec(factor, 1..4).prop_filter("distinct names", |factors| {
        (1..factors.len()).all(|k| factors[..k].iter().all(|other| other.name != factors[k].name))
    });
    (factors, prop::collection::vec(prop::collection::vec(any::<[Option<u32>; 3]>(), 0..4), 0..8)).prop_map(
        |(factors, images)| {
            let value = |(factor, value): (&Factor, Option<u32>)| value.map(|value| value % factor.values.len() as u32);
            let object = |object: [Option<u32>; 3]| -> Vec<_> { factors.iter().zip(object).map(value).collect() };
            let row = |(i, objects): (usize, Vec<[Option<u32>; 3]>)| LabelRow {
                filename: format!("d/{i}.png"),
                objects: objects.into_iter().map(object).filter(|object| object.iter().any(Option::is_some)).collect(),
            };
            let rows = images.into_iter().enumerate().map(row).collect();
            LabelTable { factors, rows }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(table in tables()) {
        let text = written(&table);
        let read = parse(&text);
        prop_assert_eq!(&read, &table.canonical());
        prop_assert_eq!(written(&read), text);
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_labels("t.csv", bytes.as_slice());
        let mut labelled = b"filename,a_0,b_0,a_1\n".to_vec();
        labelled.extend(bytes);
        if let Ok(table) = parse_labels("t.csv", labelled.as_slice()) {
            table.check().unwrap();
        }
    }
}
