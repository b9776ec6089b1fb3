mod journal;

use super::*;
use tillbind_firmware_bridge::scanner::Layout;

fn faults(text: &str) -> Vec<(usize, String)> {
    Config::parse(text)
        .expect_err("the text holds faults")
        .into_iter()
        .map(|fault| (fault.line, fault.message))
        .collect()
}

#[test]
fn an_empty_file_is_a_terminal_with_defaults_and_no_devices() {
    let config = Config::parse("").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.api.listen.to_string(), "127.0.0.1:7878");
    assert_eq!(config.till.card_before_sale.as_secs(), 300);
}

#[test]
fn the_contracts_example_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("shop.toml");
    std::fs::write(&profile, "").unwrap();
    let text = format!(
        r#"
data_dir = "/var/lib/tillbind"
[api]
listen = "127.0.0.1:7878"
[cards]
member_prefixes = ["627598", "29"]
[store]
currency = "eur"
[pos]
store = "0042"
[till]
card_after_sale_s = 30
[uplink]
backoff_cap_ms = 5000
[[scanner]]
name = "counter"
port = "/dev/ttyACM0"
baud = 9600
framing = "line"
[[receipt_tap]]
name = "printer"
listen = "127.0.0.1:9100"
printer = "192.168.1.50:9100"
dialect = "auto"
profile = "{}"
[[journal]]
name = "pos"
format = "poslog"
dir = "/var/pos/journal"
"#,
        profile.display()
    );
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.store.currency.unwrap().as_str(), "EUR");
    assert_eq!(config.pos.store.unwrap().as_str(), "0042");
    assert_eq!(config.till.card_after_sale.as_secs(), 30);
    assert_eq!(config.uplink.backoff.cap.as_secs(), 5);
    assert_eq!(config.scanners[0].port, "/dev/ttyACM0");
    assert_eq!(
        config.receipt_taps[0].printer,
        PrinterTarget::Tcp("192.168.1.50:9100".into())
    );
    assert_eq!(config.journals[0].format, JournalFormat::Poslog);
}

#[test]
fn an_unknown_setting_is_named_with_its_line_and_the_nearest_known_name() {
    let found = faults(
        "[api]\nlisen = \"127.0.0.1:1\"\n\n[[scanner]]\nname = \"a\"\nport = \"/dev/x\"\nbadu = 9600\n[colour]\n",
    );
    assert_eq!(found[0].0, 2);
    assert!(found[0].1.contains("did you mean \"listen\""), "{found:?}");
    assert_eq!(found[1].0, 7);
    assert!(found[1].1.contains("did you mean \"baud\""), "{found:?}");
    assert_eq!(found[2].0, 8);
    assert!(found[2].1.contains("it knows data_dir, api"), "{found:?}");
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    let found = faults(
        r#"[api]
listen = "localhost"
[cards]
member_prefixes = ["62x"]
[till]
card_after_sale_s = -1
[[scanner]]
name = "a"
port = "/dev/ttyACM0"
baud = 9601
framing = "morse"
[[journal]]
name = "a"
dir = "/j"
[[receipt_tap]]
name = "p"
listen = "127.0.0.1:9100"
printer = "printer"
"#,
    );
    let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 4, 6, 10, 11, 12, 13, 18], "{found:#?}");
}

#[test]
fn a_tap_listens_on_an_address_a_serial_port_or_a_directory_and_on_one_of_them() {
    let tap = |settings: &str| {
        let text = format!("[[receipt_tap]]\nname = \"p\"\nprinter = \"none\"\n{settings}\n");
        Config::parse(&text).map(|config| config.receipt_taps[0].pos.clone())
    };
    assert_eq!(
        tap("listen = \"/dev/ttyS1@19200\""),
        Ok(PosSide::Port("/dev/ttyS1@19200".into()))
    );
    assert_eq!(
        tap("spool_dir = \"/var/spool/pos\""),
        Ok(PosSide::Spool("/var/spool/pos".into()))
    );
    for settings in [
        "",
        "spool_dir = \"pos\"",
        "listen = \"127.0.0.1:9100\"\nspool_dir = \"/var/spool/pos\"",
    ] {
        assert_eq!(tap(settings).unwrap_err().len(), 1, "{settings}");
    }
    let found = tap("listen = \"/dev/ttyS1\"\nflow_control = \"dtr\"").unwrap_err();
    assert_eq!(found[0].line, 5);
    assert!(found[0].message.contains("rts-cts"), "{found:?}");
}

