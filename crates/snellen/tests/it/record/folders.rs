//! Folders as they lie on disk: what is read of them, in which order, and what is counted instead.

use super::assert_says;
use super::source::{bytes, plain, tar};
use snellen::record::source::Content;
use snellen::record::{FolderSource, LabelsFrom, Only, PassedOver, Source, SourceConfig, open_source};
use std::fs;
use std::path::Path;

/// Makes `files` below `home`, each holding its own name.
fn write(home: &Path, files: &[&str]) {
    for name in files {
        let path = home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
}

fn names(source: &dyn Source) -> Vec<String> {
    (0..source.len()).map(|row| source.name(row)).collect()
}

fn said(passed: &[PassedOver]) -> Vec<String> {
    passed.iter().map(ToString::to_string).collect()
}

#[test]
fn masks_of_scenes_are_no_pictures() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), &["images/000000.png", "masks/000000.png", "masks/000001.png", "labels.csv"]);
    let config = SourceConfig { labels: LabelsFrom::Nothing, ..plain() };
    // A folder called so is one like others, until it is that of a scene folder.
    let all = ["images/000000.png", "masks/000000.png", "masks/000001.png"];
    assert_eq!(names(open_source(home.path(), &config).unwrap().as_ref()), all);
    write(home.path(), &["scenes.json"]);
    let source = open_source(home.path(), &config).unwrap();
    assert_eq!(names(source.as_ref()), all[..1]);
    let passed = said(source.passed_over());
    assert!(passed.contains(&"masks of scenes: 2 (masks/000000.png, masks/000001.png)".to_owned()), "{passed:?}");
}

#[test]
fn every_file_is_an_image_or_counted() {
    let home = tempfile::tempdir().unwrap();
    let pictures = ["a.JPG", "b.webp", "c.gif", "d.bmp", "e.tif", "f.tiff", "g.jpe", "h.jfif", "i.png", "j.jpeg"];
    write(home.path(), &pictures);
    write(home.path(), &["sub/x.png", "sub/deep/z.png", "sub.png", "22.05.png", "v1.2/a.jpeg"]);
    write(home.path(), &["notes.txt", "sub/a.json", "b.json", "README", "._a.jpg", ".DS_Store", "sub/.hidden/a.png"]);
    write(home.path(), &["__MACOSX/a.jpg", "d.json", "e.json"]);
    let source = open_source(home.path(), &plain()).unwrap();
    let mut expected =
        [&pictures[..], &["sub/x.png", "sub/deep/z.png", "sub.png", "22.05.png", "v1.2/a.jpeg"]].concat();
    expected.sort_unstable();
    assert_eq!(names(source.as_ref()), expected);
    assert_eq!(
        said(source.passed_over()),
        [
            "files ending in .json: 4 (b.json, d.json, e.json, ...)",
            "files ending in .txt: 1 (notes.txt)",
            "files without a known ending: 1 (README)",
            "hidden files or folders: 4 (.DS_Store, ._a.jpg, __MACOSX/, ...)",
        ]
    );
    for image in source.read(0..source.len()).unwrap() {
        let image = image.unwrap();
        let Content::File { bytes, .. } = image.content else { panic!("{}", image.name) };
        assert_eq!(String::from_utf8(bytes).unwrap(), image.name);
    }
}

