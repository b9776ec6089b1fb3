//! The commands as a person at headquarters runs them: what stdout holds, what stderr says, and the
//! exit code.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tillbind_protocol::enrol::Token;

struct Headquarters {
    dir: tempfile::TempDir,
}

struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Headquarters {
    fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        std::fs::create_dir(&data_dir).unwrap();
        let text = format!("data_dir = {data_dir:?}\n{settings}\n");
        std::fs::write(dir.path().join("central.toml"), text).unwrap();
        Self { dir }
    }

    fn settings(&self) -> PathBuf {
        self.dir.path().join("central.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tillbind-central"));
        command.arg("--config").arg(self.settings()).args(arguments);
        command.env("USER", "li").env_remove("SUDO_USER");
        command.env_remove("RUST_LOG");
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that must succeed and returns its answer.
    fn answer(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.stderr);
        said.stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.answer(arguments)).unwrap()
    }
}

fn one_line(answer: &str) -> &str {
    let line = answer.strip_suffix('\n').unwrap();
    assert!(!line.is_empty() && !line.contains('\n'), "{answer:?}");
    line
}

#[test]
fn stdout_holds_the_answer_alone_so_that_scripts_can_take_it() {
    let hq = Headquarters::new("public_names = [\"hq.example\"]");
    let said = hq.run(&["token", "create", "--store", "S001", "--workstation", "1"]);
    assert_eq!(said.code, 0);
    let token = Token::decode(one_line(&said.stdout)).unwrap();
    assert_eq!(token.url, "https://hq.example:7443");
    assert!(said.stderr.contains("tillbind enrol"), "{}", said.stderr);

    let member = hq.answer(&["account", "create", "Tmall:82731", "--name", "Li Wei"]);
    assert_eq!(hq.answer(&["account", "create", "tmall:82731"]), member);
    let code = hq.answer(&["member-code", "create", "tmall:82731"]);
    assert!(one_line(&code).starts_with("TB1:"));
    let key = hq.answer(&["api-key", "create", "--role", "reader"]);
    assert!(one_line(&key).starts_with("tbk_"));

    assert!(
        hq.answer(&["export", "audit"])
            .contains("member_code.created")
    );
    let exported = hq.json(&["export", "members"]);
    assert_eq!(exported["member"], one_line(&member));
    assert_eq!(exported["name"], "Li Wei");
    let trail = hq.answer(&["export", "audit"]);
    assert!(
        trail.lines().count() >= 3 && trail.contains("\"cli:li\""),
        "{trail}"
    );
    assert!(
        !trail.contains(key.trim()) && !trail.contains("82731"),
        "{trail}"
    );
}

#[test]
fn json_answers_hold_what_a_program_needs() {
    let hq = Headquarters::new("");
    hq.answer(&["account", "create", "tmall:1", "--json"]);
    let code = hq.json(&["member-code", "create", "tmall:1", "--ttl", "30s", "--json"]);
    assert_eq!(code["account"], "tmall:1");
    assert!(code["expires_at"].as_str().unwrap().ends_with(".000Z"));
    let token = hq.json(&[
        "--json",
        "token",
        "create",
        "--store",
        "S",
        "--workstation",
        "1",
        "--expires",
        "2m",
        "--url",
        "https://10.0.0.1:9",
    ]);
    assert_eq!(token["url"], "https://10.0.0.1:9");
    let key = hq.json(&["api-key", "create", "--role", "admin", "--json"]);
    let listed = hq.json(&["api-key", "list", "--json"]);
    assert_eq!(listed["id"], key["id"]);
    assert!(listed.get("key").is_none());
    let id = key["id"].as_str().unwrap();
    hq.answer(&["api-key", "revoke", id]);
    assert!(hq.json(&["api-key", "list", "--json"])["revoked_at"].is_string());
}