#[test]
fn a_serial_ports_speed_stands_behind_its_path() {
    let part = |text: &str| path_and_baud(Path::new(text));
    assert_eq!(
        part("/dev/ttyS0@38400"),
        (PathBuf::from("/dev/ttyS0"), Some(38_400))
    );
    assert_eq!(part("/dev/usb/lp0"), (PathBuf::from("/dev/usb/lp0"), None));
    let odd = "/dev/serial/by-id/usb-A@B";
    assert_eq!(part(odd), (PathBuf::from(odd), None));
}

#[test]
fn a_wrong_type_and_broken_toml_are_told_with_their_line() {
    let found = faults("[api]\nlisten = 5\n");
    assert_eq!(found[0].0, 2, "{found:?}");
    let found = faults("[api]\nlisten = \n");
    assert_eq!(found[0].0, 2, "{found:?}");
}

#[test]
fn a_missing_name_is_told_at_the_table_that_lacks_it() {
    let found = faults("\n[[scanner]]\nport = \"/dev/ttyACM0\"\n");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 2, "{found:?}");
}

#[test]
fn a_profile_that_is_missing_does_not_stop_the_daemon_and_with_it_the_printer() {
    let text = "[[receipt_tap]]\nname = \"p\"\nlisten = \"127.0.0.1:9100\"\nprinter = \"none\"\n\
                profile = \"/no/such/profile.toml\"\n";
    assert_eq!(Config::parse(text).unwrap().receipt_taps.len(), 1);
}

#[test]
fn a_receipt_taps_dialect_is_one_of_three_and_another_is_a_fault() {
    let tap = |dialect: &str| {
        format!(
            "[[receipt_tap]]\nname = \"p\"\nlisten = \"127.0.0.1:9100\"\nprinter = \"none\"\n\
             dialect = \"{dialect}\"\n"
        )
    };
    for (word, setting) in [
        ("auto", DialectSetting::Auto),
        ("escpos", DialectSetting::Escpos),
        ("star", DialectSetting::Star),
    ] {
        let config = Config::parse(&tap(word)).unwrap();
        assert_eq!(config.receipt_taps[0].dialect, setting);
    }
    let found = faults(&tap("zpl"));
    assert_eq!(found[0].0, 5, "{found:?}");
    assert!(found[0].1.contains("star"), "{found:?}");
}

#[test]
fn a_scanners_framing_and_line_are_read() {
    let text = "[[scanner]]\nname = \"a\"\nport = \"/dev/x\"\nsuffix = \"crlf\"\nprefix = \"\\u0001#\"\n\
                stx_etx = false\ncode_id = true\nidle_gap_ms = 50\nrepeat_window_ms = 0\n\
                [[scanner]]\nname = \"b\"\nport = \"/dev/y\"\nframing = \"ssi\"\n\
                [[scanner]]\nname = \"c\"\nport = \"/dev/z\"\nframing = \"honeywell\"\n";
    let scanners = Config::parse(text).unwrap().scanners;
    let line = &scanners[0].line;
    assert_eq!(line.prefix, b"\x01#");
    assert!(line.code_id && !line.stx_etx);
    assert!(line.suffixes.cr && line.suffixes.lf && !line.suffixes.tab);
    assert_eq!(scanners[0].idle_gap.as_millis(), 50);
    assert_eq!(scanners[0].repeat_window.as_millis(), 0);
    assert_eq!(scanners[1].framing, Framing::Ssi);
    assert_eq!(scanners[1].idle_gap.as_millis(), 200);
    assert_eq!(scanners[2].framing, Framing::Honeywell);
}

