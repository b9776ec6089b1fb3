use super::*;

#[test]
fn every_shipped_profile_is_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let profile = Profile::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            Some(profile.name()),
            path.file_stem().and_then(|s| s.to_str())
        );
        names.push(profile.name().to_owned());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "escpos-plain",
            "escpos-restaurant-zh",
            "fashion-returns",
            "grocer-eu",
            "python-escpos",
            "receiptline",
        ]
    );
}

#[test]
fn faults_of_a_profile_name_their_place() {
    let place = |text: &str| match Profile::parse(text).unwrap_err() {
        ProfileError::At {
            line,
            column,
            message,
        } => (line, column, message),
        ProfileError::TooLong(bytes) => panic!("{bytes} bytes"),
    };
    let (line, _, message) = place(&SHOP.replace("ignore =", "ignored ="));
    assert_eq!(line, 11);
    assert!(message.contains("ignored"), "{message}");

    let (line, column, message) = place(&SHOP.replace("'^SAVED'", "'^SAVED('"));
    assert_eq!((line, column), (11, 11));
    assert!(message.contains("^SAVED("), "{message}");

    let (line, _, message) = place(&SHOP.replace("(?<card>", "(?<crad>"));
    assert_eq!(line, 10);
    assert!(message.contains("crad"), "{message}");

    let (_, _, message) = place(&SHOP.replace("^TAX +(?<amount>-?[\\d.]+)$", "^TAX"));
    assert!(message.contains("must capture \"amount\""), "{message}");

    let (line, column, _) = place(&SHOP.replace("\"USD\"", "\"DOLLAR\""));
    assert_eq!((line, column), (3, 12));

    let (_, _, message) = place(&SHOP.replace("%m/%d/%y", "%Q"));
    assert!(message.contains("%Q"), "{message}");

    let (_, _, message) = place(&SHOP.replace("time_formats = [\"%H:%M\"]", ""));
    assert!(message.contains("time_formats"), "{message}");

    let (line, _, _) = place("name = ");
    assert_eq!(line, 1);

    let (_, _, message) = place(&format!("encoding = \"klingon\"\n{SHOP}"));
    assert!(message.contains("klingon"), "{message}");
}

#[test]
fn a_profile_cannot_make_the_agent_grow() {
    let huge = SHOP.replace("'^SAVED'", r"'(?:\pL{200}){200}'");
    assert!(Profile::parse(&huge).is_err());
    let long = SHOP.replace("^SAVED", &"x".repeat(pattern::PATTERN_BYTES_MAX + 1));
    assert!(Profile::parse(&long).is_err());
    let many = format!("[{}]", "'a',".repeat(pattern::PATTERNS_MAX + 1));
    assert!(Profile::parse(&SHOP.replace("['^SAVED']", &many)).is_err());
    let endless = format!("{SHOP}\n#{}", "x".repeat(PROFILE_BYTES_MAX));
    assert!(matches!(
        Profile::parse(&endless),
        Err(ProfileError::TooLong(_))
    ));
}