#[test]
fn a_claim_code_is_remembered_until_its_terminal_is_heard() {
    let hq = Headquarters::new("[claims]\nwait_for = \"2h\"");
    let code = "5D9B-TJPM-5D9B-TJPW";
    let redeem = ["claim", "redeem", code, "--account", "tmall:82731946"];
    let said = hq.run(&redeem);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("account create"), "{}", said.stderr);
    for account in ["tmall:82731946", "tmall:2"] {
        hq.answer(&["account", "create", account]);
    }
    let told = hq.answer(&redeem);
    assert!(
        one_line(&told).contains("no terminal has told of it"),
        "{told}"
    );
    let typed = code.to_lowercase().replace('-', " ");
    let again = [
        "claim",
        "redeem",
        &typed,
        "--account",
        "tmall:82731946",
        "--json",
    ];
    let told = hq.json(&again);
    assert_eq!(told["state"], "waiting");
    assert_eq!(told["account"], "tmall:82731946");
    let listed = hq.json(&["claim", "list", "--json"]);
    assert_eq!(listed["claim"], told["claim"]);
    assert_eq!(listed["waits_until"], told["waits_until"]);
    let asked: chrono::DateTime<chrono::Utc> =
        listed["asked_at"].as_str().unwrap().parse().unwrap();
    let until: chrono::DateTime<chrono::Utc> =
        listed["waits_until"].as_str().unwrap().parse().unwrap();
    assert_eq!((until - asked).num_hours(), 2);
    assert!(hq.answer(&["claim", "list"]).starts_with("CLAIM"));

    let said = hq.run(&["claim", "redeem", code, "--account", "tmall:2"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("another account"), "{}", said.stderr);
    let exported = hq.answer(&["export", "claims"]) + &hq.answer(&["export", "audit"]);
    assert!(exported.contains("claim.asked"), "{exported}");
    assert!(!exported.contains("5D9B"), "{exported}");
}

#[test]
fn an_empty_list_is_no_failure_and_prints_nothing_on_stdout() {
    let hq = Headquarters::new("");
    for list in [
        &["terminal", "list"][..],
        &["dispute", "list"],
        &["claim", "list"],
        &["claim", "list", "--all"],
        &["quarantine", "list", "--all"],
        &["export", "transactions"],
        &["terminal", "list", "--json"],
    ] {
        assert_eq!(hq.answer(list), "", "{list:?}");
    }
    let csv = hq.answer(&["export", "cards", "--format", "csv"]);
    assert_eq!(csv, "card,kind,state,member,points,first_seen_at\n");
}

#[test]
fn what_does_not_exist_fails_with_one_and_says_where_to_look() {
    let hq = Headquarters::new("");
    for (command, hint) in [
        (&["terminal", "revoke", "t1"][..], "terminal list"),
        (
            &["dispute", "settle", "d1", "--to", "tmall:1"],
            "dispute list",
        ),
        (&["quarantine", "show", "7"], "quarantine list"),
        (&["quarantine", "replay", "7"], "quarantine list"),
        (&["quarantine", "drop", "7"], "quarantine list"),
        (&["api-key", "revoke", "a1"], "api-key list"),
        (&["member-code", "create", "tmall:1"], "account create"),
    ] {
        let said = hq.run(command);
        assert_eq!(said.code, 1, "{command:?}: {}", said.stderr);
        assert!(said.stderr.contains(hint), "{command:?}: {}", said.stderr);
        assert_eq!(said.stdout, "");
    }
}

