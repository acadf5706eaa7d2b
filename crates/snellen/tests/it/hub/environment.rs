//! Variables, read as `huggingface_hub` reads them.

use super::*;
use std::path::Path;

fn read(variables: &[(&str, &str)]) -> Hub {
    let variables: Vec<_> = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let find = |name: &str| variables.iter().find(|variable| variable.0 == name).map(|variable| variable.1.clone());
    Hub::from_variables(find).unwrap()
}

#[test]
fn the_cache_is_where_python_has_it() {
    for (variables, expected) in [
        (vec![], "/h/.cache/huggingface/hub"),
        (vec![("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
        (vec![("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/x")], "/hf/hub"),
        (vec![("HF_HOME", "~/hf")], "/h/hf/hub"),
        (vec![("HF_HOME", "$HOME/hf")], "/h/hf/hub"),
        (vec![("HF_HOME", "${DISK}/$NONE/${NONE}/hf$"), ("DISK", "/d")], "/d/$NONE/${NONE}/hf$/hub"),
        (vec![("HF_HOME", "")], "/h/.cache/huggingface/hub"),
        (vec![("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HOME", "/hf")], "/old"),
        (vec![("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/new"),
    ] {
        let hub = read(&[&[("HOME", "/h")], variables.as_slice()].concat());
        assert_eq!(hub.cache, Path::new(expected), "{variables:?}");
        assert_eq!((hub.endpoint.as_str(), hub.token, hub.offline), ("https://huggingface.co", None, false));
    }
    assert_eq!(read(&[("HOME", "/h"), ("HF_ENDPOINT", "https://mirror/x/")]).endpoint, "https://mirror/x");
}

#[test]
fn offline_is_what_python_takes_for_true() {
    for (value, expected) in
        [("1", true), ("on", true), ("Yes", true), ("TRUE", true), ("0", false), ("2", false), ("", false)]
    {
        assert_eq!(read(&[("HOME", "/h"), ("HF_HUB_OFFLINE", value)]).offline, expected, "{value}");
        assert_eq!(read(&[("HOME", "/h"), ("TRANSFORMERS_OFFLINE", value)]).offline, expected, "{value}");
    }
    assert!(!read(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]).offline);
}

#[test]
fn the_token_is_the_one_that_python_takes() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let other = folder.path().join("other");
    std::fs::write(folder.path().join("token"), "of-home\r\n").unwrap();
    std::fs::write(&other, " of-path \n").unwrap();
    let token = |variables: &[(&str, &str)]| read(&[&[("HF_HOME", home)], variables].concat()).token;
    assert_eq!(token(&[]).as_deref(), Some("of-home"));
    assert_eq!(token(&[("HF_TOKEN", "set\n")]).as_deref(), Some("set"));
    assert_eq!(token(&[("HF_TOKEN", " ")]).as_deref(), Some("of-home"));
    assert_eq!(token(&[("HUGGING_FACE_HUB_TOKEN", "old")]).as_deref(), Some("old"));
    assert_eq!(token(&[("HF_TOKEN_PATH", other.to_str().unwrap())]).as_deref(), Some("of-path"));
    assert_eq!(token(&[("HF_TOKEN_PATH", "/nowhere/at/all")]), None);
    assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"), ("HF_TOKEN", "set")]), None);
    let hub = read(&[("HF_HOME", home)]);
    assert!(!format!("{hub:?}").contains("of-home"), "{hub:?}");
}
