//! Which crate may know which.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tillbind_tests::environment;

/// The house's arrows, and no others.
const ARROWS: [(&str, &[&str]); 4] = [
    ("tillbind-protocol", &[]),
    ("tillbind-firmware-bridge", &[]),
    (
        "tillbind-agent",
        &["tillbind-protocol", "tillbind-firmware-bridge"],
    ),
    ("tillbind-central", &["tillbind-protocol"]),
];

#[test]
fn protocol_and_firmware_bridge_know_no_crate_and_agent_and_central_never_meet() -> Result<()> {
    let known = arrows()?;
    for (krate, allowed) in ARROWS {
        let found = known
            .get(krate)
            .with_context(|| format!("the workspace has no crate {krate}"))?;
        for other in found {
            ensure!(
                allowed.contains(&other.as_str()),
                "{krate} must not know {other}: see the arrows in ARCHITECTURE.md"
            );
        }
    }
    for (krate, found) in &known {
        let is_room = ARROWS.iter().any(|(room, _)| room == krate);
        let meets = found.contains("tillbind-agent") && found.contains("tillbind-central");
        ensure!(
            is_room || !meets || krate == "tillbind-tests",
            "in {krate} agent and central meet; only the tests may see both"
        );
    }
    Ok(())
}

/// Returns, for each crate of the workspace, the crates of the workspace that it names.
fn arrows() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let cargo = environment::variable("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(environment::project()?)
        .output()
        .context("cargo cannot be run")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let name = |value: &Value| value["name"].as_str().map(str::to_owned);
    let packages = metadata["packages"].as_array().context("no packages")?;
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"]
                .as_array()
                .context("no dependencies")?;
            let of_the_house = dependencies
                .iter()
                .filter(|dependency| dependency["path"].is_string())
                .filter_map(name)
                .collect();
            Ok((name(package).context("no name")?, of_the_house))
        })
        .collect()
}