#[test]
fn scanners_that_are_no_serial_ports_have_settings_of_their_own() {
    let text = "[[scanner]]\nname = \"a\"\nport = \"/dev/hidraw0\"\nframing = \"hid-pos\"\n\
                [[scanner]]\nname = \"b\"\nport = \"/dev/input/by-id/x-event-kbd\"\n\
                framing = \"keyboard\"\nlayout = \"de\"\nsuffix = \"none\"\n";
    let scanners = Config::parse(text).unwrap().scanners;
    assert_eq!(scanners[0].framing, Framing::HidPos);
    assert_eq!(scanners[1].layout, Layout::De);
    // What a scanner types comes faster than any line is read.
    assert_eq!(scanners[1].idle_gap.as_millis(), 60);

    let found = faults(
        "[[scanner]]\nname = \"a\"\nport = \"/dev/hidraw0\"\nframing = \"hid-pos\"\nbaud = 9600\n\
         [[scanner]]\nname = \"b\"\nport = \"/dev/x\"\nlayout = \"us\"\n\
         [[scanner]]\nname = \"c\"\nport = \"/dev/y\"\nframing = \"keyboard\"\nlayout = \"dvorak\"\n",
    );
    let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [5, 9, 14], "{found:#?}");
    assert!(found[2].1.contains("us, uk, de, fr, es, it"), "{found:?}");
}

#[test]
fn settings_that_a_framing_does_not_read_and_values_out_of_range_are_told_with_their_line() {
    let found = faults(
        "[[scanner]]\nname = \"a\"\nport = \"/dev/x\"\nframing = \"ssi\"\nsuffix = \"cr\"\n\
         [[scanner]]\nname = \"b\"\nport = \"/dev/y\"\nsuffix = \"eot\"\nidle_gap_ms = 5\n\
         repeat_window_ms = 60000\nprefix = \"\\r\"\n",
    );
    let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [5, 9, 10, 11, 12], "{found:#?}");
    assert!(
        found[0].1.contains("framing = \"line\" or \"keyboard\""),
        "{found:?}"
    );
}