#[test]
fn pictures_that_are_not_read_are_refused_or_rows_to_pass_over() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), &["a.png", "b.avif", "c.HEIC", "d.heif"]);
    assert_says(open_source(home.path(), &plain()), &["3 that are not: b.avif, c.HEIC, d.heif", "--skip-bad", "webp"]);
    let source = open_source(home.path(), &SourceConfig { skip_bad: true, ..plain() }).unwrap();
    assert_eq!(names(source.as_ref()), ["a.png", "b.avif", "c.HEIC", "d.heif"]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_end() {
    use std::os::unix::fs::symlink;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folder");
    write(home.path(), &["blobs/1", "elsewhere/x.png", "folder/sub/y.png"]);
    symlink("../blobs/1", folder.join("a.png")).unwrap();
    symlink("../elsewhere", folder.join("linked")).unwrap();
    symlink("..", folder.join("sub/up")).unwrap();
    symlink("../..", folder.join("sub/out")).unwrap();
    symlink("sub", folder.join("again")).unwrap();
    let source = open_source(&folder, &plain()).unwrap();
    assert_eq!(names(source.as_ref()), ["a.png", "linked/x.png", "sub/y.png"]);
    let passed = said(source.passed_over());
    assert_eq!(passed.len(), 1);
    assert!(
        passed[0].starts_with("links to folders") && passed[0].ends_with(": 3 (again, sub/out, sub/up)"),
        "{passed:?}"
    );
    symlink("nowhere.png", folder.join("b.png")).unwrap();
    assert_says(open_source(&folder, &plain()), &["b.png", "a link that leads nowhere", "--skip-bad"]);
}

#[test]
fn a_folder_of_several_kinds_asks_which_is_meant() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), &["z.jpg", "y.parquet"]);
    tar(&home.path().join("x.tar"), &[("0.jpg", b"0.jpg"), ("1.jpg", b"1.jpg")]);
    let got = "pictures: 1 (z.jpg) and tar files: 1 (x.tar) and Parquet files: 1 (y.parquet)";
    assert_says(open_source(home.path(), &plain()), &["--only pictures or --only tars or --only parquet", got]);
    let only = |only| open_source(home.path(), &SourceConfig { only: Some(only), ..plain() });
    let tars = only(Only::Tars).unwrap();
    assert_eq!(names(tars.as_ref()), ["x/0", "x/1"]);
    assert_eq!(said(tars.passed_over()), ["Parquet files: 1 (y.parquet)", "pictures: 1 (z.jpg)"]);
    let pictures = only(Only::Pictures).unwrap();
    assert_eq!(names(pictures.as_ref()), ["z.jpg"]);
    assert_eq!(said(pictures.passed_over()), ["Parquet files: 1 (y.parquet)", "tar files: 1 (x.tar)"]);
    assert_says(only(Only::Parquet).map(|_| ()), &["y.parquet"]);
    // An option that would have no effect.
    let field = SourceConfig { fields: vec!["jpg".to_owned()], ..plain() };
    assert_says(
        open_source(home.path(), &SourceConfig { only: Some(Only::Pictures), ..field }),
        &["tar files, for --image-field"],
    );
    let index = SourceConfig { index: Some(0), only: Some(Only::Tars), ..plain() };
    assert_says(open_source(home.path(), &index), &["Parquet files, for --image-index"]);
    let folders = SourceConfig { labels: LabelsFrom::Folders, ..plain() };
    assert_says(open_source(&home.path().join("x.tar"), &folders), &["a folder of pictures, for --labels folders"]);
}

#[test]
fn what_is_not_read_is_called_what_it_is() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, head: &[u8], says: &[&str]| {
        fs::write(home.path().join(name), [head, &[0; 600]].concat()).unwrap();
        assert_says(open_source(&home.path().join(name), &plain()), &[&[name], says].concat());
    };
    file("x.zip", b"PK\x03\x04", &["a zip archive: unpack it"]);
    file("x.tar", b"BZh9", &["a bzip2 file: unpack it"]);
    file("x.tar.xz", b"\xfd7zXZ\0", &["an xz file"]);
    file("data.arrow", b"ARROW1", &["an Arrow file: read it with pyarrow"]);
    file("data-00000-of-00001.arrow", b"\xff\xff\xff\xff", &["an Arrow stream"]);
    file("a.png", b"\x89PNG", &["a PNG picture: give the folder"]);
    file("x.parquet", b"version https://git-lfs.github.com", &["a pointer of Git LFS"]);
    for name in ["x.tar", "x.tar.gz", "x.parquet"] {
        fs::write(home.path().join(name), "<!DOCTYPE html>\n<html>404 Not Found</html>\n").unwrap();
        assert_says(open_source(&home.path().join(name), &plain()), &[name, "text: look into it"]);
    }
    let saved = home.path().join("saved");
    write(&saved, &["data-00000-of-00001.arrow", "state.json", "dataset_info.json"]);
    assert_says(
        open_source(&saved, &plain()),
        &["saved", "Dataset.save_to_disk", "pyarrow.parquet.write_table", "state.json"],
    );
    let zips = home.path().join("zips");
    write(&zips, &["a.zip", "b.zip"]);
    assert_says(open_source(&zips, &plain()), &["files ending in .zip: 2 (a.zip, b.zip)", "unpack the .zip files"]);
}