#[test]
fn wrong_use_is_told_from_failure() {
    let hq = Headquarters::new("[sync]\nlisten = \"127.0.0.1:0\"");
    for command in [
        &["export", "everything"][..],
        &["export", "cards", "--format", "xml"],
        &["export", "cards", "--store", "S1"],
        &["export", "events", "--since", "yesterday"],
        &["token", "create", "--store", "S 1", "--workstation", "1"],
        &["token", "create", "--store", "S", "--workstation", "1"],
        &[
            "token",
            "create",
            "--store",
            "S",
            "--workstation",
            "1",
            "--expires",
            "90",
        ],
        &[
            "token",
            "create",
            "--store",
            "S",
            "--workstation",
            "1",
            "--url",
            "http://x",
        ],
        &["account", "create", "82731"],
        &["member-code", "create", "tmall:1", "--ttl", "2 m"],
        &["member-code", "create", "tmall:1", "--ttl", "2d"],
        &["api-key", "create", "--role", "root"],
        &["dispute", "settle", "d1"],
        &[
            "claim",
            "redeem",
            "5D9B-TJPM-5D9B-TJPX",
            "--account",
            "tmall:1",
        ],
        &["claim", "redeem", "5D9B-TJPM", "--account", "tmall:1"],
        &["claim", "redeem", "5D9B-TJPM-5D9B-TJPW"],
        &["backwards"],
        &[],
    ] {
        let said = hq.run(command);
        assert_eq!(said.code, 2, "{command:?}: {}{}", said.stdout, said.stderr);
        assert!(!said.stderr.is_empty(), "{command:?}");
    }
    let broken = Headquarters::new("databse = \"sqlite\"");
    let said = broken.run(&["terminal", "list"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("line 2"), "{}", said.stderr);
}

#[test]
fn a_database_that_is_away_is_told_from_failure_and_no_password_is_shown() {
    let hq = Headquarters::new("database = \"postgres://me:s3cret@127.0.0.1:1/hq\"");
    let said = hq.run(&["terminal", "list"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(
        said.stderr.contains("postgres://127.0.0.1:1/hq"),
        "{}",
        said.stderr
    );
    assert!(!said.stderr.contains("s3cret"), "{}", said.stderr);
}

#[test]
fn a_wrong_path_never_answers_from_an_empty_installation() {
    let hq = Headquarters::new("");
    std::fs::remove_dir(hq.dir.path().join("data")).unwrap();
    let said = hq.run(&["export", "members"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(said.stderr.contains("data_dir"), "{}", said.stderr);
    assert!(!hq.dir.path().join("data").exists());
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let hq = Headquarters::new("");
    for n in 0..40 {
        hq.answer(&["account", "create", &format!("tmall:{n}")]);
    }
    let mut export = hq.command(&["export", "members"]);
    let mut export = export.stdout(Stdio::piped()).spawn().unwrap();
    drop(export.stdout.take());
    assert!(export.wait().unwrap().success());
}

/// Waits until the service has written an address down.
fn address(hq: &Headquarters, name: &str, service: &mut Child) -> String {
    let file = hq.dir.path().join("data").join(name);
    loop {
        if let Ok(address) = std::fs::read_to_string(&file) {
            return address.trim().to_owned();
        }
        assert!(service.try_wait().unwrap().is_none(), "the service ended");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_speaks_tls_beyond_loopback_says_how_to_begin_and_ends_when_told() {
    let settings = "[sync]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"0.0.0.0:0\"";
    let hq = Headquarters::new(settings);
    let log_file = hq.dir.path().join("log");
    let log = std::fs::File::create(&log_file).unwrap();
    let mut serve = hq.command(&["serve", "--log", "json"]);
    let mut service = serve.stderr(log).spawn().unwrap();
    let bound = address(&hq, "admin.addr", &mut service);
    let port = bound.rsplit_once(':').unwrap().1;
    let token = hq.json(&[
        "token",
        "create",
        "--store",
        "S",
        "--workstation",
        "1",
        "--json",
    ]);
    let synced = address(&hq, "sync.addr", &mut service);
    assert!(
        token["url"]
            .as_str()
            .unwrap()
            .ends_with(synced.rsplit_once(':').unwrap().1)
    );

    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let ca = std::fs::read(hq.dir.path().join("data/ca.pem")).unwrap();
    let root = reqwest::Certificate::from_pem(&ca).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build();
    let client = client.unwrap();
    let health = client.get(format!("https://localhost:{port}/api/v1/health"));
    assert_eq!(health.send().await.unwrap().status(), 200);
    let plain = client.get(format!("http://127.0.0.1:{port}/api/v1/health"));
    assert!(
        plain.send().await.is_err(),
        "keys would cross the network in clear"
    );

    let id = service.id().to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status();
    assert!(told.unwrap().success());
    assert!(service.wait().unwrap().success());
    let log = std::fs::read_to_string(&log_file).unwrap();
    assert!(
        log.lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{log}"
    );
    assert!(log.contains("api-key create"), "{log}");
}
