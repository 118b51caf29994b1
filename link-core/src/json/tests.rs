use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

fn is_json(text: &str) -> bool {
    // Objects are read in full, since skipping checks less of a string than reading it does.
    serde_json::from_str::<Json>(text).is_ok()
}

#[test]
fn what_is_json_is_what_others_say() {
    for text in [
        "null",
        "nul",
        "true",
        "false",
        "0",
        "-0",
        "01",
        "1.",
        "1.5",
        ".5",
        "-",
        "1e5",
        "1E+5",
        "1e",
        "1e-",
        "\"\"",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u0041\"",
        "\"\n\"",
        "[]",
        "[1]",
        "[1,]",
        "[,]",
        "[1 2]",
        "{}",
        "{\"a\":1}",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":}",
        "[[],{}]",
        "[}",
        "{]",
        "",
        " ",
        " 1 ",
        "1 1",
        "{\"a\":[{\"b\":\"}\"}]}",
        "[1]]",
        "NaN",
        "+1",
        "truefalse",
        "{\"a\" : [ 1 , 2 ] , \"b\" : null }",
        "\u{feff}1",
        "\"\u{7f}\"",
        "1e400",
    ] {
        // An infinite number is out of reach for a double, and still a number.
        let expected = is_json(text) || text == "1e400";
        assert_eq!(one_value(text).is_ok(), expected, "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(one_value(&nested(DEPTH_MAX)).is_ok());
    assert!(one_value(&nested(DEPTH_MAX + 1)).is_err());
    assert!(one_value(&"[".repeat(1_000_000)).is_err());
}

#[test]
fn objects_and_arrays_are_read_piece_by_piece() {
    let mut reader = Reader::new(r#" { "a" : 7, "b\n": [true, null, {"c": 1.50}] } "#);
    let mut seen = Vec::new();
    reader
        .object(&mut |name, value| {
            if name == "a" {
                seen.push(value.unsigned()?.to_string());
                return Ok(());
            }
            seen.push(name.to_owned());
            value.array(&mut |item| {
                seen.push(match item.null() {
                    true => "nothing".to_owned(),
                    false => item.raw()?.to_owned(),
                });
                Ok(())
            })
        })
        .unwrap();
    reader.end().unwrap();
    assert_eq!(seen, ["7", "b\n", "true", "nothing", "{\"c\": 1.50}"]);
}

#[test]
fn what_has_another_shape_is_told_from_what_is_no_json() {
    let kind = |error: JsonError| error.kind;
    assert_eq!(
        Reader::new("{}").array(&mut |_| Ok(())).map_err(kind),
        Err(JsonErrorKind::Shape)
    );
    assert_eq!(
        Reader::new("-1").unsigned().map_err(kind),
        Err(JsonErrorKind::Shape)
    );
    assert_eq!(
        Reader::new("[1").raw().map_err(kind),
        Err(JsonErrorKind::Malformed)
    );
}

#[test]
fn a_surrogate_alone_is_no_character() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x\udc00""#,
        r#""\ud800\ud800""#,
    ] {
        assert!(Reader::new(text).text().is_err(), "{text}");
    }
    assert_eq!(Reader::new(r#""\ud83d\ude00\\u""#).text().unwrap(), "😀\\u");
}

fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,8}".prop_map(Json::from),
        "[\"\\\\\n/\u{8}\u{1}é😀]{0,6}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::vec((".{0,4}", inner), 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_is_one_value(value in values()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(one_value(&text).unwrap(), text.as_str());
        }
    }

    #[test]
    fn cut_and_changed_texts_are_judged_as_others_judge_them(
        value in values(), at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:0-9a-z\\\\ ]?",
    ) {
        let text = value.to_string();
        let characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        let changed: String = characters[..at].iter().copied().chain(with.chars()).chain(characters[at + 1..].iter().copied()).collect();
        let judged = one_value(&changed).is_ok();
        let expected = is_json(&changed);
        // Lone surrogates and numbers beyond a double are found when they are read.
        let is_unread = changed.contains("\\u") || changed.contains('e');
        prop_assert!(judged == expected || (judged && is_unread), "{}", changed);
    }

    #[test]
    fn strings_come_back(text in any::<String>()) {
        let mut written = String::new();
        append_string(&text, &mut written);
        prop_assert_eq!(&serde_json::from_str::<String>(&written).unwrap(), &text);
        prop_assert_eq!(Reader::new(&written).text().unwrap(), text.as_str());
        let escaped = Json::from(text.as_str()).to_string();
        prop_assert_eq!(Reader::new(&escaped).text().unwrap(), text.as_str());
    }
}