#[test]
fn a_contactless_reader_is_on_a_serial_port_or_the_systems_own() {
    let text = "[[nfc]]\nname = \"a\"\nport = \"/dev/ttyUSB0\"\n\
                [[nfc]]\nname = \"b\"\nport = \"pcsc\"\nreader = \"ACR122\"\n\
                [[nfc]]\nname = \"c\"\nport = \"pcsc\"\n";
    let config = Config::parse(text).unwrap();
    let serial = NfcReader::Serial {
        port: PathBuf::from("/dev/ttyUSB0"),
        baud: 115_200,
    };
    let pcsc = |part: Option<&str>| NfcReader::Pcsc {
        part: part.map(str::to_owned),
    };
    let readers: Vec<NfcReader> = config.nfc.iter().map(|nfc| nfc.reader.clone()).collect();
    assert_eq!(readers, [serial, pcsc(Some("ACR122")), pcsc(None)]);
    assert_eq!(
        config.device_ports(),
        [("a", PathBuf::from("/dev/ttyUSB0"))]
    );

    for (settings, line, word) in [
        ("name = \"a\"", 1, "port"),
        ("name = \"a\"\nport = \"pcsc\"\nbaud = 9600", 4, "baud"),
        (
            "name = \"a\"\nport = \"/dev/x\"\nreader = \"R\"",
            4,
            "reader",
        ),
        ("name = \"a\"\nport = \"/dev/x\"\nbaud = 7", 4, "115200"),
        (
            "name = \"a\"\nport = \"pcsc\"\nreader = \"-h\"",
            4,
            "pcsc_scan",
        ),
    ] {
        let found = faults(&format!("[[nfc]]\n{settings}\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, line, "{found:?}");
        assert!(found[0].1.contains(word), "{found:?}");
    }
}

#[test]
fn a_prefix_whose_numbers_are_others_too_is_warned_of() {
    let config = Config::parse("[cards]\nmember_prefixes = [\"627598\", \"95\"]\n").unwrap();
    let warnings = config.cards.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("UnionPay"), "{warnings:?}");
}

#[test]
fn a_capture_directory_is_a_whole_path() {
    let text = "[[receipt_tap]]\nname = \"p\"\nlisten = \"127.0.0.1:9100\"\nprinter = \"none\"\n\
                capture_dir = \"/var/lib/tillbind/captures\"\n";
    let config = Config::parse(text).unwrap();
    assert_eq!(
        config.receipt_taps[0].capture_dir.as_deref(),
        Some("/var/lib/tillbind/captures".as_ref())
    );
    let faults = Config::parse(&text.replace("/var/lib/tillbind/", "")).unwrap_err();
    assert_eq!(faults[0].line, 5);
    assert!(faults[0].message.contains("capture_dir"), "{faults:?}");
}

#[test]
fn a_footer_has_its_code_once_and_goes_with_a_profile() {
    let text = "[[receipt_tap]]\nname = \"p\"\nlisten = \"127.0.0.1:9100\"\nprinter = \"none\"\n\
                profile = \"/etc/tillbind/profiles/shop.toml\"\n";
    let with = |settings: &str| Config::parse(&format!("{text}{settings}\n"));
    assert_eq!(with("").unwrap().receipt_taps[0].footer, None);
    let config = with("footer = \"Collect points:\\n{code}\"").unwrap();
    let footer = config.receipt_taps[0].footer.clone().unwrap();
    assert_eq!(footer.text, "Collect points:\n{code}");
    assert_eq!(
        (footer.symbol, footer.hold),
        (FooterSymbol::Code, Duration::from_millis(150))
    );
    let config = with("footer = \"{code}\"\nfooter_qr = false").unwrap();
    let footer = config.receipt_taps[0].footer.clone().unwrap();
    assert_eq!(footer.symbol, FooterSymbol::Absent);
    let all = "footer = \"{code}\"\nfooter_link = \"https://shop.example/{code}\"\n\
               footer_qr = true\nfooter_hold_ms = 300";
    let config = with(all).unwrap();
    let footer = config.receipt_taps[0].footer.clone().unwrap();
    let link = "https://shop.example/{code}".to_owned();
    assert_eq!(footer.symbol, FooterSymbol::Link(link));
    assert_eq!(footer.hold, Duration::from_millis(300));
    for (settings, setting, line) in [
        ("footer = \"no code\"", "footer", 6),
        ("footer = \"{code} {code}\"", "footer", 6),
        ("footer = \"\\u001b{code}\"", "footer", 6),
        ("footer = \"{code}\\n1\\n2\\n3\\n4\\n5\\n6\"", "footer", 6),
        (
            "footer = \"{code}\"\nfooter_link = \"https://shop.example/\"",
            "footer_link",
            7,
        ),
        (
            "footer = \"{code}\"\nfooter_link = \"https://shöp.example/{code}\"",
            "footer_link",
            7,
        ),
        (
            "footer = \"{code}\"\nfooter_hold_ms = 5000",
            "footer_hold_ms",
            7,
        ),
        ("footer_hold_ms = 100", "footer_hold_ms", 6),
        ("footer_qr = false", "footer_qr", 6),
        (
            "footer = \"{code}\"\nfooter_link = \"https://shop.example/{code}\"\nfooter_qr = false",
            "footer_link",
            7,
        ),
        (
            "footer_link = \"https://shop.example/{code}\"",
            "footer_link",
            6,
        ),
    ] {
        let faults = with(settings).unwrap_err();
        assert_eq!(
            (faults.len(), faults[0].line),
            (1, line),
            "{settings}: {faults:?}"
        );
        assert!(faults[0].message.contains(setting), "{faults:?}");
    }
    let without = "[[receipt_tap]]\nname = \"p\"\nlisten = \"127.0.0.1:9100\"\n\
                   printer = \"none\"\nfooter = \"{code}\"\n";
    let faults = Config::parse(without).unwrap_err();
    assert!(faults[0].message.contains("needs a profile"), "{faults:?}");
}