#[test]
fn folders_are_classes_on_request() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), &["b/1.png", "a/1.png", "a/2.png"]);
    let by = |labels| open_source(home.path(), &SourceConfig { labels, ..plain() });
    let source = by(LabelsFrom::Folders).unwrap();
    assert_eq!(names(source.as_ref()), ["a/1.png", "a/2.png", "b/1.png"]);
    let labels = source.labels().unwrap().unwrap();
    assert_eq!(String::from_utf8(labels).unwrap(), "filename,class_0\na/1.png,a\na/2.png,a\nb/1.png,b\n");
    assert_eq!(by(LabelsFrom::File).unwrap().labels().unwrap(), None);
    // One level deeper, the folder that an image is in.
    let split = home.path().join("a").parent().unwrap().join("deep");
    write(&split, &["train/x/1.png", "test/y/2.png"]);
    let source = FolderSource::open_with(&split, &SourceConfig { labels: LabelsFrom::Folders, ..plain() }).unwrap();
    assert_eq!(source.labels.unwrap().table.factors[0].values, ["x", "y"]);
    assert_says(by(LabelsFrom::Folders), &["equally deep", "\"a/1.png\" and \"deep/test/y/2.png\""]);
    write(home.path(), &["c.png"]);
    assert_says(by(LabelsFrom::Folders), &["--labels folders", "c.png"]);
    // Which is named with another that differs, and alone where none is in a folder.
    let mixed = tempfile::tempdir().unwrap();
    let by = || open_source(mixed.path(), &SourceConfig { labels: LabelsFrom::Folders, ..plain() });
    write(mixed.path(), &["1.png", "2.png"]);
    assert!(by().map(|_| ()).unwrap_err().to_string().ends_with("got \"1.png\""));
    write(mixed.path(), &["a/1.png"]);
    assert_says(by(), &["\"1.png\" and \"a/1.png\""]);
}

#[test]
fn labels_name_their_images_and_the_rest_is_counted() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), &["a.png", "sub/b.png", "c.webp", "d.png", "other/e.png", "._a.png"]);
    let labels = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    labels("labels.csv", "filename,shape_0,caption\n./sub\\b.png,x,one\na.png,y,two\nc.webp,x,three\n");
    let source = FolderSource::open(home.path()).unwrap();
    assert_eq!(source.filenames, ["sub/b.png", "a.png", "c.webp"]);
    assert_eq!(
        said(source.passed_over()),
        [
            "columns of labels.csv that are no factors: 1 (caption)",
            "hidden files or folders: 1 (._a.png)",
            "pictures that labels.csv does not name (--labels none records them all): 2 (d.png, other/e.png)",
        ]
    );
    let all = FolderSource::open_with(home.path(), &SourceConfig { labels: LabelsFrom::Nothing, ..plain() }).unwrap();
    assert_eq!((all.filenames.len(), all.labels.is_none()), (5, true));
    labels("labels.csv", "filename,shape_0\na.png,x\n98.png,y\n99.png,y\n");
    let says = ["labels.csv: expected the 3 images that it names", "2 that are not there: 98.png, 99.png"];
    assert_says(FolderSource::open(home.path()), &says);
    assert_eq!(
        FolderSource::open_with(home.path(), &SourceConfig { skip_bad: true, ..plain() }).unwrap().filenames.len(),
        3
    );
    // As imagefolder has them, where there is no labels.csv.
    fs::remove_file(home.path().join("labels.csv")).unwrap();
    labels("metadata.csv", "file_name,shape\nd.png,x\na.png,x\n");
    assert_eq!(FolderSource::open(home.path()).unwrap().filenames, ["d.png", "a.png"]);
}

#[test]
fn a_folder_of_scenes_has_nothing_to_pass_over() {
    let home = tempfile::tempdir().unwrap();
    let source = super::scenes(&home.path().join("scenes"), 3);
    assert_eq!(said(source.passed_over()), [""; 0]);
    assert_eq!(bytes(&source).len(), 3);
}
